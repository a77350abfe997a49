"""Every row of the table about volumes, voxels, geometry, DICOM and files: by the command line, and by the logic."""

from __future__ import annotations

import json
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import slicer

from MedCLIPSAMLib.engine.clip import registry as clips
from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.engine.prompt.prompt import PromptSet
from MedCLIPSAMLib.engine.sam import registry as segmenters
from MedCLIPSAMLib.engine.session.session import Session
from MedCLIPSAMLib.engine.session.settings import Settings
from MedCLIPSAMLib.engine.volume import Volume, Window
from MedCLIPSAMLib.scene.run import run
from MedCLIPSAMLib.scene.segmentation.segments import create_segmentation, read_segment
from MedCLIPSAMLib.scene.volumes import node_from_volume, read_volume, volume_from_node

from ..engine.bars import BRIGHT, dice, session
from ..engine.fakes import GreyClip, GreySegmenter
from . import dicom_inputs
from .inputs import AFFINE, INPUTS, Given, Make, body
from .matrix import MATRIX

FOUND, NOT_FOUND = "found", "not found"
_ODD = (  # what models may stumble over, and are quick with
    *("volume-constant", "volume-zero", "volume-nan", "volume-one-slice", "volume-one-voxel", "volume-1x1xn"),
    *("volume-thin", "spacing-tiny"),
)
_MINUTES = ("volume-many-slices",)  # with the stand-ins


def tried(*, accepted: bool) -> list[Any]:
    """Each file of each row that is accepted, or refused."""
    return [
        pytest.param(
            name,
            make,
            id=f"{name}-{number}",
            marks=[pytest.mark.row(name), *([pytest.mark.slow] if name in _MINUTES else [])],
        )
        for name, makes in INPUTS.items()
        for number, make in enumerate(makes)
        if (MATRIX[name].sees in (FOUND, NOT_FOUND)) == accepted
    ]


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def check(mask: np.ndarray, given: Given) -> None:
    if given.mask is None:
        assert not mask.any()
    else:
        assert dice(mask, given.mask) > 0.9


@pytest.mark.parametrize(("row", "make"), tried(accepted=True))
def test_accepted_by_the_command_line(row: str, make: Make, command: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    given = make(tmp_path / "in")
    output = tmp_path / "out.nii.gz"
    ended = command("segment", given.path, "-p", "bright", "--window", "0,255", "-o", output, "--json")
    assert ended.code == 0, ended.err
    (prompt,) = json.loads(ended.out)["prompts"]
    assert prompt["found"] == (MATRIX[row].sees == FOUND)
    check(sitk.GetArrayFromImage(sitk.ReadImage(output)) == 1, given)


@pytest.mark.parametrize(("row", "make"), tried(accepted=True))
def test_accepted_by_the_logic(row: str, make: Make, tmp_path: Path) -> None:
    given = make(tmp_path)
    node = read_volume(given.path)
    segmentation = create_segmentation(node)
    (result,) = run(session(volume_from_node(node)), node, PromptSet((BRIGHT,)), segmentation)
    assert result.found == (MATRIX[row].sees == FOUND)
    mask = read_segment(segmentation, node, result.segment_id)
    check(mask[::-1] if "left-handed" in row else mask, given)


@pytest.mark.parametrize(("row", "make"), tried(accepted=False))
def test_refused_by_the_command_line(row: str, make: Make, no_models: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    given = make(tmp_path / "in")
    before = files(tmp_path)
    ended = no_models("segment", given.path, "-p", "bright", "-o", tmp_path / "out.nii.gz")
    assert ended.code == 2, ended
    assert ended.err.startswith("Error: ")
    assert ended.err.count("\n") == 1, "one sentence"
    assert fnmatch(ended.err.strip(), MATRIX[row].sees), ended.err
    assert files(tmp_path) == before


@pytest.mark.parametrize(("row", "make"), tried(accepted=False))
def test_refused_by_the_logic(row: str, make: Make, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    given = make(tmp_path)
    before = slicer.mrmlScene.GetNumberOfNodes()
    with pytest.raises(InputError) as refusal:
        volume_from_node(read_volume(given.path))
    assert fnmatch(str(refusal.value), MATRIX[row].sees), refusal.value
    assert slicer.mrmlScene.GetNumberOfNodes() == before
    assert capfd.readouterr() == ("", ""), "the sentence is all that is said"


@pytest.fixture(scope="module")
def built_in() -> tuple[Any, Any]:
    return clips.load_clip("quickstart", "cpu"), segmenters.load_segmenter("lite-medsam", "cpu")


def tried_with_models() -> list[Any]:
    """One file of each row that is accepted: the models see no types of voxels or files."""
    first = {case.values[0]: case for case in reversed(tried(accepted=True))}
    return [
        pytest.param(*case.values, id=name, marks=[*case.marks, *([] if name in _ODD else [pytest.mark.slow])])
        for name, case in reversed(first.items())
        if name not in _MINUTES
    ]


@pytest.mark.parametrize(("row", "make"), tried_with_models())
def test_the_built_in_models_end_well(
    row: str, make: Make, built_in: Any, command: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They know no bars: whatever they make of them, it is a result."""
    monkeypatch.setattr(clips, "load_clip", lambda *_: built_in[0])
    monkeypatch.setattr(segmenters, "load_segmenter", lambda *_: built_in[1])
    (tmp_path / "in").mkdir()
    given = make(tmp_path / "in")
    output = tmp_path / "out.seg.nrrd"
    ended = command("segment", given.path, "-p", "liver", "-p", "brain", "-o", output, "--json")
    assert ended.code == 0, ended.err
    assert [prompt["name"] for prompt in json.loads(ended.out)["prompts"]] == ["liver", "brain"]
    assert output.stat().st_size > 0


@pytest.mark.row("dicom-no-image")
@pytest.mark.row("dicom-text")
def test_what_lies_beside_a_series_is_passed_over(tmp_path: Path) -> None:
    given = dicom_inputs.beside_images(tmp_path)
    assert given.mask is not None
    assert volume_from_node(read_volume(given.path)).array.shape == given.mask.shape


@pytest.mark.row("dicom-two-series")
def test_a_file_chooses_its_series(tmp_path: Path) -> None:
    (folder,) = (make(tmp_path).path for make in INPUTS["dicom-two-series"])
    assert read_volume(folder / "4-003.dcm").GetName() == "4: arterial"


@pytest.mark.row("type-bool")
def test_true_and_false_are_0_and_1() -> None:
    mask = body()[1]
    node = node_from_volume(Volume(mask, AFFINE, "other", "bool"))
    segmentation = create_segmentation(node)
    for volume in (volume_from_node(node), Volume(mask, AFFINE, "other")):
        chain = Session(volume, GreyClip(), GreySegmenter(), Settings(window=Window(0, 1.25)))
        (result,) = run(chain, node, PromptSet((BRIGHT,)), segmentation)
        assert dice(read_segment(segmentation, node, result.segment_id), mask) > 0.9
