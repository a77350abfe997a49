"""A DICOM study on the command line: what it holds, which series and which frame of it is segmented."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from ..engine.bars import dice
from ..scene.dicom.dicom_files import write_series
from .conftest import AFFINE, SHAPE, Ended

Command = Callable[..., Ended]


@pytest.fixture
def study(tmp_path: Path, bar: np.ndarray) -> Path:
    """A localizer, and a series of two volumes at one place: nothing, and the bar."""
    folder = tmp_path / "study"
    folder.mkdir()
    array = np.zeros(SHAPE, np.int16)
    array[4:56, 4:44] = 80
    uid = generate_uid()

    def b_value(image: Dataset, value: float) -> None:
        image.DiffusionBValue = value

    def localizer(image: Dataset, k: int) -> None:
        image.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

    shared = {"description": "ep2d diff", "number": 5, "modality": "MR", "uid": uid}
    write_series(folder / "5", array.T, AFFINE, change=lambda image, k: b_value(image, 0), **shared)
    array[bar] = 200
    write_series(folder / "5", array.T, AFFINE, change=lambda image, k: b_value(image, 1000), first=SHAPE[2], **shared)
    write_series(folder / "1", array.T[:2], AFFINE, description="loc [3]", number=1, modality="MR", change=localizer)
    return folder


@pytest.mark.row("dicom-study")
def test_the_list_of_series(study: Path, command: Command) -> None:
    ended = command("series", study)
    assert ended.code == 0
    assert [line for line in ("ep2d diff", "loc [3]", "no: localizer", "yes") if line in ended.out] == [
        "ep2d diff", "loc [3]", "no: localizer", "yes"
    ]  # fmt: skip
    listed = json.loads(command("series", study, "--json").out)
    assert listed == [
        {
            "number": "1",
            "description": "loc [3]",
            "modality": "MR",
            "images": 2,
            "volume": False,
            "because": "localizer",
            "folder": "1",
        },
        {
            "number": "5",
            "description": "ep2d diff",
            "modality": "MR",
            "images": 40,
            "volume": True,
            "because": None,
            "folder": "5",
        },
    ]


def test_a_folder_without_series(tmp_path: Path, command: Command) -> None:
    ended = command("series", tmp_path)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "holds no DICOM files" in ended.err


@pytest.mark.row("dicom-frames")
def test_the_first_volume_is_taken_and_said(study: Path, command: Command, tmp_path: Path) -> None:
    ended = command(
        *("segment", study, "-p", "bright", "--window", "0,255", "-o", tmp_path / "out.nii.gz"),
        *("--report", tmp_path / "report.json"),
    )
    assert ended.code == 0, ended.err
    said = " ".join(ended.err.split())
    assert "Of 2 series 5: ep2d diff is read, not 1: loc [3] (localizer)." in said
    assert "Frame 1 of 2 of 5: ep2d diff is read (b = 0 s/mm²); --frame chooses another." in said
    told = json.loads((tmp_path / "report.json").read_text())["volume"]
    assert (told["series"], told["grid"]) == ("5: ep2d diff", None)
    assert told["frame"] == {"number": 1, "of": 2, "what": "b = 0 s/mm²"}
    assert len(told["remarks"]) == 2


@pytest.mark.row("dicom-frames")
def test_the_frame_that_is_asked_for(study: Path, command: Command, bar: np.ndarray, tmp_path: Path) -> None:
    choice = ("--series", "diff", "--frame", "2")
    output = tmp_path / "out.nii.gz"
    ended = command("segment", study, "-p", "bright", "--window", "0,255", "-o", output, *choice, "--json")
    assert ended.code == 0, ended.err
    found: nibabel.Nifti1Image = nibabel.load(output)  # type: ignore[assignment]
    assert dice(np.asanyarray(found.dataobj) == 1, bar) > 0.9
    assert json.loads(ended.out)["volume"]["frame"]["number"] == 2
    picture = tmp_path / "look.png"
    ended = command("preview", study, "--slice", "10", "-p", "bright", "--window", "0,255", "-o", picture, *choice)
    assert ended.code == 0, ended.err
    assert "bright: found on slice 10" in ended.out


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (("--frame", "3"), "has volumes 1 to 2; there is no frame 3."),
        (("--series", "7"), "has no series '7'; it holds 1: loc [3] (2 images in 1); 5: ep2d diff (40 images in 5)."),
    ],
)
def test_a_choice_that_is_not_there(
    choice: tuple[str, str], said: str, study: Path, no_models: Command, tmp_path: Path
) -> None:
    ended = no_models("segment", study, "-p", "bright", "-o", tmp_path / "out.nii.gz", *choice)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert said in ended.err


@pytest.mark.row("dicom-tilted")
def test_a_file_that_cannot_hold_the_grid_is_refused_before_the_work(
    bar: np.ndarray, no_models: Command, tmp_path: Path
) -> None:
    tilted = AFFINE.copy()
    tilted[1, 2] = 1.0
    write_series(tmp_path / "tilted", bar.T.astype(np.int16), tilted)
    ended = no_models("segment", tmp_path / "tilted", "-p", "bright", "-o", tmp_path / "out.nii.gz")
    assert (ended.code, ended.err.splitlines()[-1].startswith("Error: out.nii.gz cannot hold voxels")) == (2, True)


@pytest.mark.row("dicom-uneven")
def test_the_report_says_that_slices_were_resampled(bar: np.ndarray, command: Command, tmp_path: Path) -> None:
    array = np.where(bar.T, 200, 80).astype(np.int16)
    write_series(tmp_path / "uneven", array, AFFINE, skip=(3, 9))
    ended = command("segment", tmp_path / "uneven", "-p", "bright", "-o", tmp_path / "out.seg.nrrd", "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["volume"]["grid"] == "resampled from uneven distances"


@pytest.mark.row("identity")
def test_nothing_of_the_patient_is_listed(study: Path, command: Command) -> None:
    header = dcmread(next((study / "5").iterdir()))
    ended = command("series", study, "--json")
    assert str(header.PatientName) not in ended.out
    assert header.PatientID not in ended.out
