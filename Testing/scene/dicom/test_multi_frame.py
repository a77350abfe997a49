"""Enhanced multi-frame files: each frame at its place, with its rescale, compressed or not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import slicer
from pydicom import Dataset, dcmread
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    RLELossless,
    generate_uid,
)

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.scene.remarks import remarks
from MedCLIPSAMLib.scene.volumes import read_volume, volume_from_node

from ...samples import pydicom_data
from .. import grids
from .dicom_files import write_dataset, write_multi_frame

VOLUMES = np.stack([grids.voxels(number) for number in range(3)])
RIGHT_HANDED = [kind for kind in grids.GRIDS if kind not in grids.LEFT_HANDED]


def diffusion(groups: Dataset, volume: int, k: int) -> None:
    item = Dataset()
    item.DiffusionBValue = 400.0 * volume
    groups.MRDiffusionSequence = [item]


@pytest.mark.row("dicom-multi-frame")
@pytest.mark.parametrize("kind", RIGHT_HANDED)
def test_frames_in_any_order(kind: str, tmp_path: Path) -> None:
    write_multi_frame(tmp_path / "scan.dcm", VOLUMES[:1], grids.GRIDS[kind])
    for path in (tmp_path, tmp_path / "scan.dcm"):
        node = read_volume(path)
        volume = volume_from_node(node)
        assert (node.GetName().split("_")[0], volume.modality) == ("5: scan", "MR")
        np.testing.assert_array_equal(volume.array, VOLUMES[0])
        np.testing.assert_allclose(volume.ijk_to_ras, grids.GRIDS[kind], atol=1e-5)


@pytest.mark.row("dicom-multi-frame")
@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless]
)
def test_as_it_may_be_stored(syntax: UID, tmp_path: Path) -> None:
    made = write_multi_frame(tmp_path / "scan.dcm", VOLUMES[:1], grids.GRIDS["oblique"])
    if syntax == RLELossless:
        made.compress(RLELossless)
    elif syntax == ExplicitVRBigEndian:
        made.PixelData = np.frombuffer(made.PixelData, "<i2").astype(">i2").tobytes()
    made.file_meta.TransferSyntaxUID = syntax
    (tmp_path / "scan.dcm").unlink()
    write_dataset(fresh(made), tmp_path / "scan.dcm")
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(read_volume(tmp_path)), VOLUMES[0])


def fresh(made: Dataset) -> Dataset:
    """A copy that remembers no encoding."""
    copy = Dataset()
    copy.update(made)
    copy.file_meta = made.file_meta
    return copy


@pytest.mark.row("dicom-multi-frame")
def test_enhanced_ct(tmp_path: Path) -> None:
    made = write_multi_frame(tmp_path / "scan.dcm", VOLUMES[:1], grids.GRIDS["axial"])
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    made.Modality = "CT"
    write_dataset(made, tmp_path / "scan.dcm")
    volume = volume_from_node(read_volume(tmp_path))
    assert volume.modality == "CT"
    np.testing.assert_array_equal(volume.array, VOLUMES[0])


@pytest.mark.row("dicom-multi-frame")
def test_each_frame_has_its_own_rescale(tmp_path: Path) -> None:
    write_multi_frame(tmp_path / "scan.dcm", VOLUMES[:1], grids.GRIDS["axial"], slope=lambda volume, k: 0.5 + k)
    expected = VOLUMES[0] * (0.5 + np.arange(len(VOLUMES[0])))[:, None, None]
    np.testing.assert_allclose(slicer.util.arrayFromVolume(read_volume(tmp_path)), expected, atol=1e-3)


@pytest.mark.row("dicom-frames")
def test_volumes_in_one_file(tmp_path: Path) -> None:
    write_multi_frame(tmp_path / "scan.dcm", VOLUMES, grids.GRIDS["axial"], change=diffusion)
    for volume in range(3):
        node = read_volume(tmp_path, frame=volume + 1)
        said = remarks(node)
        found = next(each for each in range(3) if f"b = {400 * each} " in said[0])
        np.testing.assert_array_equal(slicer.util.arrayFromVolume(node), VOLUMES[found])


@pytest.mark.row("dicom-frames")
def test_a_file_for_each_volume(tmp_path: Path) -> None:
    uid = generate_uid()
    for volume in range(3):
        made = write_multi_frame(tmp_path / f"{volume}.dcm", VOLUMES[volume : volume + 1], grids.GRIDS["axial"])
        made.SeriesInstanceUID, made.InstanceNumber = uid, volume + 1
        write_dataset(made, tmp_path / f"{volume}.dcm")
    for volume in range(3):
        node = read_volume(tmp_path, frame=volume + 1)
        np.testing.assert_array_equal(slicer.util.arrayFromVolume(node), VOLUMES[volume])


@pytest.mark.row("dicom-multi-frame")
def test_frames_that_are_not_there(tmp_path: Path) -> None:
    made = write_multi_frame(tmp_path / "scan.dcm", VOLUMES[:1], grids.GRIDS["axial"])
    made.PixelData = made.PixelData[: -2 * made.Rows * made.Columns]
    write_dataset(made, tmp_path / "scan.dcm")
    with pytest.raises(InputError, match="is damaged or cut off"):
        read_volume(tmp_path)


@pytest.mark.row("dicom-multi-frame")
def test_compressed_frames_that_are_not_there(tmp_path: Path) -> None:
    made = write_multi_frame(tmp_path / "scan.dcm", VOLUMES[:1], grids.GRIDS["axial"])
    made.compress(RLELossless)
    write_dataset(fresh(made), tmp_path / "scan.dcm")
    whole = dcmread(tmp_path / "scan.dcm")
    whole.NumberOfFrames = len(VOLUMES[0]) + 1
    whole.save_as(tmp_path / "scan.dcm")
    with pytest.raises(InputError, match="is damaged or cut off"):
        read_volume(tmp_path)


@pytest.mark.row("dicom-multi-frame")
def test_ultrasound_that_pydicom_brings_is_no_volume() -> None:
    """Ultrasound in many frames has no places: it is a picture."""
    path = pydicom_data("color3d_jpeg_baseline.dcm")
    assert slicer.util.arrayFromVolume(read_volume(path)).shape[0] == 1
