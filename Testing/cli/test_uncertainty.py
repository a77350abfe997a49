"""`segment --uncertainty`: a map for each prompt that is found, numbers in report and table."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from MedCLIPSAMLib.engine.errors import Cancelled
from MedCLIPSAMLib.engine.session.session import Session

from .conftest import AFFINE, Ended

WINDOW = ("--window", "0,255")


def test_a_map_on_the_voxels_of_the_volume(
    command: Callable[..., Ended], volume: Path, bar: np.ndarray, tmp_path: Path
) -> None:
    map_, report = tmp_path / "unsure.nii.gz", tmp_path / "report.json"
    ended = command(
        "segment", volume, "-p", "bright", *WINDOW, "-o", tmp_path / "o.nii.gz", "--uncertainty", map_,
        "--report", report,
    )  # fmt: skip
    assert ended.code == 0, ended.err
    image = nibabel.Nifti1Image.from_filename(map_)
    assert image.affine == pytest.approx(AFFINE)
    assert image.get_data_dtype() == np.float32
    bits = np.asarray(image.dataobj)
    assert bits.shape == bar.shape
    assert 0 == bits.min() < bits.max() <= 1
    assert set(np.flatnonzero(bits.any((0, 1)))) <= set(range(5, 15))
    (prompt,) = json.loads(report.read_text())["prompts"]
    values = {part["index"]: part["uncertainty"] for part in prompt["slices"]}
    assert len(values) == 20
    assert {index for index, value in values.items() if value is not None} == set(range(5, 15))
    assert all(0 <= value <= 1 for value in values.values() if value is not None)
    least = prompt["uncertainty"]["least_sure"]
    assert values[least[0]] == max(filter(None, values.values()))
    assert prompt["uncertainty"]["file"] == str(map_)
    assert f"Written: {map_}" in ended.out
    assert f"bright: least sure on slices {least[0]} (" in ended.out
    assert "uncertainty" in json.loads(report.read_text())["seconds"]


def test_without_it_nothing_is_said_of_it(command: Callable[..., Ended], volume: Path, tmp_path: Path) -> None:
    ended = command("segment", volume, "-p", "bright", *WINDOW, "-o", tmp_path / "o.nii.gz", "--json")
    assert "uncertainty" not in ended.out


def test_several_prompts_and_one_that_is_not_found(command: Callable[..., Ended], volume: Path, tmp_path: Path) -> None:
    """What is not found has no map, not even an old one, and the table says why."""
    old = tmp_path / "map-liver.nrrd"
    old.write_text("of another run")
    given = ("-p", "bright", "-p", "liver", *WINDOW, "-o", tmp_path / "o.seg.nrrd", "--uncertainty")
    ended = command("segment", volume, *given, tmp_path / "map.nrrd")
    assert ended.code == 2
    assert "map-liver.nrrd exists" in ended.err
    ended = command("segment", volume, *given, tmp_path / "map.nrrd", "--force")
    assert ended.code == 0, ended.err
    assert "liver: no map of uncertainty, because nothing was found." in ended.out
    assert sitk.ReadImage(tmp_path / "map-bright.nrrd").GetSize() == (60, 48, 20)
    assert not old.exists()
    ended = command("segment", volume, *given, tmp_path / "map.nrrd", "--force", "--json")
    bright, liver = json.loads(ended.out)["prompts"]
    assert bright["uncertainty"]["masks"] >= 3
    assert liver["uncertainty"] is None
    assert {part["uncertainty"] for part in liver["slices"]} == {None}


def test_on_some_slices(command: Callable[..., Ended], volume: Path, tmp_path: Path) -> None:
    ended = command(
        "segment", volume, "-p", "bright", *WINDOW, "--slices", "8:11", "--uncertainty", tmp_path / "map.nrrd",
        "-o", tmp_path / "o.seg.nrrd",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    bits = sitk.GetArrayFromImage(sitk.ReadImage(tmp_path / "map.nrrd"))
    assert bits.shape == (20, 48, 60)
    assert not bits[[*range(8), *range(12, 20)]].any()


def test_of_a_picture(command: Callable[..., Ended], tmp_path: Path) -> None:
    grey = np.full((80, 100), 80, np.uint8)
    grey[20:50, 30:70] = 200
    Image.fromarray(grey).save(tmp_path / "photo.png")
    ended = command(
        "segment", tmp_path / "photo.png", "-p", "bright", "-o", tmp_path / "mask.png",
        "--uncertainty", tmp_path / "map.nrrd",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    assert sitk.ReadImage(tmp_path / "map.nrrd").GetSize() == (100, 80, 1)
    assert "bright: uncertainty 0." in ended.out


@pytest.mark.parametrize(
    ("map_", "said"),
    [
        ("map.png", "no ending that a map can have"),
        ("map.seg.nrrd", "taken for a segmentation"),
        ("none/map.nrrd", "does not exist"),
        ("o.nii.gz", "is named twice"),
        ("bars.nii.gz", "bars.nii.gz"),
    ],
)
def test_bad_names_are_refused_before_a_model_is_loaded(
    no_models: Callable[..., Ended], volume: Path, tmp_path: Path, map_: str, said: str
) -> None:
    ended = no_models("segment", volume, "-p", "bright", "-o", tmp_path / "o.nii.gz", "--uncertainty", tmp_path / map_)
    assert ended.code == 2
    assert said in ended.err
    assert {file.name for file in tmp_path.iterdir()} == {"bars.nii.gz"}


def test_cancelled_while_it_is_measured_the_segmentation_stays(
    command: Callable[..., Ended], volume: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cancelled(*_: Any) -> None:
        raise Cancelled("The run was cancelled.")

    monkeypatch.setattr(Session, "uncertainty", cancelled)
    output, report = tmp_path / "o.nii.gz", tmp_path / "report.json"
    ended = command(
        "segment", volume, "-p", "bright", *WINDOW, "-o", output, "--uncertainty", tmp_path / "map.nrrd",
        "--report", report,
    )  # fmt: skip
    assert ended.code != 0
    assert f"{output} is saved, but not all that belongs to it." in ended.err
    assert output.is_file()
    assert report.is_file()
    assert not (tmp_path / "map.nrrd").exists()
