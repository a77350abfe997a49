"""Names and layouts of files that other programs give, and 3D Slicer's libraries do not take."""

from __future__ import annotations

import gzip
import os
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
import slicer

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.scene.files.saving import check_output
from MedCLIPSAMLib.scene.names import safe_names
from MedCLIPSAMLib.scene.volumes import read_volume

from .. import grids
from ..dicom.dicom_files import write_series

TOLD = r"sch\\xe4del[^ ]* has letters in its name that are not written in UTF-8; rename it\.$"

of_linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A path as an old drive leaves it, in Latin-1."""
    return tmp_path / os.fsdecode(b"sch\xe4del.nii.gz")


@of_linux
@pytest.mark.row("file-name-bytes")
def test_a_file(old: Path):
    nibabel.save(nibabel.Nifti1Image(grids.voxels().T, np.eye(4)), old.with_name("new.nii.gz"))
    old.with_name("new.nii.gz").rename(old)
    with pytest.raises(InputError, match=TOLD):
        read_volume(old)


@of_linux
@pytest.mark.row("file-name-bytes")
def test_an_output(old: Path):
    with pytest.raises(InputError, match=TOLD):
        check_output(old)


@of_linux
@pytest.mark.row("file-name-bytes")
def test_a_slice(tmp_path: Path, old: Path):
    write_series(tmp_path / "dicom", grids.voxels(), np.eye(4))
    next((tmp_path / "dicom").iterdir()).rename(tmp_path / "dicom" / old.name)
    with pytest.raises(InputError, match=TOLD):
        read_volume(tmp_path / "dicom")


def test_nifti_2_is_told_as_such(tmp_path: Path):
    nibabel.save(nibabel.Nifti2Image(grids.voxels().T, np.eye(4)), tmp_path / "two.nii.gz")
    with pytest.raises(InputError, match=r"two\.nii\.gz is NIfTI-2, which is not read; save it as NIfTI-1\."):
        read_volume(tmp_path / "two.nii.gz")


def test_nifti_that_is_not_compressed_as_its_name_says(tmp_path: Path):
    path = tmp_path / "plain.nii.gz"
    nibabel.save(nibabel.Nifti1Image(grids.voxels().T, np.eye(4)), path)
    path.write_bytes(gzip.decompress(path.read_bytes()))
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(read_volume(path)), grids.voxels())
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match="damaged or cut off"):
        read_volume(path)


def test_integers_of_64_bits_are_read_without_a_word(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    voxels = grids.voxels().astype(np.int64)
    nibabel.save(nibabel.Nifti1Image(voxels.T, np.eye(4), dtype=np.int64), tmp_path / "long.nii.gz")
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(read_volume(tmp_path / "long.nii.gz")), voxels)
    assert not capfd.readouterr().err


def test_parts_of_file_names_are_safe_short_and_each_another():
    long = "a lesion of the left lobe of the liver which is larger than the one before it and still growing"
    made = safe_names(["Liver", "liver", "../etc/passwd", "左 肝", "???", "a_b.c:d", long, long])
    assert made[:6] == ("liver", "liver-2", "etc-passwd", "左-肝", "segment", "a-b-c-d")
    assert made[7] == f"{made[6]}-2"
    assert len(made[6].encode()) <= 60
    assert len(set(made)) == len(made)
    assert safe_names(["a-2", "a", "a"]) == ("a-2", "a", "a-3")
