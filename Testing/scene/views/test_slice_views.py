"""Which slice the views show, moving them, and hearing when they move."""

from __future__ import annotations

import gc
from itertools import product
from typing import Any

import numpy as np
import pytest
import slicer

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.engine.volume import AXES, SliceStack, Volume
from MedCLIPSAMLib.scene.geometry import ijk_to_ras, to_engine
from MedCLIPSAMLib.scene.views.slice_views import SliceObservation, jump_to_slice, shown_slice, slice_to_node
from MedCLIPSAMLib.scene.volumes import volume_from_node

from .. import grids

ORIENTATIONS = {"Red": "Axial", "Green": "Coronal", "Yellow": "Sagittal"}
GRID_CASES = list(product(grids.GRIDS, AXES, [None, "scaled", "sheared", "mirrored"]))
EVERY_GRID = pytest.mark.parametrize(("kind", "axis", "transform"), GRID_CASES)


def slice_view(name: str, orientation: str = "Axial") -> Any:
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(slicer.mrmlScene)
    node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLSliceNode")
    node.UnRegister(None)
    node.SetLayoutName(name)
    view = slicer.mrmlScene.AddNode(node)
    view.SetOrientation(orientation)
    view.SetMappedInLayout(True)
    return view


@pytest.fixture
def views() -> Any:
    views = {name: slice_view(name, orientation) for name, orientation in ORIENTATIONS.items()}
    yield views
    for view in views.values():  # as in Slicer, closing the scene leaves them
        slicer.mrmlScene.RemoveNode(view)


def moved_volume(kind: str, transform: str | None) -> Any:
    node = grids.volume_node(kind)
    if transform is not None:
        node.SetAndObserveTransformNodeID(grids.transform_node(grids.TRANSFORMS[transform]).GetID())
    return node


def own_stack(volume_node: Any, axis: Any = "acquisition") -> SliceStack:
    """The stack in RAS of the node itself, without its transforms."""
    return SliceStack(Volume(grids.voxels(), ijk_to_ras(volume_node), "CT"), axis)


def world(volume_node: Any, stack: SliceStack, position: Any) -> np.ndarray:
    """(3,) RAS of the world of (slice, row, column)."""
    return (to_engine(volume_node) @ [*stack.slice_to_ras(np.array([position]))[0], 1])[:3]


def turn(view: Any, volume_node: Any, stack: SliceStack) -> None:
    """Turn a view into the plane of the slices, in the middle of the first one."""
    height, width = stack.array.shape[1:]
    centre, right, down = (
        world(volume_node, stack, (0, height / 2 + row, width / 2 + column)) for row, column in ((0, 0), (0, 1), (1, 0))
    )
    view.SetSliceToRASByNTP(*np.cross(right - centre, down - centre), *(right - centre), *centre, 0)


def centre_of(view: Any) -> np.ndarray:
    return slicer.util.arrayFromVTKMatrix(view.GetSliceToRAS())[:3, 3]


def move_to(view: Any, place: Any) -> None:
    view.JumpSliceByCentering(*place)


@EVERY_GRID
def test_stack_in_either_ras_is_placed_by_its_voxels(kind: str, axis: Any, transform: str | None):
    node = moved_volume(kind, transform)
    own = own_stack(node, axis)
    np.testing.assert_allclose(slice_to_node(own, node), own.slice_to_ras_matrix, atol=1e-9)
    of_world = SliceStack(volume_from_node(node), axis)
    expected = np.linalg.solve(to_engine(node), of_world.slice_to_ras_matrix)
    np.testing.assert_allclose(slice_to_node(of_world, node), expected, atol=1e-9)


@EVERY_GRID
def test_jumping_shows_the_slice(kind: str, axis: Any, transform: str | None, views: dict[str, Any]):
    node = moved_volume(kind, transform)
    stack = own_stack(node, axis)
    turn(views["Red"], node, stack)
    for number in (0, 3, len(stack) - 1):
        jump_to_slice(stack, node, number)
        assert shown_slice(stack, node) == number
        to_slice = np.linalg.inv(to_engine(node) @ stack.slice_to_ras_matrix)
        assert (to_slice @ [*centre_of(views["Red"]), 1])[0] == pytest.approx(number, abs=1e-6)


@EVERY_GRID
def test_half_a_slice_further_is_the_next(kind: str, axis: Any, transform: str | None, views: dict[str, Any]):
    node = moved_volume(kind, transform)
    stack = own_stack(node, axis)
    turn(views["Red"], node, stack)
    last = len(stack) - 1
    for position, number in ((-0.51, None), (-0.49, 0), (2.49, 2), (2.51, 3), (last + 0.49, last), (last + 0.51, None)):
        move_to(views["Red"], world(node, stack, (position, 2.3, 1.7)))
        assert shown_slice(stack, node) == number


def test_view_nearest_in_direction_counts(views: dict[str, Any]):
    node = grids.volume_node("axial")
    for axis, name in (("axial", "Red"), ("coronal", "Green"), ("sagittal", "Yellow")):
        stack = own_stack(node, axis)
        move_to(views[name], world(node, stack, (4, 5, 5)))
        assert shown_slice(stack, node) == 4
    stack = own_stack(node, "axial")
    tilted = slice_view("Tilted")
    direction = np.array([0, np.sin(0.5), np.cos(0.5)])
    tilted.SetSliceToRASByNTP(*direction, 1, 0, 0, *world(node, stack, (6, 5, 5)), 0)
    assert shown_slice(stack, node) == 4, "the straight view"
    views["Red"].SetMappedInLayout(False)
    assert shown_slice(stack, node) == 6, "a tilted view, where no other is to be seen"
    steep = np.array([0, np.sin(0.8), np.cos(0.8)])
    tilted.SetSliceToRASByNTP(*steep, 1, 0, 0, *world(node, stack, (6, 5, 5)), 0)
    assert shown_slice(stack, node) is None
    slicer.mrmlScene.RemoveNode(tilted)


def test_jumping_moves_only_views_along_the_stack_and_only_along_their_normals(views: dict[str, Any]):
    node = grids.volume_node("oblique")
    stack = own_stack(node, "axial")
    views["Red"].JumpSliceByCentering(5, -7, 200)
    jump_to_slice(stack, node, 4)
    assert shown_slice(stack, node) == 4
    np.testing.assert_allclose(centre_of(views["Red"])[:2], (5, -7), atol=1e-9)
    for name in ("Green", "Yellow"):
        np.testing.assert_array_equal(centre_of(views[name]), 0)


def test_what_cannot_be_shown(views: dict[str, Any]):
    node = grids.volume_node("axial")
    stack = own_stack(node)
    for number in (-1, len(stack)):
        with pytest.raises(InputError, match=f"no slice {number}; choose one of 0 to {len(stack) - 1}"):
            jump_to_slice(stack, node, number)


@pytest.mark.parametrize("kind", ["axial", "coronal", "sagittal", "oblique"])
def test_slices_that_a_transform_bends_are_shown_where_they_lie(kind: str, views: dict[str, Any]):
    node = grids.volume_node(kind)
    node.SetAndObserveTransformNodeID(grids.warp_node().GetID())
    stack = own_stack(node)
    matrix = slice_to_node(stack, node)
    for index in (2, len(stack) - 2):
        jump_to_slice(stack, node, index)
        assert shown_slice(stack, node) == index
        place = [0.0, 0.0, 0.0]
        view = max(views.values(), key=lambda each: abs(_normal(matrix) @ _to_ras(each)[:3, 2]))
        node.TransformPointFromWorld(_to_ras(view)[:3, 3], place)
        assert abs((np.linalg.inv(matrix) @ [*place, 1])[0] - index) < 1e-3


def _to_ras(view: Any) -> np.ndarray:
    return slicer.util.arrayFromVTKMatrix(view.GetSliceToRAS())


def _normal(matrix: np.ndarray) -> np.ndarray:
    normal = np.cross(matrix[:3, 1], matrix[:3, 2])
    return normal / np.linalg.norm(normal)


def test_without_views_nothing_is_shown():
    node = grids.volume_node("axial")
    jump_to_slice(own_stack(node), node, 2)
    assert shown_slice(own_stack(node), node) is None


def test_moves_are_heard_once_each_until_stopped(views: dict[str, Any]):
    calls: list[None] = []
    observation = SliceObservation(lambda: calls.append(None))
    red = views["Red"]
    red.SetSliceOffset(5)
    assert len(calls) == 1
    red.SetSliceOffset(5)
    red.SetFieldOfView(100, 100, 1)
    red.SetName("renamed")
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    assert len(calls) == 1, "nothing moved"
    views["Green"].SetOrientation("Sagittal")
    assert len(calls) == 2
    red.SetMappedInLayout(False)
    assert len(calls) == 3
    later = slice_view("Later")
    calls.clear()
    later.SetSliceOffset(-3)
    assert len(calls) == 1
    slicer.mrmlScene.RemoveNode(later)
    later.SetSliceOffset(9)
    assert len(calls) == 1, "a view that is gone"
    observation.stop()
    red.SetSliceOffset(8)
    slice_view("Latest")
    assert len(calls) == 1
    slicer.mrmlScene.RemoveNode(slicer.mrmlScene.GetSingletonNode("Latest", "vtkMRMLSliceNode"))


def test_closing_the_scene_is_no_move(views: dict[str, Any]):
    calls: list[None] = []
    views["Red"].SetSliceOffset(5)
    observation = SliceObservation(lambda: calls.append(None))
    slicer.mrmlScene.Clear()
    assert calls == []
    views["Red"].SetSliceOffset(7)
    assert len(calls) == 1
    observation.stop()


def test_observation_ends_with_whoever_holds_it(views: dict[str, Any]):
    calls: list[None] = []
    observation = SliceObservation(lambda: calls.append(None))
    del observation
    gc.collect()
    views["Red"].SetSliceOffset(5)
    assert calls == []
