"""Pictures show the segment where it is, and leave the scene as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
from PIL import Image

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.engine.volume import Volume
from MedCLIPSAMLib.scene import host
from MedCLIPSAMLib.scene.segmentation.segments import create_segmentation, write_segment
from MedCLIPSAMLib.scene.views import render
from MedCLIPSAMLib.scene.views.render import render_3d, render_slices
from MedCLIPSAMLib.scene.volumes import node_from_volume

from .. import grids

SIZE = 120


@pytest.fixture
def nodes() -> tuple[Any, Any]:
    """A grey oblique-free cube of 40 mm; a red segment at its right, anterior, superior corner."""
    array = np.zeros((40, 40, 40), np.int16)
    array[2:-2, 2:-2, 2:-2] = np.random.default_rng(0).integers(90, 110, (36, 36, 36))
    node = node_from_volume(Volume(array, np.diag([1.0, 1, 1, 1]), "MR", "cube"))
    mask = np.zeros(array.shape, bool)
    mask[24:36, 24:36, 24:36] = True  # i, j and k rise to R, A and S
    segmentation_node = create_segmentation(node)
    segment_id = write_segment(segmentation_node, node, mask, "corner")
    segmentation_node.GetSegmentation().GetSegment(segment_id).SetColor(1, 0, 0)
    return node, segmentation_node


def node_ids() -> set[str]:
    scene = slicer.mrmlScene
    return {scene.GetNthNode(index).GetID() for index in range(scene.GetNumberOfNodes())}


def red(picture: np.ndarray) -> np.ndarray:
    return picture[..., 0].astype(int) - picture[..., 1] > 30


def test_a_pale_segment_is_outlined_in_a_strong_colour_and_keeps_its_own(nodes: tuple[Any, Any], tmp_path: Path):
    display, segmentation = nodes[1].GetDisplayNode(), nodes[1].GetSegmentation()
    name = segmentation.GetNthSegmentID(0)
    segmentation.GetSegment(name).SetColor(0.98, 0.98, 0.88)  # Slicer's brain
    before = display.GetSliceIntersectionThickness()
    path = render_slices(*nodes, "axial", [30], tmp_path / "picture.png", size=SIZE)
    picture = np.asarray(Image.open(path)).astype(int)
    assert (picture[..., 0] - picture[..., 2] > 150).sum() > 0.3 * SIZE * 4
    assert display.GetSegmentColor(name) == pytest.approx((0.98, 0.98, 0.88))
    assert display.GetSliceIntersectionThickness() == before


@pytest.mark.parametrize("axis", ["axial", "coronal", "sagittal", "acquisition"])
def test_slices_as_radiologists_see_them(nodes: tuple[Any, Any], axis: Any, tmp_path: Path):
    """Right and anterior are at the left, superior and (axial) anterior at the top."""
    nodes_before = node_ids()
    path = render_slices(*nodes, axis, [30, 5], tmp_path / "picture.png", size=SIZE)
    picture = np.asarray(Image.open(path))
    assert picture.shape == (SIZE, 2 * SIZE, 3)
    with_segment, without = picture[:, :SIZE], picture[:, SIZE:]
    rows, columns = np.nonzero(red(with_segment))
    assert 0.2 * SIZE < rows.mean() < 0.4 * SIZE
    assert 0.2 * SIZE < columns.mean() < 0.4 * SIZE
    assert len(rows) == pytest.approx((0.3 * SIZE) ** 2, rel=0.15)
    assert not red(without).any()
    inside = with_segment[int(0.15 * SIZE) : int(0.35 * SIZE), int(0.15 * SIZE) : int(0.35 * SIZE), 1]
    assert inside.std() > 5, "the image shows through the segment"
    assert without[SIZE // 2, SIZE // 2].min() > 30, "the image is there"
    assert node_ids() == nodes_before


def test_display_of_the_nodes_is_not_changed(nodes: tuple[Any, Any], tmp_path: Path):
    volume_node, segmentation_node = nodes
    other = create_segmentation(volume_node, "other")
    image, fill = volume_node.GetDisplayNode(), segmentation_node.GetDisplayNode()
    image.SetAutoWindowLevel(False)
    image.SetWindowLevel(50, 60)
    fill.SetOpacity2DFill(0.8)
    render_slices(volume_node, segmentation_node, "axial", [0], tmp_path / "picture.png", size=SIZE)
    assert (image.GetWindow(), image.GetLevel(), image.GetAutoWindowLevel()) == (50, 60, 0)
    assert fill.GetOpacity2DFill() == 0.8
    assert other.GetDisplayVisibility()


@pytest.mark.parametrize("by_transform", [False, True])
def test_oblique_volume_is_shown_in_its_own_planes(by_transform: bool, tmp_path: Path):
    """A slab one voxel thick in the volume fills its slice and no other."""
    array = np.full((20, 40, 40), 100, np.int16)
    turned, scaled = grids.affine(grids.rotation(0.3, 0.2, 0.1)), np.diag([1.0, 1, 2, 1])
    node = node_from_volume(Volume(array, scaled if by_transform else turned @ scaled, "MR", "oblique"))
    if by_transform:
        node.SetAndObserveTransformNodeID(grids.transform_node(turned).GetID())
    mask = np.zeros(array.shape, bool)
    mask[9, 4:-4, 4:-4] = True
    segmentation_node = create_segmentation(node)
    segment_id = write_segment(segmentation_node, node, mask, "slab")
    segmentation_node.GetSegmentation().GetSegment(segment_id).SetColor(1, 0, 0)
    path = render_slices(node, segmentation_node, "axial", [8, 9, 10], tmp_path / "picture.png", size=SIZE)
    tiles = np.split(np.asarray(Image.open(path)), 3, axis=1)
    assert [red(tile).mean() > 0.5 for tile in tiles] == [False, True, False]
    assert [red(tile).any() for tile in tiles] == [False, True, False]


def test_3d_view_from_the_front(nodes: tuple[Any, Any], tmp_path: Path):
    nodes_before = node_ids()
    path = render_3d(nodes[1], tmp_path / "picture.png", size=SIZE)
    picture = np.asarray(Image.open(path))
    assert picture.shape == (SIZE, SIZE, 3)
    assert 0.1 < red(picture).mean() < 0.9
    assert (picture[0, 0] == 255).all()
    assert not nodes[1].GetSegmentation().ContainsRepresentation("Closed surface")
    assert node_ids() == nodes_before


def test_what_cannot_be_shown(nodes: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    volume_node, segmentation_node = nodes
    for slices in ([], [-1], [40]):
        with pytest.raises(InputError, match="slices 0 to 39"):
            render_slices(volume_node, segmentation_node, "axial", slices, tmp_path / "picture.png")
    empty = create_segmentation(volume_node, "empty")
    write_segment(empty, volume_node, np.zeros((40, 40, 40), bool), "nothing")
    with pytest.raises(InputError, match="no voxels to show"):
        render_3d(empty, tmp_path / "picture.png")
    monkeypatch.setattr(render, "start", lambda: None)
    with pytest.raises(InputError, match="outside 3D Slicer only"):
        render_3d(segmentation_node, tmp_path / "picture.png")
    assert host.start() is not None
    assert list(tmp_path.iterdir()) == []
