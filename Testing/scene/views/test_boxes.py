"""Boxes shown, dragged, deleted and read back."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest
import slicer

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.engine.volume import SliceStack
from MedCLIPSAMLib.scene.geometry import to_engine
from MedCLIPSAMLib.scene.views.boxes import BoxHandles
from MedCLIPSAMLib.scene.volumes import volume_from_node

from .. import grids
from .test_heat_map import node_ids
from .test_slice_views import EVERY_GRID, moved_volume, own_stack, world

RED = (1.0, 0.0, 0.0)
BOXES = np.array([[0, 0, 3, 2], [1.25, 2.5, 7.75, 8], [4, 1 / 3, 9, 7]])


class Calls:
    def __init__(self) -> None:
        self.number = 0

    def __call__(self) -> None:
        self.number += 1

    def take(self) -> int:
        number, self.number = self.number, 0
        return number


@pytest.fixture
def calls() -> Calls:
    return Calls()


def regions() -> list[Any]:
    return slicer.util.getNodesByClass("vtkMRMLMarkupsROINode")


def corners(node: Any) -> np.ndarray:
    """(8, 3) RAS of the world, sorted."""
    signs = np.array(np.meshgrid(*[[-0.5, 0.5]] * 3)).reshape(3, -1).T
    matrix = slicer.util.arrayFromVTKMatrix(node.GetObjectToWorldMatrix())
    points = signs * node.GetSize()
    return grids.in_order(points @ matrix[:3, :3].T + matrix[:3, 3])


@EVERY_GRID
def test_round_trip(kind: str, axis: Any, transform: str | None, calls: Calls):
    node = moved_volume(kind, transform)
    handles = BoxHandles(calls)
    for stack in (own_stack(node, axis), SliceStack(volume_from_node(node), axis)):
        handles.show(node, stack, 2, BOXES, RED)
        np.testing.assert_array_equal(handles.boxes(), BOXES)
    # Read back without what was shown.
    handles._shown = np.full_like(BOXES, np.nan)
    np.testing.assert_allclose(handles.boxes(), BOXES, atol=1e-6)
    handles.clear()
    assert calls.take() == 0


@EVERY_GRID
def test_edges_are_where_the_pixels_edges_are(kind: str, axis: Any, transform: str | None, calls: Calls):
    node = moved_volume(kind, transform)
    stack = own_stack(node, axis)
    handles = BoxHandles(calls)
    handles.show(node, stack, 2, BOXES[1:2], RED)
    x0, y0, x1, y1 = BOXES[1] - 0.5
    expected = [world(node, stack, (number, y, x)) for number in (1.5, 2.5) for y in (y0, y1) for x in (x0, x1)]
    np.testing.assert_allclose(corners(regions()[0]).mean(axis=0), np.mean(expected, axis=0), atol=1e-6)
    directions = (to_engine(node) @ stack.slice_to_ras_matrix)[:3, :3]
    directions /= np.linalg.norm(directions, axis=0)
    if np.allclose(directions.T @ directions, np.eye(3)):  # Slicer draws no region whose angles are not right
        np.testing.assert_allclose(corners(regions()[0]), grids.in_order(np.array(expected)), atol=1e-6)
    axes = slicer.util.arrayFromVTKMatrix(regions()[0].GetObjectToNodeMatrix())[:3, :3]
    assert np.linalg.det(axes) == pytest.approx(1)


@EVERY_GRID
def test_dragged_edge(kind: str, axis: Any, transform: str | None, calls: Calls):
    """The left edge moves by two pixels; all others stay exactly as they were."""
    node = moved_volume(kind, transform)
    stack = own_stack(node, axis)
    handles = BoxHandles(calls)
    handles.show(node, stack, 2, BOXES, RED)
    region = regions()[1]
    width, height, depth = region.GetSize()
    right = np.subtract(*stack.slice_to_ras(np.array([[0, 0, 1], [0, 0, 0]])))
    centre = np.add(region.GetCenter(), right)
    region.SetSize(width - 2 * np.linalg.norm(right), height, depth)
    region.SetCenter(*centre)
    found = handles.boxes()
    assert found[1, 0] == pytest.approx(BOXES[1, 0] + 2, abs=1e-3)  # single precision, of pixels of 0.05 mm
    found[1, 0] = BOXES[1, 0]
    np.testing.assert_array_equal(found, BOXES)
    assert calls.take() == 2, "once for the size, once for the place"


def test_what_is_changed_is_told(calls: Calls):
    node = grids.volume_node("oblique")
    handles = BoxHandles(calls)
    handles.show(node, own_stack(node), 2, BOXES, RED)
    first, second, _ = regions()
    first.SetName("renamed")
    first.SetDisplayVisibility(False)
    first.GetDisplayNode().SetColor(0, 0, 1)
    first.Modified()
    first.SetSize(first.GetSize())
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    assert calls.take() == 0, "the boxes are the same"
    first.SetSize(1, 1, 1)
    assert calls.take() == 1
    slicer.mrmlScene.RemoveNode(second)
    assert calls.take() == 1
    np.testing.assert_array_equal(handles.boxes()[1], BOXES[2])
    second.SetSize(1, 1, 1)
    assert calls.take() == 0, "that box is gone"
    handles.clear()
    assert calls.take() == 0


def test_showing_is_no_change_and_uses_the_same_nodes(calls: Calls):
    node, other = grids.volume_node("oblique"), moved_volume("sagittal", "scaled")
    before = node_ids()
    handles = BoxHandles(calls)
    handles.show(node, own_stack(node), 2, BOXES, RED)
    shown = regions()
    assert [region.GetName() for region in shown] == ["Box 1", "Box 2", "Box 3"]
    handles.show(other, own_stack(other), 4, BOXES[::-1], (0, 1, 0))
    assert regions() == shown
    assert shown[0].GetTransformNodeID() == other.GetTransformNodeID()
    assert shown[0].GetDisplayNode().GetSelectedColor() == (0, 1, 0)
    np.testing.assert_array_equal(handles.boxes(), BOXES[::-1])
    slicer.mrmlScene.RemoveNode(shown[0])
    assert calls.take() == 1
    handles.show(node, own_stack(node), 2, BOXES[:2], RED)
    assert regions() == shown[1:]
    assert [region.GetName() for region in regions()] == ["Box 1", "Box 2"]
    handles.show(node, own_stack(node), 2, np.empty((0, 4)), RED)
    assert handles.boxes().shape == (0, 4)
    assert regions() == []
    assert node_ids() == before
    assert calls.take() == 0


def test_boxes_are_temporary_outlines_with_handles(calls: Calls):
    before, node = node_ids(), grids.volume_node("axial")
    selection = slicer.mrmlScene.GetSingletonNode("Singleton", "vtkMRMLSelectionNode")
    selection.SetReferenceActivePlaceNodeClassName("vtkMRMLMarkupsCurveNode")
    handles = BoxHandles(calls)
    handles.show(node, own_stack(node), 2, BOXES, RED)
    (region, *_), display = regions(), regions()[0].GetDisplayNode()
    assert region.GetHideFromEditors()
    assert not region.GetSaveWithScene()
    assert not display.GetSaveWithScene()
    assert not display.GetFillVisibility()
    assert display.GetVisibility2D()
    assert (display.GetScaleHandleVisibility(), display.GetTranslationHandleVisibility()) == (True, True)
    assert display.GetHandlesInteractive()
    assert not display.GetRotationHandleVisibility()
    assert selection.GetActivePlaceNodeClassName() == "vtkMRMLMarkupsCurveNode"
    assert selection.GetActivePlaceNodeID() is None
    handles.clear()
    slicer.mrmlScene.RemoveNode(node)
    assert node_ids() == before


def test_what_is_beyond_the_slice_is_cut_off(calls: Calls):
    node = grids.volume_node("left-handed")
    stack = own_stack(node, "coronal")
    height, width = stack.array.shape[1:]
    given = [[-2, -3, 2, 1], [1, 1, 1, 4], [width, 0, width + 3, 2], [0, 0, width + 1, height + 1]]
    handles = BoxHandles(calls)
    handles.show(node, stack, 0, np.array(given), RED)
    np.testing.assert_array_equal(handles.boxes(), [[0, 0, 2, 1], [0, 0, width, height]])


def test_turned_box_is_the_box_around_it(calls: Calls):
    node = grids.volume_node("axial")
    stack = own_stack(node)
    handles = BoxHandles(calls)
    handles.show(node, stack, 0, np.array([[3.0, 3, 7, 7]]), RED)
    matrix = slicer.util.arrayFromVTKMatrix(regions()[0].GetObjectToNodeMatrix())
    matrix[:3, :3] = grids.rotation(0, 0, np.pi / 4) @ matrix[:3, :3]
    regions()[0].SetAndObserveObjectToNodeMatrix(slicer.util.vtkMatrixFromArray(matrix))
    reach = 2 * np.sqrt(2)
    np.testing.assert_allclose(handles.boxes(), [[5 - reach, 5 - reach, 5 + reach, 5 + reach]], atol=1e-6)
    assert calls.take() == 1


def test_closed_scene(calls: Calls):
    node = grids.volume_node("axial")
    handles = BoxHandles(calls)
    handles.show(node, own_stack(node), 2, BOXES, RED)
    slicer.mrmlScene.Clear()
    assert calls.take() == 0
    assert handles.boxes().shape == (0, 4)
    before, node = node_ids(), grids.volume_node("axial")
    handles.show(node, own_stack(node), 2, BOXES, RED)
    np.testing.assert_array_equal(handles.boxes(), BOXES)
    handles.clear()
    slicer.mrmlScene.Clear()
    handles.clear()
    assert node_ids() == before
    assert calls.take() == 0


def test_nobody_is_called_who_is_gone(calls: Calls):
    node = grids.volume_node("axial")
    handles = BoxHandles(calls)
    handles.show(node, own_stack(node), 2, BOXES, RED)
    del handles
    gc.collect()
    regions()[0].SetSize(1, 1, 1)
    assert calls.take() == 0


def test_slice_that_is_not_there(calls: Calls):
    node = grids.volume_node("axial")
    before = node_ids()
    with pytest.raises(InputError, match="no slice 9"):
        BoxHandles(calls).show(node, own_stack(node), 9, BOXES, RED)
    assert node_ids() == before
