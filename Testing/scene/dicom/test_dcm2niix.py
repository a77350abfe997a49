"""Plain series lie where dcm2niix puts them, to 0.000 mm; where it is not installed, where they were written."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from nibabel.affines import apply_affine

from MedCLIPSAMLib.scene.volumes import read_volume, volume_from_node

from .. import grids
from .dicom_files import write_multi_frame, write_series

DCM2NIIX = shutil.which("dcm2niix")
NEAR = 5e-4  # mm
SHAPE = (12, 40, 32)  # dcm2niix takes fewer pixels for no image


def array() -> np.ndarray:
    return np.random.default_rng(0).integers(-1000, 1000, SHAPE).astype(np.int16)


def corners(ijk_to_ras: np.ndarray) -> np.ndarray:
    """(8, 3) RAS of the outermost voxels."""
    far = np.array(SHAPE[::-1]) - 1
    ijk = np.array([[i, j, k] for i in (0, far[0]) for j in (0, far[1]) for k in (0, far[2])])
    return ijk @ ijk_to_ras[:3, :3].T + ijk_to_ras[:3, 3]


def by_dcm2niix(folder: Path, to: Path) -> Any:
    to.mkdir()
    command = [str(DCM2NIIX), "-z", "n", "-b", "n", "-f", "out", "-o", str(to), str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    (written,) = to.glob("*.nii")
    return nibabel.load(written)


def compare(folder: Path, matrix: np.ndarray, tmp_path: Path) -> None:
    volume = volume_from_node(read_volume(folder))
    np.testing.assert_array_equal(volume.array, array())
    np.testing.assert_allclose(corners(volume.ijk_to_ras), corners(matrix), atol=NEAR)
    if DCM2NIIX is None:
        return
    image = by_dcm2niix(folder, tmp_path / "nifti")
    values = np.asanyarray(image.dataobj)
    places = grids.in_order(np.column_stack([apply_affine(image.affine, np.argwhere(values > -2000)), values.ravel()]))
    kji = np.argwhere(volume.array > -2000)
    ours = kji[:, ::-1] @ volume.ijk_to_ras[:3, :3].T + volume.ijk_to_ras[:3, 3]
    ours = grids.in_order(np.column_stack([ours, volume.array.ravel()]))
    np.testing.assert_allclose(ours, places, atol=NEAR)


RIGHT_HANDED = [kind for kind in grids.GRIDS if kind not in grids.LEFT_HANDED]


@pytest.mark.row("dicom-geometry")
@pytest.mark.parametrize("modality", ["CT", "MR"])
@pytest.mark.parametrize("kind", RIGHT_HANDED)
def test_plain_series(kind: str, modality: str, tmp_path: Path) -> None:
    write_series(tmp_path / "series", array(), grids.GRIDS[kind], modality=modality)
    compare(tmp_path / "series", grids.GRIDS[kind], tmp_path)


@pytest.mark.row("dicom-geometry")
@pytest.mark.parametrize("kind", RIGHT_HANDED)
def test_multi_frame(kind: str, tmp_path: Path) -> None:
    (tmp_path / "series").mkdir()
    write_multi_frame(tmp_path / "series" / "scan.dcm", array()[None], grids.GRIDS[kind])
    compare(tmp_path / "series", grids.GRIDS[kind], tmp_path)
