"""The panel's line to the engine: answers come by a timer, and the window's thread is never held up."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import psutil
import pytest

from MedCLIPSAMLib.engine.prompt.prompt import Prompt
from MedCLIPSAMLib.engine.session.evidence import SegmentEvidence, SliceEvidence
from MedCLIPSAMLib.engine.session.settings import Settings
from MedCLIPSAMLib.engine.volume import Volume
from MedCLIPSAMLib.engine.worker.messages import Drawn, Failure, Open, Opened, Preview, Segment

from ..samples import abdomen_slice

LIVER = Prompt("liver", ("liver",))


def ct() -> Volume:
    """Four slices of a real CT, enlarged to 512 x 512."""
    plane = abdomen_slice()
    rows, columns = (np.arange(512) * length // 512 for length in plane.shape)
    array = np.stack([plane[np.ix_(rows, columns)]] * 4)
    return Volume(array, np.diag([-0.61, -0.51, 5.0, 1]), "CT", "slices")


@pytest.fixture
def link(app) -> Iterator[Any]:
    from MedCLIPSAMLib.panel.link import EngineLink

    ends: list[str] = []
    made: Any = EngineLink(ends.append)
    made.ends = ends
    yield made
    made.stop()


def wait(app: Any, until: Callable[[], Any], seconds: float = 120) -> float:
    """Runs the window's loop; the longest time in ms between two rounds of it."""
    last, longest, end = time.perf_counter(), 0.0, time.monotonic() + seconds
    while not until():
        app.processEvents()
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
        assert time.monotonic() < end, "in vain"
        time.sleep(0.002)
    return longest * 1000


def test_answers_come_while_the_window_lives(app, link, capsys):
    heard: dict[str, list[Any]] = {"open": [], "preview": [], "segment": []}
    link.ask(Open.of(ct(), "quickstart", "lite-medsam", "cpu", Settings()), heard["open"].append)
    link.ask(Preview(1, LIVER, False), heard["preview"].append)
    link.ask(Segment(LIVER, 0, 3), heard["segment"].append)
    longest = wait(app, lambda: heard["segment"] and isinstance(heard["segment"][-1], SegmentEvidence | Failure))
    with capsys.disabled():
        print(f"\nlongest time that the window's thread was held: {longest:.0f} ms")
    assert isinstance(heard["open"][-1], Opened)
    (seen,) = heard["preview"]
    assert isinstance(seen, SliceEvidence)
    assert seen.found
    result = heard["segment"][-1]
    drawn = {step.index: step.mask for step in heard["segment"] if isinstance(step, Drawn)}
    assert sorted(drawn) == [part.index for part in result.slices if part.found] == [0, 1, 2, 3]


def test_of_what_was_cancelled_nothing_more_is_heard(app, link):
    opened: list[Any] = []
    heard: list[Any] = []
    link.ask(Open.of(ct(), "quickstart", "lite-medsam", "cpu", Settings()), opened.append)
    wait(app, lambda: opened)
    number = link.ask(Segment(LIVER, 0, 3), heard.append)
    link.cancel(number)
    after: list[Any] = []
    link.ask(Preview(1, LIVER, False), after.append)
    wait(app, lambda: after)
    assert isinstance(after[0], SliceEvidence)
    assert not heard


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no such signal")
def test_a_process_that_is_killed_is_told_and_the_next_request_starts_another(app, link):
    heard: list[Any] = []
    link.ask(Open.of(ct(), "quickstart", "lite-medsam", "cpu", Settings()), heard.append)
    os.kill(link._process._process.pid, signal.SIGKILL)
    wait(app, lambda: heard)
    assert heard[0].dead
    assert link.ends == [heard[0].sentence]
    assert not link.running
    heard.clear()
    link.ask(Open.of(ct(), "quickstart", "lite-medsam", "cpu", Settings()), heard.append)
    wait(app, lambda: heard)
    assert isinstance(heard[0], Opened)


LAUNCHER = """#!{python}
import subprocess, sys
sys.exit(subprocess.call([{python!r}, *sys.argv[1:]]) and 1)
"""


@pytest.mark.row("engine-launcher")
@pytest.mark.skipif(sys.platform == "win32", reason="the launcher is a script with its interpreter in it")
def test_inside_slicer_the_engine_runs_below_a_launcher(app, link, monkeypatch, tmp_path):
    launcher = tmp_path / "PythonSlicer"
    launcher.write_text(LAUNCHER.format(python=sys.executable))
    launcher.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    heard: list[Any] = []
    link.ask(Open.of(ct(), "quickstart", "lite-medsam", "cpu", Settings()), heard.append)
    wait(app, lambda: heard)
    assert isinstance(heard[0], Opened)
    started = psutil.Process(link._process._process.pid)
    assert started.cmdline()[1] == str(launcher)
    (engine,) = started.children()
    os.kill(engine.pid, signal.SIGKILL)
    wait(app, lambda: link.ends)
    assert "memory ran out" in link.ends[0]
    link.ask(Open.of(ct(), "quickstart", "lite-medsam", "cpu", Settings()), heard.append)
    started = psutil.Process(link._process._process.pid)
    wait(app, lambda: len(heard) > 1 and started.children())
    (engine,) = started.children()
    link.stop()
    assert not engine.is_running() or engine.status() == psutil.STATUS_ZOMBIE
