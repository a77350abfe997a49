"""DICOM folders become volume nodes: order, geometry, compression, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, RLELossless, generate_uid

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.scene.volumes import read_volume, volume_from_node

from .. import grids
from ..refusing import refused
from .dicom_files import write_series


@pytest.mark.parametrize("kind", [kind for kind in grids.GRIDS if kind not in grids.LEFT_HANDED])
def test_dicom_folder_in_any_file_order(kind: str, tmp_path: Path):
    write_series(tmp_path, grids.voxels(), grids.GRIDS[kind])
    node = read_volume(tmp_path)
    volume = volume_from_node(node)
    assert (node.GetName(), volume.modality) == ("3: abdomen", "CT")
    np.testing.assert_array_equal(volume.array, grids.voxels())
    np.testing.assert_allclose(volume.ijk_to_ras, grids.GRIDS[kind], atol=1e-5)


def test_dicom_slices_from_head_to_feet(tmp_path: Path):
    """A stack numbered against its normal comes out with its slices along it, every voxel where it was."""
    matrix = grids.GRIDS["left-handed"]
    write_series(tmp_path, grids.voxels(), matrix)
    volume = volume_from_node(read_volume(tmp_path))
    np.testing.assert_array_equal(volume.array, grids.voxels()[::-1])
    np.testing.assert_allclose(volume.ijk_to_ras[:3, 3], (matrix @ (0, 0, grids.SHAPE[0] - 1, 1))[:3], atol=1e-5)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, RLELossless])
def test_dicom_slices_of_common_size(syntax: str, tmp_path: Path):
    """Their pixels are too long to be read with the headers."""
    array = np.random.default_rng(0).integers(-1000, 1000, (3, 256, 256)).astype(np.int16)
    write_series(tmp_path, array, grids.GRIDS["axial"])
    for file in tmp_path.iterdir():
        image = dcmread(file)
        if syntax == RLELossless:
            image.compress(syntax)
        image.file_meta.TransferSyntaxUID = UID(syntax)
        image.save_as(file)
    np.testing.assert_array_equal(volume_from_node(read_volume(tmp_path)).array, array)
    whole = file.read_bytes()
    file.write_bytes(whole[:-2000])
    refused(tmp_path, "damaged")


def test_one_file_stands_for_its_series(tmp_path: Path):
    write_series(tmp_path, grids.voxels(0), grids.GRIDS["axial"], number=3, modality="MR")
    write_series(tmp_path, grids.voxels(1)[:2], grids.GRIDS["axial"], number=4, description="scout")
    (tmp_path / "notes.txt").write_text("not an image")
    with pytest.raises(InputError, match=r"2 series: 3: abdomen \(9 images\); 4: scout \(2 images\)"):
        read_volume(tmp_path)
    volume = volume_from_node(read_volume(tmp_path / "3-004.dcm"))
    assert volume.modality == "MR"
    np.testing.assert_array_equal(volume.array, grids.voxels(0))


def two_phases(folder: Path) -> None:
    write_series(folder, grids.voxels(), grids.GRIDS["axial"])
    copy = dcmread(folder / "3-000.dcm")
    copy.SOPInstanceUID = copy.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    copy.save_as(folder / "again.dcm")


def turn_one_slice(folder: Path) -> None:
    write_series(folder, grids.voxels(), grids.GRIDS["axial"])
    changed = dcmread(folder / "3-000.dcm")
    changed.ImageOrientationPatient = [0, 1, 0, 0, 0, 1]
    changed.save_as(folder / "3-000.dcm")


def without_positions(folder: Path) -> None:
    write_series(folder, grids.voxels(), grids.GRIDS["axial"])
    for file in folder.iterdir():
        changed = dcmread(file)
        del changed.ImagePositionPatient
        changed.save_as(file)


def spoiled(tag: str, *values: str) -> Callable[[Path], None]:
    """A series whose files all hold ``values`` in ``tag``, which may be none, too few, or no numbers."""

    def spoil(folder: Path) -> None:
        write_series(folder, grids.voxels(), grids.GRIDS["axial"])
        for file in folder.iterdir():
            changed = dcmread(file)
            raw = "\\".join(values)
            length = len(raw) + len(raw) % 2
            changed[tag] = RawDataElement(changed[tag].tag, "DS", length, raw.ljust(length).encode(), 0, False, True)
            changed.save_as(file)

    return spoil


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: None, "holds no DICOM images"),
        (two_phases, "several images at one position"),
        (turn_one_slice, "several directions or sizes"),
        (without_positions, "no slice positions"),
        (spoiled("ImagePositionPatient"), "no slice positions"),
        (spoiled("ImagePositionPatient", "1", "2"), "no slice positions"),
        (spoiled("ImagePositionPatient", "1", "2", "x"), "no slice positions"),
        (spoiled("ImageOrientationPatient"), "no slice positions"),
        (spoiled("ImageOrientationPatient", *"000000"), "no slice positions"),
        (spoiled("Rows"), "damaged or cut off"),
    ],
)
def test_dicom_folder_that_is_no_volume(spoil: Callable[[Path], None], said: str, tmp_path: Path):
    spoil(tmp_path)
    refused(tmp_path, said)
