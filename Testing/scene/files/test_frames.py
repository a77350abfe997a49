"""Files that hold several volumes: one is read, the first or the one that is asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.scene.remarks import remarks
from MedCLIPSAMLib.scene.volumes import read_volume, volume_from_node

from .. import grids

COUNT = 3
VOLUMES = np.stack([grids.voxels(number) for number in range(COUNT)])  # (V, K, J, I)


def nifti(path: Path, affine: np.ndarray) -> None:
    nibabel.Nifti1Image(VOLUMES.T, affine).to_filename(path)


def metaimage(path: Path, affine: np.ndarray) -> None:
    volumes = []
    for array in VOLUMES:
        image = sitk.GetImageFromArray(array)
        lps = np.diag([-1, -1, 1]) @ affine[:3]
        spacing = np.linalg.norm(lps[:, :3], axis=0)
        image.SetSpacing(spacing.tolist())
        image.SetDirection((lps[:, :3] / spacing).ravel().tolist())
        image.SetOrigin(lps[:, 3].tolist())
        volumes.append(image)
    sitk.WriteImage(sitk.JoinSeries(volumes), str(path))


def nrrd_list(axis: int) -> Callable[[Path, np.ndarray], None]:
    """As 3D Slicer stores sequences (first axis), and as others do (last axis)."""

    def write(path: Path, affine: np.ndarray) -> None:
        array = VOLUMES if axis == 3 else VOLUMES.transpose(1, 2, 3, 0)
        vectors = [f"({','.join(repr(float(number)) for number in column)})" for column in affine[:3, :3].T]
        kinds = ["domain"] * 3
        vectors.insert(axis, "none")
        kinds.insert(axis, "list")
        header = (
            f"NRRD0005\ntype: short\ndimension: 4\nspace: right-anterior-superior\n"
            f"sizes: {' '.join(map(str, array.shape[::-1]))}\nspace directions: {' '.join(vectors)}\n"
            f"kinds: {' '.join(kinds)}\nspace origin: ({','.join(repr(float(number)) for number in affine[:3, 3])})\n"
            "encoding: raw\nendian: little\n\n"
        )
        path.write_bytes(header.encode() + np.ascontiguousarray(array).tobytes())

    return write


KINDS = [
    pytest.param("four.nii.gz", nifti, id="nifti"),
    pytest.param("four.mha", metaimage, id="metaimage"),
    pytest.param("four.nrrd", nrrd_list(0), id="nrrd-first"),
    pytest.param("four.seq.nrrd", nrrd_list(3), id="nrrd-last"),
]


@pytest.mark.row("type-sequence")
@pytest.mark.parametrize("grid", ["axial", "oblique", "left-handed"])
@pytest.mark.parametrize(("name", "write"), KINDS)
def test_the_volume_that_is_asked_for_where_it_is(
    name: str, write: Callable[[Path, np.ndarray], None], grid: str, tmp_path: Path
) -> None:
    affine = grids.GRIDS[grid]
    write(tmp_path / name, affine)
    for frame in (None, 1, 2, COUNT):
        node = read_volume(tmp_path / name, frame=frame)
        volume = volume_from_node(node)
        expected = VOLUMES[(frame or 1) - 1]
        np.testing.assert_array_equal(volume.array, expected[::-1] if grid in grids.LEFT_HANDED else expected)
        if grid not in grids.LEFT_HANDED:
            np.testing.assert_allclose(volume.ijk_to_ras, affine, atol=1e-5)
        other = "; --frame chooses another" if frame is None else ""
        assert remarks(node) == (f"Frame {frame or 1} of {COUNT} of {node.GetName().split(',')[0]} is read{other}.",)


@pytest.mark.row("type-sequence")
@pytest.mark.parametrize(("name", "write"), KINDS)
def test_a_volume_that_is_not_there(name: str, write: Callable[[Path, np.ndarray], None], tmp_path: Path) -> None:
    write(tmp_path / name, grids.GRIDS["axial"])
    for frame in (0, COUNT + 1):
        with pytest.raises(InputError, match=rf"has volumes 1 to 3; there is no frame {frame}\."):
            read_volume(tmp_path / name, frame=frame)


def test_a_single_volume_has_one_frame(tmp_path: Path) -> None:
    nibabel.Nifti1Image(VOLUMES[0].T, grids.GRIDS["axial"]).to_filename(tmp_path / "three.nii.gz")
    node = read_volume(tmp_path / "three.nii.gz", frame=1)
    assert (node.GetName(), remarks(node)) == ("three", ())
    with pytest.raises(InputError, match="has one volume; there is no frame 2"):
        read_volume(tmp_path / "three.nii.gz", frame=2)


def test_a_file_is_no_study(tmp_path: Path) -> None:
    nifti(tmp_path / "four.nii.gz", grids.GRIDS["axial"])
    with pytest.raises(InputError, match="is no DICOM folder; leave out --series"):
        read_volume(tmp_path / "four.nii.gz", "4")
