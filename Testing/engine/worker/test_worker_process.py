"""The engine's process: it answers as the session does, any end of it is told, and nothing of it is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from MedCLIPSAMLib.engine.clip.registry import load_clip
from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.engine.prompt.prompt import Prompt
from MedCLIPSAMLib.engine.sam.registry import load_segmenter
from MedCLIPSAMLib.engine.session.evidence import SegmentEvidence, SliceEvidence
from MedCLIPSAMLib.engine.session.session import Session
from MedCLIPSAMLib.engine.session.settings import Settings
from MedCLIPSAMLib.engine.volume import Volume
from MedCLIPSAMLib.engine.worker import process
from MedCLIPSAMLib.engine.worker.messages import Failure, Open, Opened, Preview, Segment
from MedCLIPSAMLib.engine.worker.process import EngineProcess, Reply

from ...samples import ABDOMEN_MM, abdomen_slice
from .test_worker import BRIGHT, wait_for


@pytest.fixture(scope="module")
def ct() -> Volume:
    """Three slices of a real CT."""
    return Volume(np.stack([abdomen_slice()] * 3), np.diag([-ABDOMEN_MM, -ABDOMEN_MM, 3, 1]), "CT", "slices")


# As 3D Slicer's `PythonSlicer`: the interpreter is its child, and has to be waited for.
LAUNCHER = """#!{python}
import subprocess, sys
sys.exit(1 if subprocess.Popen([{python!r}, *sys.argv[1:]]).wait() else 0)
"""


@pytest.fixture
def launcher(tmp_path: Path) -> str:
    path = tmp_path / "PythonSlicer"
    path.write_text(LAUNCHER.format(python=sys.executable))
    path.chmod(0o755)
    return str(path)


@pytest.fixture(params=["interpreter", "launcher"])
def started_by(request: pytest.FixtureRequest) -> str:
    """What starts the engine, as in 3D Slicer and outside of it."""
    return sys.executable if request.param == "interpreter" else request.getfixturevalue("launcher")


@pytest.fixture
def engine(started_by: str) -> Iterator[EngineProcess]:
    started = EngineProcess(started_by)
    yield started
    started.stop()


def identity(engine: EngineProcess) -> int:
    """The id of the engine itself, as soon as it has told it."""
    wait_for(lambda: (engine._folder / "identity").exists() and not engine.poll())
    return int((engine._folder / "identity").read_text())


def last_words(engine: EngineProcess) -> list[Reply]:
    """All that is heard of a process until it has ended."""
    heard: list[Reply] = []
    wait_for(lambda: heard.extend(engine.poll()) or not engine.alive)
    return heard


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def answers(engine: EngineProcess, number: int | None) -> list[Any]:
    heard: list[Reply] = []

    def ended() -> bool:
        heard.extend(engine.poll())
        return any(reply.final for reply in heard if reply.number == number)

    wait_for(ended, 120)
    return [reply.answer for reply in heard if reply.number == number]


def test_the_process_answers_as_the_session_does(engine, ct):
    liver = Prompt("liver", ("liver",))
    settings = Settings(precision="fp32")  # that each of them picks by itself is another matter
    opened = engine.send(Open.of(ct, "quickstart", "lite-medsam", "cpu", settings))
    seen = engine.send(Preview(1, liver, False))
    assert engine.busy
    assert answers(engine, opened)[-1].slices == 3
    (evidence,) = answers(engine, seen)
    assert not engine.busy
    ours = Session(ct, load_clip("quickstart", "cpu"), load_segmenter("lite-medsam", "cpu"), settings).preview(1, liver)
    assert isinstance(evidence, SliceEvidence)
    assert evidence.found
    assert (evidence.mask == ours.mask).mean() > 0.9999
    assert np.allclose(evidence.saliency, ours.saliency, atol=1e-3)
    result = answers(engine, engine.send(Segment(liver, 0, 2)))[-1]
    assert isinstance(result, SegmentEvidence)
    assert result.mask.shape == ct.array.shape
    folder = engine._folder
    assert (folder.stat().st_mode & 0o077) == 0, "nobody else may read it"
    engine.stop()
    assert not folder.exists()
    assert not engine.alive
    assert engine.poll() == []


@pytest.mark.row("engine-killed")
@pytest.mark.row("engine-launcher")
@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        (signal.SIGKILL, "by the system, most likely because memory ran out"),
        (signal.SIGSTOP, "has not answered for 3 seconds"),
    ],
)
def test_a_killed_or_hanging_process_is_told_for_each_request(engine, ct, sent, sentence):
    numbers = [engine.send(Open.of(ct, "quickstart", "lite-medsam", "cpu", Settings())) for _ in range(2)]
    wait_for(lambda: (engine._folder / "alive").exists() and not engine.poll())
    itself = identity(engine)
    if sent == signal.SIGSTOP:
        engine._silence_s = 3  # only from now on: on a busy computer, a start has pauses
    os.kill(itself, sent)
    heard = last_words(engine)
    deaths = [reply for reply in heard if isinstance(reply.answer, Failure)]
    assert [death.number for death in deaths] == numbers
    assert all(death.answer.dead and sentence in death.answer.sentence for death in deaths)  # type: ignore[union-attr]
    assert not engine._folder.exists()
    assert gone(itself), "a process that hangs and its memory are not left behind"
    assert gone(engine._process.pid)


@pytest.mark.row("engine-killed")
@pytest.mark.skipif(sys.platform == "win32", reason="kills by a signal")
def test_an_idle_process_that_dies_is_told_once(engine):
    os.kill(identity(engine), signal.SIGKILL)
    heard = last_words(engine)
    assert [reply.number for reply in heard] == [None]
    assert isinstance(heard[0].answer, Failure)
    assert "memory ran out" in heard[0].answer.sentence
    with pytest.raises(InputError, match="ended"):
        engine.send(Preview(0, BRIGHT, False))


@pytest.mark.row("engine-launcher")
@pytest.mark.skipif(sys.platform == "win32", reason="the launcher is a script with its interpreter in it")
@pytest.mark.parametrize("early", [True, False], ids=["while it starts", "when it runs"])
def test_stopping_ends_what_a_launcher_has_started(launcher, early):
    engine = EngineProcess(launcher)
    below = psutil.Process(engine._process.pid)
    if early:
        wait_for(lambda: below.children())
    else:
        identity(engine)
    started = [engine._process.pid, *(each.pid for each in below.children(recursive=True))]
    assert len(started) == 2
    engine.stop()
    assert all(map(gone, started))
    assert not engine._folder.exists()


@pytest.mark.row("engine-launcher")
@pytest.mark.skipif(sys.platform == "win32", reason="kills by a signal")
def test_an_engine_does_not_outlive_its_launcher(launcher):
    engine = EngineProcess(launcher)
    itself = identity(engine)
    os.kill(engine._process.pid, signal.SIGKILL)
    wait_for(lambda: engine.poll() or not engine.alive)
    wait_for(lambda: gone(itself), 5)


@pytest.mark.row("engine-killed")
@pytest.mark.skipif(sys.platform == "win32", reason="crashes by a signal")
def test_a_crash_is_not_called_a_lack_of_memory(engine):
    os.kill(identity(engine), signal.SIGSEGV)
    heard = last_words(engine)
    assert isinstance(heard[0].answer, Failure)
    assert "The engine was ended (code" in heard[0].answer.sentence


@pytest.mark.row("engine-killed")
def test_the_process_ends_with_its_window_and_leaves_nothing(started_by):
    program = """
import sys, time
from MedCLIPSAMLib.engine.worker.process import EngineProcess
engine = EngineProcess(sys.argv[1])
while not (engine._folder / "identity").exists():
    time.sleep(0.01)
print((engine._folder / "identity").read_text(), engine._folder, flush=True)
import os
os._exit(1)  # as in a crash
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    told = subprocess.run([sys.executable, "-c", program, started_by], env=environment, capture_output=True, text=True)
    pid, folder = told.stdout.split()
    wait_for(lambda: gone(int(pid)))
    wait_for(lambda: not Path(folder).exists(), 5)


@pytest.mark.parametrize("started_by", ["interpreter"], indirect=True)
def test_a_large_volume_is_handed_over_in_small_steps(engine, monkeypatch):
    monkeypatch.setattr(process, "_BYTES_A_POLL", 1 << 16)
    volume = Volume(np.arange(40 << 15, dtype=np.int16).reshape(40, 256, 128), np.eye(4), "other", "large")
    number = engine.send(Open.of(volume, "quickstart", "lite-medsam", "cpu", Settings()))
    after = engine.send(Preview(0, BRIGHT, False))
    steps = 0
    while engine._outgoing:
        steps += 1
        engine.poll()
    assert steps > 30
    assert isinstance(answers(engine, number)[-1], Opened)
    assert isinstance(answers(engine, after)[-1], SliceEvidence), "later requests wait for the volume"
