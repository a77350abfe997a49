"""Nothing of a patient's identity leaves the DICOM files, and nobody else may read what lies on disk meanwhile."""

from __future__ import annotations

import json
import logging
import os
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread

from MedCLIPSAMLib.engine.prompt.prompt import Prompt
from MedCLIPSAMLib.engine.session.settings import Settings
from MedCLIPSAMLib.engine.volume import Window
from MedCLIPSAMLib.engine.worker.messages import Failure, Open, Preview
from MedCLIPSAMLib.engine.worker.process import EngineProcess
from MedCLIPSAMLib.scene.volumes import read_volume, volume_from_node

from ..conftest import REPOSITORY
from .dicom_inputs import series

IDENTITY = {
    "PatientName": "Roe^Zuleika",
    "PatientID": "ID-5550123",
    "PatientBirthDate": "19370815",
    "PatientAddress": "7 Quiet Lane",
    "ReferringPhysicianName": "Gray^Meredith",
    "InstitutionName": "Saint Elsewhere",
    "AccessionNumber": "ACC-998877",
    "StudyDescription": "follow-up of Zuleika Roe",
    "StudyDate": "20210304",
}
SECRETS = ("Roe^Z", "Zuleika", "5550123", "19370815", "Quiet Lane", "Meredith", "Elsewhere", "998877", "20210304")


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """A DICOM folder with all that an identity has."""
    folder = series(tmp_path / "scan")
    for file in folder.iterdir():
        image = dcmread(file)
        for tag, value in IDENTITY.items():
            setattr(image, tag, value)
        image.save_as(file)
    return folder


def told(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret.casefold() in text.casefold()]


def everything_in(folder: Path) -> str:
    """The bytes and names of all files, those inside archives too."""
    parts = []
    for path in folder.rglob("*"):
        parts.append(path.name)
        if path.is_file():
            parts.append(path.read_bytes().decode("latin-1"))
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                parts += [archive.read(name).decode("latin-1") for name in archive.namelist()]
    return "\n".join(parts)


@pytest.mark.row("identity")
@pytest.mark.parametrize("ending", [".seg.nrrd", ".nii.gz", ".mrb"])
def test_results_and_messages(
    ending: str, scan: Path, command: Callable[..., Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    options = ("--report", out / "r.json", "--evidence", out / "why", "-o", out / f"o{ending}")
    with caplog.at_level(logging.DEBUG):
        ended = command("segment", scan, "-p", "bright", "--window", "0,255", *options)
    assert ended.code == 0, ended.err
    assert json.loads((out / "r.json").read_text())["prompts"][0]["found"]
    assert not told(everything_in(out) + ended.out + ended.err + caplog.text)


@pytest.mark.row("identity")
def test_results_in_dicom_say_whose_they_are_and_nothing_else_does(
    scan: Path, command: Callable[..., Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("highdicom", exc_type=ImportError, reason="the extra dicom is not installed")
    out = tmp_path / "out"
    out.mkdir()
    options = ("--report", out / "r.json", "--report", out / "r.sr.dcm", "-o", out / "o.seg.dcm")
    with caplog.at_level(logging.DEBUG):
        ended = command("segment", scan, "-p", "bright", "--window", "0,255", *options)
    assert ended.code == 0, ended.err
    for name in ("o.seg.dcm", "r.sr.dcm"):
        made = dcmread(out / name)
        assert (made.PatientName, made.PatientID) == (IDENTITY["PatientName"], IDENTITY["PatientID"])
        assert not {"PatientAddress", "InstitutionName"} & set(made.dir())
        (out / name).unlink()
    assert not told(everything_in(out) + ended.out + ended.err + caplog.text)


@pytest.mark.row("identity")
def test_refusals(scan: Path, no_models: Callable[..., Any], tmp_path: Path) -> None:
    file = next(scan.iterdir())
    file.write_bytes(file.read_bytes()[:-100])
    ended = no_models("segment", scan, "-p", "bright", "-o", tmp_path / "o.mrb")
    assert ended.code == 2
    assert not told(ended.err)


@pytest.mark.row("identity")
@pytest.mark.row("temporary-files")
def test_the_engine_of_the_panel(
    scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its log has no pixels either: it stays short, whatever is asked."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    volume = volume_from_node(read_volume(scan))
    with caplog.at_level(logging.DEBUG, logger="MedCLIPSAMLib"):
        engine = EngineProcess()
        settings = Settings(window=Window(0, 255))
        prompt = Prompt("liver", ("liver",))
        asked = Open(volume.array, volume.ijk_to_ras, "CT", volume.name, "quickstart", "lite-medsam", "cpu", settings)
        numbers = [engine.send(asked), engine.send(Preview(8, prompt, True)), engine.send(Preview(999, prompt, True))]
        answers: dict[int | None, Any] = {}
        while not set(numbers) <= set(answers):
            answers |= {reply.number: reply.answer for reply in engine.poll()}
        assert isinstance(answers[numbers[2]], Failure)
        for path in place.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o700, "what it shares with the window is the user's own"
        engine.stop()
    assert not any(path.is_file() for path in place.rglob("*"))
    assert not told(caplog.text)
    assert len(caplog.text) < 20_000
    assert np.array2string(np.asarray(volume.array[8, 20, 20:26])) not in caplog.text


@pytest.mark.row("temporary-files")
def test_a_command_leaves_no_file(scan: Path, tmp_path: Path) -> None:
    """In a process of its own, so that its end is seen as well."""
    place = tmp_path / "temporary"
    place.mkdir()
    command = [sys.executable, "-m", "MedCLIPSAMLib", "preview", str(scan), "--slice", "9", "-p", "liver"]
    ended = subprocess.run(
        [*command, "-o", str(tmp_path / "look.png")],
        cwd=REPOSITORY,
        env=os.environ | {"TMPDIR": str(place), "PYTHONPATH": str(REPOSITORY / "MedCLIPSAM")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert not told(ended.stdout + ended.stderr)
    assert not [path for path in place.rglob("*") if path.is_file()]
