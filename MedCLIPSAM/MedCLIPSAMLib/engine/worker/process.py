"""The window's side: starts the engine's process, sends requests, and hears answers without ever waiting."""

from __future__ import annotations

import itertools
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil

from ..errors import InputError
from .messages import (
    ALIVE,
    ANSWERS,
    IDENTITY,
    Answer,
    Cancel,
    Drawn,
    Failure,
    Mailbox,
    Open,
    Progress,
    Request,
    StoredArray,
)

_LOG, _TEMPORARY = "log", "temporary"
_BYTES_A_POLL = 8 << 20  # of a volume that is handed over: some milliseconds
_SILENCE_S = 30.0  # the engine beats twice a second, unless a library holds its interpreter
_STARTING_S = 180.0  # until the first beat: a cold disk and a virus scanner have to read a gigabyte
_LAUNCH = (
    "import sys; sys.path.insert(0, sys.argv[1]); from MedCLIPSAMLib.engine.worker.__main__ import main; "
    "main(sys.argv[2])"
)
_PACKAGES = Path(__file__).resolve().parents[3]
_GOING_S = 5.0  # for processes to be gone that were killed
_CRASH = (b"Fatal Python error", b"Windows fatal exception")  # of `faulthandler`
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reply:
    """What was heard about request ``number``, or about none (None)."""

    number: int | None
    answer: Answer

    @property
    def final(self) -> bool:
        """Whether nothing more will be heard about the request."""
        return not isinstance(self.answer, Progress | Drawn)


class EngineProcess:
    """One process with the models, for one window. No call waits for it.

    What is started may be a launcher, as 3D Slicer's `PythonSlicer` is: then the engine is a child of it, and tells its
    own id.

    Everything that is exchanged lies in a folder which only this user may read, and which goes with the process; the
    process in turn ends when whoever started it does, however that happens.

    Args:
        python: interpreter that has the packages of this project.
        silence_s: after so many seconds without a sign of life the process is held to hang.
    """

    def __init__(self, python: str = sys.executable, silence_s: float = _SILENCE_S) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="medclipsam-engine-"))
        self._mailbox = Mailbox(self._folder, "request")
        self._numbers = itertools.count()
        self._unanswered: set[int] = set()
        self._outgoing: deque[tuple[int, Request]] = deque()
        self._handover: Iterator[Open | None] | None = None
        self._silence_s = silence_s
        self._read = {ANSWERS: 0, _LOG: 0}  # bytes of each file
        self._beat, self._changed = 0, time.monotonic()
        self._engine: list[psutil.Process] = []  # once it has told who it is
        self._crashed = False
        temporary = self._folder / _TEMPORARY
        temporary.mkdir()
        with (self._folder / _LOG).open("wb") as log:
            self._process = subprocess.Popen(
                [python, "-c", _LAUNCH, str(_PACKAGES), str(self._folder)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=os.environ | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary)),
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        self._end = weakref.finalize(self, _end, self._process, self._engine, self._folder)

    @property
    def alive(self) -> bool:
        """Whether requests will be answered."""
        return self._end.alive

    @property
    def busy(self) -> bool:
        """Whether an answer is awaited."""
        return bool(self._unanswered)

    def send(self, request: Request) -> int:
        """Asks for something, after all that was asked before; a cancellation is heard at once.

        The voxels of `Open` are copied by the polls that follow, some at a time.

        Returns:
            The number of the request.

        Raises:
            InputError: the process has ended.
        """
        if not self.alive:
            raise InputError("The engine has ended; restart it.")
        number = next(self._numbers)
        if isinstance(request, Cancel):
            self._write(number, request)
        else:
            self._unanswered.add(number)
            self._outgoing.append((number, request))
            self._pass_on()
        return number

    def poll(self) -> list[Reply]:
        """What was heard since the last poll; to be called every few dozen milliseconds."""
        if not self.alive:
            return []
        ended = self._process.poll()  # asked before listening, so that last words are heard
        _meet(self._engine, self._folder)
        self._pass_on()
        replies = [Reply(*self._mailbox.read(line)) for line in self._new_lines(ANSWERS)]
        self._unanswered -= {reply.number for reply in replies if reply.final}
        for line in self._new_lines(_LOG):
            self._crashed = self._crashed or line.startswith(_CRASH)
            _log.info("engine: %s", line.decode(errors="replace").rstrip())
        if sentence := self._cause_of_death(ended):
            replies += [Reply(number, Failure(sentence, dead=True)) for number in sorted(self._unanswered) or [None]]
            self.stop()
        return replies

    def stop(self) -> None:
        """Ends the process at once, and removes its files."""
        self._unanswered.clear()
        self._outgoing.clear()
        self._handover = None
        self._end()

    def _pass_on(self) -> None:
        """Sends what waits, up to a volume that has to be copied first."""
        while self._outgoing:
            number, request = self._outgoing[0]
            if isinstance(request, Open) and isinstance(request.array, np.ndarray):
                self._handover = self._handover or _copied(request, self._mailbox.new_file())
                ready = next(self._handover)
                if ready is None:
                    return
                request, self._handover = ready, None
            self._outgoing.popleft()
            self._write(number, request)

    def _write(self, number: int, request: Request) -> None:
        stream = self._process.stdin
        assert stream is not None
        try:
            stream.write(self._mailbox.write(number, request))
            stream.flush()
        except OSError:  # the process has ended, which the next poll tells
            _log.info("A request did not reach the engine.")

    def _new_lines(self, name: str) -> list[bytes]:
        """Whole lines that were written since the last time."""
        path = self._folder / name
        if not path.exists():
            return []
        with path.open("rb") as file:
            file.seek(self._read[name])
            whole, newline, _ = file.read().rpartition(b"\n")
        self._read[name] += len(whole) + len(newline)
        return whole.split(b"\n") if newline else []

    def _cause_of_death(self, ended: int | None) -> str | None:
        if ended is not None:
            return f"The engine was ended{self._by_whom(ended)} (code {ended}): restart it and try again."
        try:
            beat = (self._folder / ALIVE).stat().st_mtime_ns
        except OSError:
            beat = 0
        if beat != self._beat:
            self._beat, self._changed = beat, time.monotonic()
        silence = time.monotonic() - self._changed
        if silence > (self._silence_s if self._beat else _STARTING_S):
            return f"The engine has not answered for {silence:.0f} seconds: restart it and try again."
        return None

    def _by_whom(self, ended: int) -> str:
        """A launcher has a code of its own, whatever has ended the engine; but an engine that ends itself says so."""
        silently = (self._folder / IDENTITY).exists() and not self._crashed
        killed = silently and bool(self._engine) and self._engine[0].pid != self._process.pid
        if sys.platform == "win32":  # which refuses memory, and ends nobody for it
            return " by another program" if killed else ""
        killed = killed or ended == -signal.SIGKILL
        return " by the system, most likely because memory ran out" if killed else ""


def _copied(request: Open, path: Path) -> Iterator[Open | None]:
    """Copies the voxels of ``request`` into a file, some at each step; the last gives the request that names it."""
    source = request.array
    target = np.lib.format.open_memmap(path, "w+", source.dtype, source.shape)
    at_once = max(1, _BYTES_A_POLL // max(1, source[0].nbytes))
    for first in range(0, len(source), at_once):
        target[first : first + at_once] = source[first : first + at_once]
        yield None
    del target
    yield replace(request, array=StoredArray(path.name))


def _meet(engine: list[psutil.Process], folder: Path) -> None:
    """Puts the engine itself into a list that is empty, if it has told its id."""
    if not engine:
        with suppress(OSError, ValueError, psutil.Error):
            engine.append(psutil.Process(int((folder / IDENTITY).read_text())))


def _end(process: subprocess.Popen[bytes], engine: list[psutil.Process], folder: Path) -> None:
    _meet(engine, folder)
    ending = {}
    if process.poll() is None:  # else its number may be that of another by now
        ending |= _tree(process.pid)
    if engine and engine[0].is_running():
        ending |= _tree(engine[0].pid)
    for each in ending.values():
        with suppress(psutil.Error):
            each.kill()
    process.wait()
    psutil.wait_procs(list(ending.values()), _GOING_S)  # Windows keeps files of those that are there
    with suppress(OSError):  # a request that it never read
        assert process.stdin is not None
        process.stdin.close()
    shutil.rmtree(folder, ignore_errors=True)


def _tree(root: int) -> dict[int, psutil.Process]:
    """A process and all below it, by their ids; none of them can start another any more."""
    found = {}
    with suppress(psutil.Error):
        process = psutil.Process(root)
        found[root] = process
        process.suspend()
        for child in process.children():
            found |= _tree(child.pid)
    return found
