"""A segment covers the positions in space of the voxels it was made from, in the scene and in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import slicer

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.scene.files.saving import save
from MedCLIPSAMLib.scene.segmentation.segments import create_segmentation, read_segment, write_segment
from MedCLIPSAMLib.scene.volumes import read_volume, volume_from_node

from . import grids

pytestmark = pytest.mark.parametrize("kind", grids.GRIDS)


@pytest.fixture(params=[None, *grids.TRANSFORMS])
def placed(kind: str, request: pytest.FixtureRequest) -> tuple[Any, np.ndarray]:
    """A volume node, under a transform node or none, and its IJK to RAS of the world."""
    node, matrix = grids.volume_node(kind), grids.GRIDS[kind]
    if request.param is not None:
        node.SetAndObserveTransformNodeID(grids.transform_node(grids.TRANSFORMS[request.param]).GetID())
        matrix = grids.TRANSFORMS[request.param] @ matrix
    return node, matrix


def segment(volume_node: Any) -> tuple[Any, str]:
    segmentation_node = create_segmentation(volume_node)
    return segmentation_node, write_segment(segmentation_node, volume_node, grids.blob(), "liver")


def test_engine_volume_is_in_world_ras(placed):
    node, matrix = placed
    volume = volume_from_node(node)
    np.testing.assert_allclose(volume.ijk_to_ras, matrix, atol=1e-9)
    np.testing.assert_array_equal(volume.array, grids.voxels())


def test_segment_covers_its_voxels(placed):
    node, matrix = placed
    segmentation_node, segment_id = segment(node)
    found = grids.segment_positions(segmentation_node, segment_id)
    np.testing.assert_allclose(found, grids.positions(grids.blob(), matrix), atol=1e-9)
    np.testing.assert_array_equal(read_segment(segmentation_node, node, segment_id), grids.blob())


def test_seg_nrrd_covers_its_voxels_for_other_programs_and_for_slicer(placed, tmp_path: Path):
    node, matrix = placed
    segmentation_node, _ = segment(node)
    path, *_ = save(segmentation_node, node, tmp_path / "liver.seg.nrrd").files
    expected = grids.positions(grids.blob(), matrix)
    np.testing.assert_allclose(positions_by_itk(path), expected, atol=1e-6)
    loaded = slicer.modules.segmentations.logic().LoadSegmentationFromFile(str(path), True, "loaded")
    segment_id = loaded.GetSegmentation().GetNthSegmentID(0)
    np.testing.assert_allclose(grids.segment_positions(loaded, segment_id), expected, atol=1e-6)


def test_nifti_covers_its_voxels_for_other_programs(placed, tmp_path: Path):
    node, matrix = placed
    segmentation_node, _ = segment(node)
    path = tmp_path / "liver.nii.gz"
    axes = matrix[:3, :3] / np.linalg.norm(matrix[:3, :3], axis=0)
    if not np.allclose(axes.T @ axes, np.eye(3), atol=1e-4):
        with pytest.raises(InputError, match="right angles"):
            save(segmentation_node, node, path)
        assert list(tmp_path.iterdir()) == []
        return
    save(segmentation_node, node, path)
    image: Any = nibabel.load(path)
    mask = np.asanyarray(image.dataobj).transpose(2, 1, 0) == 1
    expected = grids.positions(grids.blob(), matrix)
    np.testing.assert_allclose(grids.positions(mask, image.affine), expected, atol=1e-4)
    np.testing.assert_allclose(positions_by_itk(path), expected, atol=1e-4)


def test_scene_file_covers_its_voxels(app: Any, placed, tmp_path: Path):
    node, matrix = placed
    segmentation_node, segment_id = segment(node)
    path, *_ = save(segmentation_node, node, tmp_path / "liver.mrb").files
    slicer.mrmlScene.Clear()
    assert app.io_manager.load_scene(path)
    (loaded,) = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    found = grids.segment_positions(loaded, segment_id)
    np.testing.assert_allclose(found, grids.positions(grids.blob(), matrix), atol=1e-6)


@pytest.mark.parametrize("suffix", ["nrrd", "nii.gz", "mha"])
def test_file_to_label_file(kind: str, suffix: str, tmp_path: Path):
    """From an image file to a label map on the very same grid, left-handed ones too."""
    image = sitk.GetImageFromArray(grids.voxels())
    lps = np.diag([-1, -1, 1, 1]) @ grids.GRIDS[kind]
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    sitk.WriteImage(image, str(tmp_path / f"image.{suffix}"))

    node = read_volume(tmp_path / f"image.{suffix}")
    assert np.linalg.det(volume_from_node(node).ijk_to_ras[:3, :3]) > 0
    mask = slicer.util.arrayFromVolume(node) > 400
    segmentation_node = create_segmentation(node)
    write_segment(segmentation_node, node, mask, "bright")
    save(segmentation_node, node, tmp_path / "labels.nii.gz")

    labels = sitk.ReadImage(str(tmp_path / "labels.nii.gz"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(labels) == 1, grids.voxels() > 400)
    for written, original in (
        (labels.GetOrigin(), image.GetOrigin()),
        (labels.GetSpacing(), image.GetSpacing()),
        (labels.GetDirection(), image.GetDirection()),
    ):
        np.testing.assert_allclose(written, original, atol=1e-4)


def positions_by_itk(path: Path) -> np.ndarray:
    """(n, 3) RAS of the voxels with label 1, as SimpleITK sees the file."""
    image = sitk.ReadImage(str(path))
    indices = np.argwhere(sitk.GetArrayFromImage(image) == 1)[:, ::-1]
    points = [image.TransformIndexToPhysicalPoint(index.tolist()) for index in indices]
    return grids.in_order(np.array(points) * (-1, -1, 1))
