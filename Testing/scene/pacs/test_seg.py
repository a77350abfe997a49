"""DICOM SEG: read back by highdicom and pydicom, on every kind of source."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
from pydicom import Dataset, dcmread

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.engine.prompt.prompt import Point, Prompt
from MedCLIPSAMLib.scene.dicom.origin import origin_of
from MedCLIPSAMLib.scene.files.saving import check_output, check_slices, save
from MedCLIPSAMLib.scene.geometry import ijk_to_ras
from MedCLIPSAMLib.scene.segmentation.provenance import ModelUse, Provenance
from MedCLIPSAMLib.scene.segmentation.segments import read_segment, write_segment
from MedCLIPSAMLib.scene.volumes import read_volume

from .. import grids
from ..dicom.dicom_files import write_series
from .sources import PICTURES, VOLUMES, corners, faults, frames_in, masks_for, segmented

highdicom = pytest.importorskip("highdicom", exc_type=ImportError, reason="the extra dicom is not installed")
MM = 1e-3


def of_seg_nrrd(path: Path, volume_node: Any) -> list[np.ndarray]:
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(str(path))
    assert storage.ReadData(node)
    return [read_segment(node, volume_node, segment_id) for segment_id in node.GetSegmentation().GetSegmentIDs()]


@pytest.mark.parametrize("kind", VOLUMES)
def test_voxels_are_those_of_seg_nrrd(kind: str, tmp_path: Path):
    """Each frame lies where its source does, to a thousandth of a millimetre, and has the voxels of that slice."""
    given = VOLUMES[kind](tmp_path / "in")
    node = read_volume(given.path, frame=given.frame)
    first, second = masks_for(node)
    segmentation = segmented(node, {"liver": first, "left kidney": second})
    save(segmentation, node, tmp_path / "out.seg.nrrd")
    (tmp_path / "out").mkdir()
    (file,) = save(segmentation, node, tmp_path / "out" / "out.seg.dcm").files
    expected, origin = of_seg_nrrd(tmp_path / "out.seg.nrrd", node), origin_of(node)
    assert origin is not None
    seg, images = highdicom.seg.segread(file), frames_in(given.path)
    shared, matrix = seg.SharedFunctionalGroupsSequence[0], ijk_to_ras(node)
    orientation = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    spacing = np.array(shared.PixelMeasuresSequence[0].PixelSpacing, float)
    assert seg.NumberOfFrames == 2 * len(origin.frames)
    used = set()
    for frame, pixels in zip(seg.PerFrameFunctionalGroupsSequence, seg.pixel_array, strict=True):
        position = np.array(frame.PlanePositionSequence[0].ImagePositionPatient, float)
        (image,) = frame.DerivationImageSequence[0].SourceImageSequence
        source = images[image.ReferencedSOPInstanceUID, image.get("ReferencedFrameNumber")]
        np.testing.assert_allclose(position, np.array(source.ImagePositionPatient, float), atol=MM)
        # Which slice of the volume, reckoned from the place alone.
        place = (np.linalg.inv(matrix) @ (*(position * (-1, -1, 1)), 1))[2]
        k = min(round(place), len(first) - 1)
        if abs(place - k) < 1e-3:
            ends = np.array([(i, j, k, 1) for i in (0, first.shape[2] - 1) for j in (0, first.shape[1] - 1)])
            found = corners(position, orientation, spacing, pixels.shape)
            np.testing.assert_allclose(found, (ends @ matrix.T)[:, :3], atol=MM)
        segment = frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        np.testing.assert_array_equal(pixels, expected[segment - 1][k])
        used.add((segment, k))
    if origin.frames[-1].place == len(first) - 1 == len(origin.frames) - 1:
        assert len(used) == 2 * len(first), "every slice is there"
    assert faults(file) == []


@pytest.mark.parametrize("kind", PICTURES)
def test_a_picture(kind: str, tmp_path: Path):
    given = PICTURES[kind](tmp_path / "in")
    node = read_volume(given.path, frame=given.frame)
    (mask,) = masks_for(node, 1)
    segmentation = segmented(node, {"lung": mask})
    (file,) = save(segmentation, node, tmp_path / "out.seg.dcm").files
    seg, image = dcmread(file), dcmread(given.path)
    np.testing.assert_array_equal(seg.pixel_array, mask[0])
    (reference,) = seg.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence
    assert reference.ReferencedSOPInstanceUID == image.SOPInstanceUID
    assert reference.ReferencedSOPClassUID == image.SOPClassUID
    assert reference.get("ReferencedFrameNumber") == (given.frame if "NumberOfFrames" in image else None)
    assert faults(file) == []
    with pytest.raises(InputError, match=r"contours in space, where the picture .* has no place; use \.seg\.dcm"):
        check_slices(tmp_path / "out.rtstruct.dcm", node)


def test_it_belongs_to_the_study_of_the_patient_and_says_how_it_was_made(tmp_path: Path):
    write_series(tmp_path / "in", grids.voxels(), grids.GRIDS["oblique"])
    node = read_volume(tmp_path / "in")
    prompt = Prompt("left kidney", ("left kidney", "renal | parenchyma"), points=(Point((1.0, 2.0, 3.0)),))
    made = Provenance(prompt, True, models=(ModelUse("clip", "quickstart", "ab" * 32),), settings={"axis": "axial"})
    segmentation = segmented(node, {"left kidney": grids.blob()}, provenance=made)
    write_segment(segmentation, node, grids.blob(1), "my own")
    (file,) = save(segmentation, node, tmp_path / "out.seg.dcm").files
    seg, image = dcmread(file), dcmread(next((tmp_path / "in").iterdir()))
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientName", "PatientID"):
        assert seg[keyword].value == image[keyword].value
    assert seg.SeriesInstanceUID != image.SeriesInstanceUID
    assert (seg.Modality, seg.SegmentationType, seg.SegmentsOverlap) == ("SEG", "BINARY", "YES")
    (series,) = seg.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == image.SeriesInstanceUID
    kidney, own = seg.SegmentSequence
    (kind,), (category,) = kidney.SegmentedPropertyTypeCodeSequence, kidney.SegmentedPropertyCategoryCodeSequence
    (side,) = kind.SegmentedPropertyTypeModifierCodeSequence
    assert [(code.CodeValue, code.CodingSchemeDesignator) for code in (category, kind, side)] == [
        ("123037004", "SCT"),
        ("64033007", "SCT"),
        ("7771000", "SCT"),
    ]
    (algorithm,) = kidney.SegmentationAlgorithmIdentificationSequence
    assert (kidney.SegmentAlgorithmType, kidney.SegmentAlgorithmName) == ("SEMIAUTOMATIC", "MedCLIP-SAM")
    assert f"clip=quickstart SHA-256 {'ab' * 32}" in algorithm.AlgorithmParameters
    assert "renal | parenchyma" in algorithm.AlgorithmParameters
    assert kidney.SegmentDescription == "prompt: left kidney; renal | parenchyma"
    assert (own.SegmentLabel, own.SegmentAlgorithmType) == ("my own", "MANUAL")
    assert faults(file) == []


@pytest.mark.row("dicom-result-letters")
@pytest.mark.parametrize(
    ("characters", "name"),
    [
        ("ISO_IR 100", "Müller^Jörg"),
        ("ISO_IR 144", "Иванова^Жанна"),
        ("ISO_IR 192", "王^小東"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    ],
)
def test_names_in_any_letters(characters: str | list[str], name: str, tmp_path: Path):
    def named(image: Dataset, k: int) -> None:
        image.SpecificCharacterSet, image.PatientName = characters, name

    write_series(tmp_path / "in", grids.voxels(), grids.GRIDS["axial"], change=named)
    assert dcmread(next((tmp_path / "in").iterdir())).PatientName == name
    node = read_volume(tmp_path / "in")
    segmentation = segmented(node, {"печень 肝臓": grids.blob()})
    for ending in (".seg.dcm", ".rtstruct.dcm"):
        (file,) = save(segmentation, node, tmp_path / f"out{ending}").files
        made = dcmread(file)
        assert (made.SpecificCharacterSet, str(made.PatientName)) == ("ISO_IR 192", name)
        assert "печень 肝臓" in made.SeriesDescription
        assert faults(file) == []


def damaged(image: Dataset, k: int) -> None:
    from pydicom import config

    with config.disable_value_validation():
        image.PatientSex, image.PatientBirthDate, image.StudyTime = "W", "1.4.1970", "at noon"
        image.PatientAge, image.SeriesNumber, image.AccessionNumber = "old", 2**31 - 1, "X" * 20


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_no_reader_takes_of_a_header_is_left_out(tmp_path: Path):
    write_series(tmp_path / "in", grids.voxels(), grids.GRIDS["axial"], change=damaged)
    node = read_volume(tmp_path / "in")
    (file,) = save(segmented(node, {"liver": grids.blob()}), node, tmp_path / "out.seg.dcm").files
    made = dcmread(file)
    assert (made.PatientSex, made.PatientBirthDate, made.StudyTime, made.get("PatientAge")) == ("", "", "", None)


def test_slices_that_do_not_say_how_thick_they_are(tmp_path: Path):
    def silent(image: Dataset, k: int) -> None:
        image.SliceThickness = None

    write_series(tmp_path / "in", grids.voxels(), grids.GRIDS["axial"], change=silent)
    node = read_volume(tmp_path / "in")
    (file,) = save(segmented(node, {"liver": grids.blob()}), node, tmp_path / "out.seg.dcm").files
    (measures,) = dcmread(file).SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    assert float(measures.SliceThickness) == pytest.approx(3)
    assert faults(file) == []


@pytest.mark.row("dicom-result-uids")
@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "SOPInstanceUID"])
@pytest.mark.parametrize("ending", [".seg.dcm", ".rtstruct.dcm"])
def test_uids_by_which_results_are_filed(keyword: str, ending: str, tmp_path: Path):
    write_series(
        tmp_path / "in", grids.voxels(), grids.GRIDS["axial"], change=lambda image, k: setattr(image, keyword, "")
    )
    with pytest.raises(InputError, match=r"cannot refer to .*, which has no .* UID; export the series again"):
        check_slices(tmp_path / f"out{ending}", read_volume(tmp_path / "in"))


@pytest.mark.row("dicom-result-empty")
@pytest.mark.parametrize("ending", [".seg.dcm", ".rtstruct.dcm", ".stl", ".obj"])
def test_empty_segments_are_left_out_and_said(ending: str, tmp_path: Path):
    write_series(tmp_path / "in", grids.voxels(), grids.GRIDS["axial"])
    node = read_volume(tmp_path / "in")
    nothing = np.zeros(grids.SHAPE, bool)
    saved = save(segmented(node, {"spleen": nothing, "liver": grids.blob()}), node, tmp_path / f"out{ending}")
    assert saved.left_out == ("spleen",)
    assert all(file.is_file() for file in saved.files)
    assert len(saved.files) == (2 if ending == ".obj" else 1)
    (tmp_path / "none").mkdir()
    saved = save(segmented(node, {"spleen": nothing}), node, tmp_path / "none" / f"out{ending}")
    assert (saved.files, saved.left_out) == ((), ("spleen",))
    assert list((tmp_path / "none").iterdir()) == []


@pytest.mark.row("dicom-result-moved")
def test_files_that_are_gone_after_reading(tmp_path: Path):
    """What results need of them is kept with the volume."""
    write_series(tmp_path / "in", grids.voxels(), grids.GRIDS["axial"])
    node = read_volume(tmp_path / "in")
    for file in (tmp_path / "in").iterdir():
        file.unlink()
    segmentation = segmented(node, {"liver": grids.blob()})
    for ending in (".seg.dcm", ".rtstruct.dcm"):
        (file,) = save(segmentation, node, tmp_path / f"out{ending}").files
        assert dcmread(file).PatientID == "4711"


@pytest.mark.row("dicom-result-no-package")
def test_the_package_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "highdicom.seg", None)
    with pytest.raises(InputError, match="needs the package highdicom; install it by: pip install"):
        check_output(tmp_path / "out.seg.dcm")
    check_output(tmp_path / "out.rtstruct.dcm")


def test_it_is_imported_where_it_is_used_only():
    code = "import sys; from MedCLIPSAMLib.scene.files import saving; "
    code += "from MedCLIPSAMLib.scene.pacs import rtstruct; print('highdicom' in sys.modules)"
    there = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=there)
    assert ended.stdout == "False\n", ended.stderr
