"""Which series of a study is read: the only one that may be a volume, or the one that is asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import slicer
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import MediaStorageDirectoryStorage, SecondaryCaptureImageStorage, XRayRadiationDoseSRStorage

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.scene.dicom.choosing import list_series
from MedCLIPSAMLib.scene.remarks import remarks
from MedCLIPSAMLib.scene.volumes import read_volume

from .. import grids
from .dicom_files import write_series

AFFINE = grids.GRIDS["axial"]
ACROSS = grids.GRIDS["coronal"]


def localizer(image: Dataset, k: int) -> None:
    image.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]


def screen(image: Dataset, k: int) -> None:
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    del image.ImagePositionPatient, image.ImageOrientationPatient


def report(image: Dataset, k: int) -> None:
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = XRayRadiationDoseSRStorage
    image.Modality = "SR"
    for tag in ("Rows", "Columns", "PixelData"):
        delattr(image, tag)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """As a hospital exports it: localizers, a scan, a picture of it, and reports of the dose, each in its folder."""
    folder = tmp_path / "study"
    folder.mkdir()
    some = grids.voxels()[:2]
    write_series(folder / "1", some, ACROSS, description="Topogram", number=1, change=localizer)
    write_series(folder / "2", grids.voxels(), AFFINE, description="Thorax 3.0 Br40", number=2)
    write_series(folder / "99", some, AFFINE, description="Key images", number=99, change=screen)
    write_series(folder / "501", some[:1], AFFINE, description="Patient Protocol", number=501)
    write_series(folder / "997", some[:1], AFFINE, description="Dose Report", number=997, change=report)
    return folder


def read(path: Path, series: str | None = None) -> np.ndarray:
    return slicer.util.arrayFromVolume(read_volume(path, series))


@pytest.mark.row("dicom-study")
def test_the_series_of_a_study_and_which_may_be_volumes(study: Path):
    assert [
        (each.number, each.description, each.modality, each.count, each.why_no_volume) for each in list_series(study)
    ] == [
        ("1", "Topogram", "CT", 2, "localizer"),
        ("2", "Thorax 3.0 Br40", "CT", 9, ""),
        ("99", "Key images", "CT", 2, "screen captures"),
        ("501", "Patient Protocol", "CT", 1, "one image"),
        ("997", "Dose Report", "SR", 0, "no images"),
    ]


@pytest.mark.row("dicom-study")
def test_the_only_volume_is_taken_and_said(study: Path):
    node = read_volume(study)
    assert node.GetName() == "2: Thorax 3.0 Br40"
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(node), grids.voxels())
    assert remarks(node) == (
        "Of 4 series 2: Thorax 3.0 Br40 is read, not 1: Topogram (localizer), 99: Key images (screen captures), "
        "501: Patient Protocol (one image).",
    )


@pytest.mark.row("dicom-study")
@pytest.mark.parametrize("chosen", ["4", "br60", " LUNG ", "thorax 1"])
def test_a_number_or_part_of_the_description_chooses(chosen: str, study: Path):
    write_series(study / "4", grids.voxels(1), AFFINE, description="Thorax 1.0 Br60 lung", number=4)
    with pytest.raises(
        InputError, match=r"holds 2 series: 2: Thorax 3.0 Br40 \(9 images in 2\); 4: Thorax .* --series"
    ):
        read(study)
    np.testing.assert_array_equal(read(study, chosen), grids.voxels(1))


@pytest.mark.row("dicom-study")
def test_a_number_comes_before_a_description_that_has_it(study: Path):
    write_series(study / "5", grids.voxels(1), AFFINE, description="2 mm", number=5)
    np.testing.assert_array_equal(read(study, "2"), grids.voxels())


@pytest.mark.row("dicom-study")
def test_a_choice_that_fits_none_or_several_is_told_with_what_there_is(study: Path):
    write_series(study / "4", grids.voxels(1), AFFINE, description="Thorax 1.0 Br60 lung", number=4)
    with pytest.raises(InputError, match=r"has no series 'liver'; it holds 1: Topogram .*; 501: Patient Protocol"):
        read(study, "liver")
    with pytest.raises(InputError, match=r"holds 2 series of 'thorax': 2: .*; 4: .*; give a file of one"):
        read(study, "thorax")


@pytest.mark.row("dicom-study")
def test_a_localizer_is_read_when_it_is_asked_for(study: Path):
    assert read(study, "topogram").shape == (2, *grids.SHAPE[1:])


@pytest.mark.row("dicom-study")
def test_a_series_beside_the_folders_of_others_is_the_one_meant(study: Path):
    write_series(study, grids.voxels(1), AFFINE, number=7)
    np.testing.assert_array_equal(read(study), grids.voxels(1))
    np.testing.assert_array_equal(read(study, "2"), grids.voxels())


@pytest.mark.row("dicom-study")
def test_with_an_index_all_folders_of_a_disc_count(study: Path):
    write_series(study, grids.voxels(1)[:1], AFFINE, number=7)
    index = dcmread(next(study.glob("7-*")))
    index.SOPClassUID = index.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    del index.Rows, index.SeriesInstanceUID
    index.save_as(study / "DICOMDIR")
    for path in (study, study / "DICOMDIR"):
        assert [each.number for each in list_series(path)] == ["1", "2", "7", "99", "501", "997"]
        np.testing.assert_array_equal(read(path), grids.voxels())


@pytest.mark.row("dicom-study")
def test_a_damaged_file_is_in_the_way_of_the_series_beside_it_only(study: Path):
    whole = next((study / "99").iterdir()).read_bytes()
    (study / "99" / "cut.dcm").write_bytes(whole[:600])
    np.testing.assert_array_equal(read(study), grids.voxels())
    (study / "2" / "cut.dcm").write_bytes(whole[:600])
    with pytest.raises(InputError, match=r"cut.dcm is a damaged DICOM file"):
        read(study)


@pytest.mark.row("dicom-study")
def test_discs_that_pydicom_brings():
    index = get_testdata_file("DICOMDIR", download=False)
    assert isinstance(index, str)
    found = {(each.number, each.description): each for each in list_series(Path(index))}
    assert found["4", "Scout"].why_no_volume == "localizer"
    assert found["1", "Cervical LAT"].why_no_volume == "one image"
    assert found["2", "T/S/C RF FAST PILOT"].why_no_volume == "several directions"
    assert found["5", "SmartScore - Gated 0.5 sec"].why_no_volume == ""
    assert read(Path(index), "SmartScore").shape == (5, 16, 16)


def test_folders_without_dicom(tmp_path: Path):
    with pytest.raises(InputError, match="holds no DICOM files"):
        list_series(tmp_path)
    with pytest.raises(InputError, match="is no folder"):
        list_series(tmp_path / "none")
