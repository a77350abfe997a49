"""The panel's line to the engine's process: asks, and calls back from the window's own thread."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from typing import Any

import qt  # pyright: ignore[reportMissingImports]

from ..engine.worker.messages import Answer, Cancel, Request
from ..engine.worker.process import EngineProcess

_POLL_MS = 20

Heard = Callable[[Answer], None]


class EngineLink:
    """One process for one panel, started when it is first needed and kept warm.

    Attributes:
        ended: called with a sentence when the process has ended by itself.
    """

    def __init__(self, ended: Callable[[str], None]) -> None:
        self.ended = ended
        self._process: EngineProcess | None = None
        self._heard: dict[int, Heard] = {}
        self._timer = qt.QTimer()
        self._timer.setInterval(_POLL_MS)
        self._timer.connect("timeout()", self._poll)

    @property
    def running(self) -> bool:
        """Whether there is a process."""
        return self._process is not None

    def ask(self, request: Request, heard: Heard) -> int:
        """As `EngineProcess.send`; ``heard`` gets every answer, the last being the end."""
        number = self._started().send(request)
        self._heard[number] = heard
        return number

    def cancel(self, number: int) -> None:
        """Asks the process to leave off, and hears no more of it."""
        self._heard.pop(number, None)
        if self._process is not None:
            self._process.send(Cancel(number))

    def stop(self) -> None:
        """Ends the process; nobody is called any more."""
        self._timer.stop()
        self._heard.clear()
        if self._process is not None:
            self._process.stop()
            self._process = None

    def _started(self) -> EngineProcess:
        if self._process is None:
            # Inside 3D Slicer the running program is no interpreter; this one comes with it.
            self._process = EngineProcess(shutil.which("PythonSlicer") or sys.executable)
            self._timer.start()
        return self._process

    def _poll(self) -> None:
        process: Any = self._process
        replies = process.poll()
        if not process.alive:
            waiting = list(self._heard.values())
            sentence = replies[-1].answer.sentence
            self.stop()
            for heard in waiting:
                heard(replies[-1].answer)
            self.ended(sentence)
            return
        for reply in replies:
            heard = self._heard.get(reply.number)
            if reply.final:
                self._heard.pop(reply.number, None)
            if heard is not None:
                heard(reply.answer)
