"""DICOM folders as hospitals export them: nested, with copies, with files that came empty."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import slicer
from pydicom import dcmread
from pydicom.uid import MediaStorageDirectoryStorage, generate_uid

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.scene.volumes import read_volume

from .. import grids
from .dicom_files import write_series

AFFINE = np.diag([-1.5, -2.0, 3.0, 1.0])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With one series."""
    write_series(tmp_path / "disc", grids.voxels(), AFFINE)
    return tmp_path / "disc"


def read(path: Path) -> np.ndarray:
    return slicer.util.arrayFromVolume(read_volume(path))


def moved_down(folder: Path) -> None:
    (folder / "DICOM" / "0000").mkdir(parents=True)
    for file in folder.glob("*.dcm"):
        file.rename(folder / "DICOM" / "0000" / file.stem)


@pytest.mark.row("dicom-nested")
def test_images_in_a_folder_of_a_folder(folder: Path):
    moved_down(folder)
    np.testing.assert_array_equal(read(folder), grids.voxels())


@pytest.mark.row("dicom-nested")
def test_the_index_of_a_disc_stands_for_it(folder: Path):
    moved_down(folder)
    index = dcmread(next(folder.rglob("3-*")))
    index.SOPClassUID = index.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    del index.Rows
    index.save_as(folder / "DICOMDIR")
    np.testing.assert_array_equal(read(folder / "DICOMDIR"), grids.voxels())


@pytest.mark.row("dicom-nested")
def test_of_several_series_each_is_told_with_its_folder(folder: Path):
    moved_down(folder)
    write_series(folder / "DICOM" / "0001", grids.voxels()[:2], AFFINE, description="thin", number=1)
    told = r"disc holds 2 series: 1: thin \(2 images in DICOM/0001\); 3: abdomen \(\d+ images in DICOM/0000\); choose"
    with pytest.raises(InputError, match=told):
        read(folder)
    np.testing.assert_array_equal(read(next((folder / "DICOM" / "0000").iterdir())), grids.voxels())


@pytest.mark.row("dicom-copies")
def test_a_second_copy_of_a_slice_is_passed_over(folder: Path):
    file = next(folder.iterdir())
    shutil.copy(file, folder / f"{file.stem} (copy){file.suffix}")
    np.testing.assert_array_equal(read(folder), grids.voxels())


@pytest.mark.row("dicom-copies")
def test_another_image_at_the_same_place_is_not(folder: Path):
    file = next(folder.iterdir())
    other = dcmread(file)
    other.PixelData = bytes(len(other.PixelData))
    other.save_as(folder / "other.dcm")
    with pytest.raises(InputError, match="several images at one position"):
        read(folder)


@pytest.mark.row("dicom-empty-file")
def test_an_empty_file_may_have_been_a_slice(folder: Path):
    highest = max(folder.iterdir(), key=lambda file: dcmread(file).ImagePositionPatient[2])
    highest.write_bytes(b"")
    (folder / "notes.txt").write_bytes(b"")
    with pytest.raises(InputError, match=rf"{highest.name} is empty; copy it again"):
        read(folder)


@pytest.mark.row("dicom-one-slice")
def test_a_single_slice_is_as_thick_as_it_says(tmp_path: Path):
    write_series(tmp_path / "disc", grids.voxels()[:1], AFFINE)
    assert read_volume(tmp_path / "disc").GetSpacing() == pytest.approx((1.5, 2, 3))
    file = next((tmp_path / "disc").iterdir())
    unknown = dcmread(file)
    del unknown.SliceThickness
    unknown.SOPInstanceUID = generate_uid()
    unknown.save_as(file)
    assert read_volume(tmp_path / "disc").GetSpacing() == pytest.approx((1.5, 2, 1))


def test_rounded_positions_are_read_without_a_word(folder: Path, capfd: pytest.CaptureFixture[str]):
    file = next(folder.iterdir())
    rounded = dcmread(file)
    *across, along = rounded.ImagePositionPatient
    rounded.ImagePositionPatient = [*across, along + 0.02]
    rounded.save_as(file)
    np.testing.assert_array_equal(read(folder), grids.voxels())
    assert not capfd.readouterr().err
