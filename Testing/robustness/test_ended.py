"""A command that is interrupted, killed or short of memory leaves nothing half-written, and the next one works."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import SimpleITK as sitk

from ..conftest import REPOSITORY
from ..samples import abdomen_slice
from .ended_at import MEMORY, STAGES
from .inputs import image
from .matrix import MATRIX

CHOICES = ("-p", "bright", "--window", "0,255")
AT_NO_STAGE = ""
_LATE = ("pictures",)  # then the segmentation is finished


def start(stage: str, fault: str, temporary: Path, *arguments: object) -> subprocess.Popen[str]:
    """One command in a process of its own, whose temporary files lie in a folder of the test."""
    return subprocess.Popen(
        [sys.executable, "-m", "Testing.robustness.ended_at", stage, fault, *map(str, arguments)],
        cwd=REPOSITORY,
        env=os.environ | {"TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(stage: str, fault: str, temporary: Path, *arguments: object) -> tuple[int, str]:
    """The same to its end: exit code, and what it said to the user."""
    process = start(stage, fault, temporary, *arguments)
    said = process.communicate(timeout=300)[1]
    return process.returncode, said


def visible(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


def an_hour_passes(*folders: Path) -> None:
    for folder in folders:
        for path in folder.glob(".medclipsam-*"):
            os.utime(path, (time.time() - 3600, time.time() - 3600))


def _each_stage(*tested: str) -> list[Any]:
    """All stages, of which `make test` takes those that are named: each runs a command, some of them two."""
    return [pytest.param(stage, marks=[] if stage in tested else pytest.mark.slow) for stage in STAGES]


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


@pytest.mark.row("interrupt")
@pytest.mark.parametrize("stage", _each_stage("saliency", "saving", "pictures"))
def test_ctrl_c(stage: str, volume: Path, tmp_path: Path, temporary: Path) -> None:
    output = tmp_path / "out.nii.gz"
    options = ("segment", volume, *CHOICES, "-o", output, "--evidence", tmp_path / "why")
    code, said = run(stage, "SIGINT", temporary, *options)
    assert code == 130, said
    assert "Traceback" not in said
    done = {"out.nii.gz", "out.labels.json"} if stage in _LATE else set()
    assert visible(tmp_path) == {volume.name, "temporary"} | done
    assert not any(tmp_path.glob(".medclipsam-*")), "nor hidden"
    assert not any(temporary.iterdir()), "PyTorch would leave a folder"
    if stage != "importing":
        saved = f"{output} is saved, but not all that belongs to it."
        assert (saved if done else "Interrupted; nothing is half-written.") in said.replace("\n", " ")


@pytest.mark.row("kill")
@pytest.mark.parametrize("stage", _each_stage("mask", "moving"))
def test_kill(stage: str, volume: Path, tmp_path: Path, temporary: Path) -> None:
    output = tmp_path / "out.nii.gz"
    options = ("segment", volume, *CHOICES, "-o", output, "--evidence", tmp_path / "why")
    code, _ = run(stage, "SIGKILL", temporary, *options)
    assert code == -9
    done = {"out.nii.gz", "out.labels.json"} if stage in _LATE else set()
    assert visible(tmp_path) == {volume.name, "temporary"} | done
    an_hour_passes(tmp_path, temporary)
    code, said = run(AT_NO_STAGE, "SIGKILL", temporary, *options, *(["--force"] if done else []))
    assert code == 0, said
    assert sitk.GetArrayFromImage(sitk.ReadImage(output)).any()
    assert visible(tmp_path) == {volume.name, "temporary", "out.nii.gz", "out.labels.json", "why"}
    assert not any(tmp_path.glob(".medclipsam-*")), "what the killed one left is gone, too"
    assert not any(temporary.iterdir())


@pytest.mark.row("memory-limit")
@pytest.mark.parametrize("stage", ["loading models", "mask"])
def test_hardly_any_memory(stage: str, tmp_path: Path, temporary: Path) -> None:
    volume = image(tmp_path / "ct.nrrd", np.stack([abdomen_slice()] * 3))
    output = tmp_path / "out.nii.gz"
    code, said = run(stage, MEMORY, temporary, "segment", volume, "-p", "liver", "-o", output)
    assert code == 2, said
    assert "memory" in said.splitlines()[-1]
    assert "Traceback" not in said
    assert visible(tmp_path) == {volume.name, "temporary"}
    assert not any(temporary.iterdir())


@pytest.mark.row("together-output")
def test_two_runs_with_one_output(volume: Path, tmp_path: Path, temporary: Path) -> None:
    output = tmp_path / "out.nii.gz"
    options = ("segment", volume, *CHOICES, "-o", output)
    first = start("saving", "SIGSTOP", temporary, *options)
    while psutil.Process(first.pid).status() != psutil.STATUS_STOPPED:
        time.sleep(0.1)
    code, said = run(AT_NO_STAGE, "SIGKILL", temporary, *options, "--force")
    assert code == 2
    assert fnmatch(said.strip(), MATRIX["together-output"].sees), said
    first.send_signal(signal.SIGCONT)
    first.communicate()
    assert first.returncode == 0
    assert sitk.GetArrayFromImage(sitk.ReadImage(output)).any()
    assert not any(tmp_path.glob(".medclipsam-*"))


@pytest.mark.row("together-work")
def test_two_runs_on_one_volume(volume: Path, tmp_path: Path, temporary: Path) -> None:
    outputs = [tmp_path / "1.nii.gz", tmp_path / "2.nii.gz"]
    both = [start(AT_NO_STAGE, "SIGKILL", temporary, "segment", volume, *CHOICES, "-o", output) for output in outputs]
    for process in both:
        assert process.wait(timeout=300) == 0
    first, second = (sitk.GetArrayFromImage(sitk.ReadImage(output)) for output in outputs)
    assert first.any()
    assert np.array_equal(first, second)
