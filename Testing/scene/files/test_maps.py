"""Maps of numbers on disk: on the voxels of the volume's own file, whatever its grid."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.scene.files.maps import check_map, check_map_grid, map_files, save_map
from MedCLIPSAMLib.scene.volumes import read_volume, volume_from_node

from ..grids import GRIDS, SHAPE, TRANSFORMS, affine, transform_node


def _written(path: Path, matrix: np.ndarray) -> Path:
    image = nibabel.Nifti1Image(np.random.default_rng(0).integers(0, 900, SHAPE[::-1]).astype(np.int16), matrix)
    image.to_filename(path)
    return path


@pytest.mark.parametrize("ending", [".nrrd", ".nii.gz"])
@pytest.mark.parametrize("kind", GRIDS)
def test_a_map_lies_on_the_voxels_of_the_file(kind: str, ending: str, tmp_path: Path) -> None:
    """Numbers made from the voxels stand where those voxels stand, read by another program."""
    source = _written(tmp_path / "volume.nii.gz", GRIDS[kind])
    node = read_volume(source)
    values = volume_from_node(node).array.astype(np.float32) / 1000
    save_map(values, node, tmp_path / f"map{ending}")
    made, given = sitk.ReadImage(tmp_path / f"map{ending}"), sitk.ReadImage(source)
    assert made.GetPixelID() == sitk.sitkFloat32
    assert made.GetSize() == given.GetSize()
    for index in [(0, 0, 0), (10, 13, 8), (3, 5, 7)]:
        place = given.TransformIndexToPhysicalPoint(index)
        assert made[made.TransformPhysicalPointToIndex(place)] == pytest.approx(given[index] / 1000)
        back = made.TransformIndexToPhysicalPoint(made.TransformPhysicalPointToIndex(place))
        assert back == pytest.approx(place, abs=1e-3)


def test_names_of_several_maps() -> None:
    path = Path("a/map.NII.gz")
    assert map_files(path, ["liver"]) == (path,)
    assert map_files(path, ["liver", "left kidney"]) == (Path("a/map-liver.NII.gz"), Path("a/map-left-kidney.NII.gz"))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("map.mha", "no ending that a map can have; use .nrrd or .nii.gz"),
        ("map.seg.nrrd", "taken for a segmentation"),
        ("none/map.nrrd", "does not exist"),
        ("there.nrrd", "exists; choose another name or use --force"),
    ],
)
def test_bad_names_are_refused(name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "there.nrrd").write_text("mine")
    with pytest.raises(InputError, match=said):
        check_map(tmp_path / name, ["liver"], force=False)


def test_of_several_maps_each_is_looked_for(tmp_path: Path) -> None:
    (tmp_path / "map-spleen.nrrd").write_text("mine")
    check_map(tmp_path / "map.nrrd", ["spleen"], force=False)
    with pytest.raises(InputError, match=r"map-spleen\.nrrd exists"):
        check_map(tmp_path / "map.nrrd", ["liver", "spleen"], force=False)
    check_map(tmp_path / "map.nrrd", ["liver", "spleen"], force=True)


def test_a_sheared_grid_is_refused(tmp_path: Path) -> None:
    node = read_volume(_written(tmp_path / "volume.nii.gz", affine(np.eye(3))))
    check_map_grid(Path("map.nrrd"), node)
    node.SetAndObserveTransformNodeID(transform_node(TRANSFORMS["sheared"]).GetID())
    with pytest.raises(InputError, match="right angles; use a volume without shear"):
        check_map_grid(Path("map.nrrd"), node)


def test_a_map_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = read_volume(_written(tmp_path / "volume.nii.gz", GRIDS["oblique"]))
    (tmp_path / "map.nrrd").write_text("old")
    monkeypatch.setattr("MedCLIPSAMLib.scene.files.maps.is_whole", lambda path: False)
    with pytest.raises(InputError, match="free space"):
        save_map(np.zeros(SHAPE, np.float32), node, tmp_path / "map.nrrd")
    assert (tmp_path / "map.nrrd").read_text() == "old"
    assert {file.name for file in tmp_path.iterdir()} == {"volume.nii.gz", "map.nrrd"}
