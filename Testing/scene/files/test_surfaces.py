"""STL and OBJ: surfaces where the voxels are, in LPS."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import vtk
from vtkmodules.util import numpy_support

from MedCLIPSAMLib.scene.files.saving import save
from MedCLIPSAMLib.scene.files.surfaces import is_whole_surface
from MedCLIPSAMLib.scene.segmentation.segments import create_segmentation, write_segment
from MedCLIPSAMLib.scene.volumes import read_volume

from .. import grids
from ..dicom.dicom_files import write_series
from ..dicom.test_stacks import tilted

NAME = "печень / [1]*"


def box(k: slice = slice(2, 7)) -> np.ndarray:
    mask = np.zeros(grids.SHAPE, bool)
    mask[k, 3:11, 2:9] = True
    return mask


def points(file: Path) -> np.ndarray:
    """(n, 3) RAS of what is in LPS."""
    reader = vtk.vtkSTLReader() if file.suffix == ".stl" else vtk.vtkOBJReader()
    reader.SetFileName(str(file))
    reader.Update()
    return numpy_support.vtk_to_numpy(reader.GetOutput().GetPoints().GetData()) * (-1, -1, 1)


@pytest.mark.parametrize("ending", [".stl", ".obj"])
@pytest.mark.parametrize("kind", ["oblique", "anisotropic", "tilted"])
def test_surfaces_lie_around_the_voxels(kind: str, ending: str, tmp_path: Path):
    if kind == "tilted":
        write_series(tmp_path / "in", grids.voxels(), tilted("oblique"))
        node, matrix = read_volume(tmp_path / "in"), tilted("oblique")
    else:
        node, matrix = grids.volume_node(kind), grids.GRIDS[kind]
    segmentation = create_segmentation(node)
    write_segment(segmentation, node, box(), NAME)
    name = segmentation.GetName()
    file = save(segmentation, node, tmp_path / f"out[1]{ending}").files[0]
    surface = np.linalg.inv(matrix) @ np.column_stack([points(file), np.ones(len(points(file)))]).T
    low, high = surface[:3].min(axis=1), surface[:3].max(axis=1)
    np.testing.assert_allclose((low + high) / 2, [5, 6.5, 4], atol=0.1)  # of the box, in i, j and k
    np.testing.assert_allclose(high - low, [7, 8, 5], atol=1.2)
    assert b"SPACE=LPS" in file.read_bytes()[:80]
    assert segmentation.GetName() == name
    assert segmentation.GetSegmentation().GetNthSegment(0).GetName() == NAME


def test_stl_is_one_file_each_and_obj_one_for_all(tmp_path: Path):
    node = grids.volume_node()
    segmentation = create_segmentation(node)
    write_segment(segmentation, node, box(), "liver")
    write_segment(segmentation, node, box(slice(1, 3)), NAME)
    files = save(segmentation, node, tmp_path / "out.stl").files
    assert [file.name for file in files] == ["out-liver.stl", "out-печень-1.stl"]
    assert [file.name for file in save(segmentation, node, tmp_path / "out.obj").files] == ["out.obj", "out.mtl"]
    assert b"\nmtllib out.mtl\n" in (tmp_path / "out.obj").read_bytes()
    assert (tmp_path / "out.mtl").read_text().count("newmtl") == 2
    assert len(points(tmp_path / "out.obj")) >= len(np.unique(points(files[0]), axis=0))
    files = save(segmentation, node, tmp_path / "each.obj", separate=True).files
    assert [file.name for file in files] == [
        f"each-{part}.{kind}" for part in ("liver", "печень-1") for kind in ("obj", "mtl")
    ]
    assert sorted(file.suffix for file in tmp_path.iterdir()) == [".mtl"] * 3 + [".obj"] * 3 + [".stl"] * 2


@pytest.mark.parametrize("ending", [".stl", ".obj"])
def test_a_surface_that_is_cut_off_is_seen(ending: str, tmp_path: Path):
    node = grids.volume_node()
    segmentation = create_segmentation(node)
    write_segment(segmentation, node, box(), "liver")
    file = save(segmentation, node, tmp_path / f"out{ending}").files[0]
    assert is_whole_surface(file)
    whole = file.read_bytes()
    for length in (0, 40, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:length])
        assert not is_whole_surface(file)
