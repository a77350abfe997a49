"""Stacks of slices that are no plain ones: tilted, uneven, with a scout among them, or stored as colours."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import slicer
from pydicom import Dataset, dcmread

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.engine.volume import SliceStack
from MedCLIPSAMLib.scene.files.saving import check_slices, save
from MedCLIPSAMLib.scene.geometry import ijk_to_ras
from MedCLIPSAMLib.scene.remarks import remarks
from MedCLIPSAMLib.scene.segmentation.segments import create_segmentation, read_segment, write_segment
from MedCLIPSAMLib.scene.volumes import read_volume, volume_from_node

from .. import grids
from .dicom_files import write_series

AXIAL = grids.GRIDS["axial"]
LEAN = np.tan(np.radians(18.5))


def tilted(kind: str) -> np.ndarray:
    """The grid of slices that are moved along their columns from one to the next, as of a tilted gantry."""
    matrix = grids.GRIDS[kind].copy()
    along = matrix[:3, 1] / np.linalg.norm(matrix[:3, 1])
    matrix[:3, 2] += LEAN * np.linalg.norm(matrix[:3, 2]) * along
    return matrix


@pytest.mark.row("dicom-tilted")
@pytest.mark.parametrize("kind", ["axial", "oblique", "sagittal"])
def test_a_tilted_gantry_is_a_sheared_grid(kind: str, tmp_path: Path):
    write_series(tmp_path, grids.voxels(), tilted(kind))
    node = read_volume(tmp_path)
    volume = volume_from_node(node)
    np.testing.assert_array_equal(volume.array, grids.voxels())
    np.testing.assert_allclose(volume.ijk_to_ras, tilted(kind), atol=1e-5)
    assert any("tilted gantry" in remark for remark in remarks(node))


@pytest.mark.row("dicom-tilted")
def test_what_is_behind_takes_a_sheared_grid(tmp_path: Path):
    """Slices, segments on their voxels, and .seg.nrrd; .nii.gz says in one sentence that it cannot."""
    write_series(tmp_path / "tilted", grids.voxels(), tilted("axial"))
    node = read_volume(tmp_path / "tilted")
    stack = SliceStack(volume_from_node(node))
    places = np.array([[0.0, 0, 0], [8, 13, 10]])
    np.testing.assert_allclose(stack.ras_to_slice(stack.slice_to_ras(places)), places, atol=1e-9)
    segmentation = create_segmentation(node)
    segment = write_segment(segmentation, node, grids.blob(), "liver")
    np.testing.assert_array_equal(read_segment(segmentation, node, segment), grids.blob())
    np.testing.assert_allclose(
        grids.segment_positions(segmentation, segment), grids.positions(grids.blob(), tilted("axial")), atol=1e-4
    )
    save(segmentation, node, tmp_path / "out.seg.nrrd")
    again = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(str(tmp_path / "out.seg.nrrd"))
    assert storage.ReadData(again)
    np.testing.assert_allclose(
        grids.segment_positions(again, again.GetSegmentation().GetNthSegmentID(0)),
        grids.positions(grids.blob(), tilted("axial")),
        atol=1e-4,
    )
    refusal = r"cannot hold voxels whose axes are not at right angles; use \.seg\.nrrd"
    with pytest.raises(InputError, match=refusal):
        save(segmentation, node, tmp_path / "out.nii.gz")
    with pytest.raises(InputError, match=refusal):
        check_slices(tmp_path / "out.nii.gz", node)
    check_slices(tmp_path / "out.seg.nrrd", node)


@pytest.mark.row("dicom-tilted")
def test_a_sheared_grid_comes_back_from_a_scene(tmp_path: Path):
    """As `.mrb` keeps it: volume and segmentation, both in NRRD."""
    write_series(tmp_path / "tilted", grids.voxels(), tilted("oblique"))
    node = read_volume(tmp_path / "tilted")
    segmentation = create_segmentation(node)
    write_segment(segmentation, node, grids.blob(), "liver")
    save(segmentation, node, tmp_path / "out.mrb")
    with zipfile.ZipFile(tmp_path / "out.mrb") as archive:
        (volume,) = (name for name in archive.namelist() if name.endswith(".nrrd") and "segmentation" not in name)
        archive.extract(volume, tmp_path)
    again = volume_from_node(read_volume(tmp_path / volume))
    np.testing.assert_array_equal(again.array, grids.voxels())
    np.testing.assert_allclose(again.ijk_to_ras, tilted("oblique"), atol=1e-4)


def every_other_shifted(mm: float) -> Callable[[Dataset, int], None]:
    """Moves each second slice across its plane."""

    def shift(image: Dataset, k: int) -> None:
        across, *others = image.ImagePositionPatient
        image.ImagePositionPatient = [float(across) + (mm if k % 2 else 0), *map(float, others)]

    return shift


@pytest.mark.row("dicom-tilted")
def test_a_shift_of_less_than_half_a_pixel_is_rounding(tmp_path: Path):
    write_series(tmp_path, grids.voxels(), AXIAL, change=every_other_shifted(0.3))
    np.testing.assert_allclose(volume_from_node(read_volume(tmp_path)).ijk_to_ras, AXIAL, atol=1e-5)


@pytest.mark.row("dicom-shifted")
def test_slices_that_are_shifted_this_way_and_that(tmp_path: Path):
    write_series(tmp_path, grids.voxels(), AXIAL, change=every_other_shifted(2))
    with pytest.raises(InputError, match="shifted against each other"):
        read_volume(tmp_path)


@pytest.mark.row("dicom-missing-slice")
def test_a_missing_slice_is_filled_from_those_beside_it(tmp_path: Path):
    write_series(tmp_path, grids.voxels(), AXIAL, skip=(4,))
    node = read_volume(tmp_path)
    volume = volume_from_node(node)
    expected = grids.voxels()
    expected[4] = np.rint((expected[3].astype(float) + expected[5]) / 2)
    np.testing.assert_array_equal(volume.array, expected)
    np.testing.assert_allclose(volume.ijk_to_ras, AXIAL, atol=1e-5)
    assert remarks(node) == (
        "The slices of 3: abdomen are 3.00 to 6.00 mm apart: they are resampled to 3.00 mm, "
        "1 of 9 slices from those beside them.",
    )


@pytest.mark.row("dicom-uneven")
@pytest.mark.parametrize("matrix", [AXIAL, tilted("oblique")], ids=["straight", "tilted"])
def test_each_slice_stays_at_its_place(matrix: np.ndarray, tmp_path: Path):
    """Thin slices below, thick ones above, as of a head; a ramp along the normal shows where slices come to lie."""
    depths = np.array([0, 1, 2, 3, 4, 6, 8, 10, 12.5])
    ramp = np.repeat((depths * 100).astype(np.int16), 14 * 11).reshape(grids.SHAPE)
    write_series(tmp_path, ramp, matrix, depths=depths.tolist())
    node = read_volume(tmp_path)
    volume = volume_from_node(node)
    np.testing.assert_allclose(volume.ijk_to_ras, matrix, atol=1e-5)
    assert len(volume.array) == 13 or len(volume.array) == 14
    np.testing.assert_array_equal(volume.array[:13, 0, 0], np.arange(13) * 100)
    assert any("uneven" not in remark and "resampled" in remark for remark in remarks(node))


@pytest.mark.row("dicom-uneven")
def test_two_slices_that_nearly_meet_do_not_make_a_thousand(tmp_path: Path):
    write_series(tmp_path, grids.voxels(), AXIAL, depths=[0, 1, 2, 3, 3.02, 4, 5, 6, 7])
    assert len(volume_from_node(read_volume(tmp_path)).array) == 8


@pytest.mark.row("dicom-shifted")
@pytest.mark.parametrize("far", [500, 1e5, 1e7])
def test_gaps_larger_than_what_is_there(far: float, tmp_path: Path):
    write_series(tmp_path, grids.voxels(), AXIAL, depths=[*range(8), far])
    with pytest.raises(InputError, match=r"has gaps of up to \d+\.00 mm between its slices|has no slice positions"):
        read_volume(tmp_path)


@pytest.mark.row("dicom-scout")
def test_a_scout_within_a_series_is_left_out(tmp_path: Path):
    write_series(tmp_path, grids.voxels(), AXIAL)
    scout = dcmread(tmp_path / "3-000.dcm")
    scout.ImageType, scout.ImageOrientationPatient = ["ORIGINAL", "PRIMARY", "LOCALIZER"], [1, 0, 0, 0, 0, -1]
    scout.SOPInstanceUID = "1.2.3"
    scout.save_as(tmp_path / "scout.dcm")
    node = read_volume(tmp_path)
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(node), grids.voxels())
    assert remarks(node) == ("1 image of 3: abdomen, made to plan it, is left out.",)


def as_colours(image: Dataset, colours: np.ndarray, kind: str) -> None:
    image.SamplesPerPixel, image.PhotometricInterpretation, image.PlanarConfiguration = 3, kind, 0
    image.BitsAllocated = image.BitsStored = 8
    image.HighBit, image.PixelRepresentation = 7, 0
    pixels = np.ascontiguousarray(colours, np.uint8).tobytes()
    image.PixelData = pixels + bytes(len(pixels) % 2)


@pytest.mark.row("dicom-grey-colours")
@pytest.mark.parametrize("kind", ["RGB", "YBR_FULL"])
def test_colours_that_are_grey(kind: str, tmp_path: Path):
    """They are levels of a screen, no Hounsfield units, whatever the modality is."""
    grey = np.abs(grids.voxels()).astype(np.uint8)
    rest = np.full(grey.shape, 128, np.uint8) if kind == "YBR_FULL" else grey
    colours = np.stack([grey, rest, rest], axis=-1)
    write_series(tmp_path, grids.voxels(), AXIAL, change=lambda image, k: as_colours(image, colours[k], kind))
    volume = volume_from_node(read_volume(tmp_path))
    np.testing.assert_array_equal(volume.array, grey)
    np.testing.assert_allclose(volume.ijk_to_ras, AXIAL, atol=1e-5)
    assert volume.modality == "other"


@pytest.mark.row("dicom-colours")
def test_colours_that_are_none(tmp_path: Path):
    colours = np.random.default_rng(0).integers(0, 255, (*grids.SHAPE, 3))
    write_series(tmp_path, grids.voxels(), AXIAL, change=lambda image, k: as_colours(image, colours[k], "RGB"))
    with pytest.raises(InputError, match="has colour pixels; give a series of grey-scale images"):
        read_volume(tmp_path)


@pytest.mark.row("dicom-mosaic")
def test_mosaics_are_no_slices(tmp_path: Path):
    def mosaic(image: Dataset, k: int) -> None:
        image.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]

    write_series(tmp_path, grids.voxels(), AXIAL, change=mosaic)
    with pytest.raises(InputError, match=r"mosaics, .*; convert it by dcm2niix"):
        read_volume(tmp_path)


def test_the_matrix_is_that_of_slicers_own_reader(tmp_path: Path):
    """Where its reader is right: of plain stacks."""
    write_series(tmp_path, grids.voxels(), grids.GRIDS["oblique"])
    files = sorted(tmp_path.iterdir(), key=lambda file: float(np.dot(normal(file), dcmread(file).ImagePositionPatient)))
    node = slicer.vtkMRMLScalarVolumeNode()
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetFileName(str(files[0]))
    for file in files:
        storage.AddFileName(str(file))
    assert storage.ReadData(node)
    np.testing.assert_allclose(ijk_to_ras(read_volume(tmp_path)), ijk_to_ras(node), atol=1e-4)


def normal(file: Path) -> np.ndarray:
    directions = np.array(dcmread(file).ImageOrientationPatient, float)
    return np.cross(directions[:3], directions[3:])
