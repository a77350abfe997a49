"""Where the heat map lies, how it looks, and what the slice views show afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
from PIL import Image

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.scene.segmentation.segments import create_segmentation
from MedCLIPSAMLib.scene.views import render
from MedCLIPSAMLib.scene.views.heat_map import HeatMap

from .. import grids
from .test_slice_views import EVERY_GRID, GRID_CASES, jump_to_slice, moved_volume, own_stack, slice_view, turn, world

SIZE = 200


@pytest.fixture
def views() -> Iterator[list[Any]]:
    """The composite nodes of two slice views."""
    views = []
    for name in ("Red", "Yellow"):
        view = slicer.vtkMRMLSliceCompositeNode()
        view.SetLayoutName(name)
        views.append(slicer.mrmlScene.AddNode(view))
    yield views
    for view in views:
        slicer.mrmlScene.RemoveNode(view)


def random_heat(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(1).random(shape).astype(np.float32)


def node_ids() -> set[str]:
    scene = slicer.mrmlScene
    return {scene.GetNthNode(index).GetID() for index in range(scene.GetNumberOfNodes())}


def shown(view: Any) -> Any:
    return slicer.mrmlScene.GetNodeByID(view.GetForegroundVolumeID() or "")


def show(heat_map: HeatMap, volume_node: Any, index: int = 3, opacity: float = 0.4) -> np.ndarray:
    stack = own_stack(volume_node)
    heat = random_heat(stack.array.shape[1:])
    heat_map.show(volume_node, stack, index, heat, opacity)
    return heat


# Left out are slivers of pixels, which the pixels of a view cannot tell apart.
@pytest.mark.parametrize(
    ("kind", "axis", "transform"), [case for case in GRID_CASES if case[::2] != ("anisotropic", "sheared")]
)
def test_pixels_lie_on_the_slice(kind: str, axis: Any, transform: str | None, views: list[Any]):
    """Resliced by Slicer in the plane of the slice, each pixel's centre has its value."""
    node = moved_volume(kind, transform)
    stack = own_stack(node, axis)
    heat = random_heat(stack.array.shape[1:])
    heat_map = HeatMap()
    heat_map.show(node, stack, 2, heat, 0.5)
    view = slice_view("Resliced")
    turn(view, node, stack)
    jump_to_slice(stack, node, 2)
    axes = slicer.util.arrayFromVTKMatrix(view.GetSliceToRAS())[:3, :2]
    corners = [world(node, stack, (2, row, column)) for row in (0, heat.shape[0]) for column in (0, heat.shape[1])]
    view.SetDimensions(1000, 1000, 1)
    view.SetFieldOfView(*(1.5 * np.ptp(np.array(corners) @ axes, axis=0)), 1)
    layer = slicer.vtkMRMLSliceLayerLogic()
    layer.SetMRMLScene(slicer.mrmlScene)
    layer.SetVolumeNode(shown(views[0]))
    layer.SetSliceNode(view)
    reslice = layer.GetReslice()
    reslice.SetInterpolationModeToNearestNeighbor()
    reslice.Update()
    to_xy = np.linalg.inv(slicer.util.arrayFromVTKMatrix(view.GetXYToRAS()))
    for (row, column), value in np.ndenumerate(heat):
        x, y = (to_xy @ [*world(node, stack, (2, row, column)), 1])[:2]
        found = reslice.GetOutput().GetScalarComponentAsDouble(round(x), round(y), 0, 0)
        assert found == pytest.approx(value, abs=1e-6)
    heat_map.hide()
    slicer.mrmlScene.RemoveNode(view)


@EVERY_GRID
def test_spacing_is_the_stacks(kind: str, axis: Any, transform: str | None, views: list[Any]):
    node = moved_volume(kind, transform)
    stack = own_stack(node, axis)
    heat_map = HeatMap()
    heat_map.show(node, stack, 1, random_heat(stack.array.shape[1:]), 0.5)
    np.testing.assert_allclose(shown(views[0]).GetSpacing(), stack.spacing[::-1], atol=1e-9)
    heat_map.hide()


def test_warm_places_stand_out_on_their_slice_only(tmp_path: Path):
    node = grids.volume_node("axial")
    slicer.util.arrayFromVolume(node)[:] = 100
    stack = own_stack(node)
    heat = np.full(stack.array.shape[1:], 0.04, np.float32)
    heat[3:6, 6:10] = 1  # upper right
    heat[10:12, 1:4] = 0.5  # lower left
    heat_map, segmentation = HeatMap(), create_segmentation(node)
    views: list[Any] = []

    def with_heat(view: Any) -> np.ndarray:
        heat_map.show(node, stack, 4, heat, 1.0)
        views.append(view)
        return picture(view)

    picture = render.picture
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(render, "picture", with_heat)
        render.render_slices(node, segmentation, "axial", [4, 5], tmp_path / "heat.png", size=SIZE)
    heat_map.hide()
    on, beside = np.split(np.asarray(Image.open(tmp_path / "heat.png")).astype(int), 2, axis=1)
    scale = SIZE / stack.array.shape[1]  # 14 rows fill the height, 11 columns are in the middle of the width
    first_column = (SIZE - stack.array.shape[2] * scale) / 2
    y, x = np.nonzero((on[..., 1] - on[..., 2] > 100) & (on[..., 0] > 200))
    assert np.ptp(y) / scale == pytest.approx(3, abs=0.5)
    assert (y.mean() + 0.5) / scale == pytest.approx(4.5, abs=0.2), "yellow rows"
    assert (x.mean() + 0.5 - first_column) / scale == pytest.approx(8, abs=0.2)
    y, x = np.nonzero((on[..., 0] - on[..., 2] > 150) & (np.arange(SIZE) < SIZE / 2))
    assert (y.mean() + 0.5) / scale == pytest.approx(11, abs=0.2), "red rows"
    assert (x.mean() + 0.5 - first_column) / scale == pytest.approx(2.5, abs=0.2)
    cold = on[int(7.5 * scale), SIZE // 2]
    assert np.ptp(cold) == 0, "the grey image"
    assert (np.ptp(beside, axis=2) == 0).all()
    assert len(views) == 2


def test_views_get_back_what_they_showed(views: list[Any]):
    volume, other = grids.volume_node("axial"), grids.volume_node("oblique")
    views[0].SetForegroundVolumeID(other.GetID())
    views[0].SetForegroundOpacity(0.7)
    before = node_ids()
    heat_map = HeatMap()
    heat = show(heat_map, volume)
    node = shown(views[0])
    assert shown(views[1]) is node
    assert [view.GetForegroundOpacity() for view in views] == [0.4, 0.4]
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(node)[0], heat)
    assert slicer.util.arrayFromVolume(node).dtype == np.float32
    assert node.GetHideFromEditors()
    assert not node.GetSelectable()
    assert not any(slicer.mrmlScene.GetNodeByID(name).GetSaveWithScene() for name in node_ids() - before)
    show(heat_map, volume, 5, 0.6)
    assert shown(views[0]) is node
    heat_map.set_opacity(0.2)
    assert [view.GetForegroundOpacity() for view in views] == [0.2, 0.2]
    heat_map.hide()
    assert [shown(view) for view in views] == [other, None]
    assert [view.GetForegroundOpacity() for view in views] == [0.7, 0]
    assert node_ids() == before
    heat_map.hide()
    heat_map.set_opacity(0.9)
    assert views[0].GetForegroundOpacity() == 0.7


def test_what_somebody_else_chose_stays(views: list[Any]):
    volume, other = grids.volume_node("axial"), grids.volume_node("oblique")
    heat_map = HeatMap()
    show(heat_map, volume)
    views[0].SetForegroundVolumeID(other.GetID())
    views[0].SetForegroundOpacity(0.9)
    heat_map.set_opacity(0.1)
    assert views[0].GetForegroundOpacity() == 0.9
    heat_map.hide()
    assert shown(views[0]) is other
    assert views[0].GetForegroundOpacity() == 0.9
    assert shown(views[1]) is None
    show(heat_map, volume)
    slicer.mrmlScene.RemoveNode(other)
    heat_map.hide()
    assert shown(views[0]) is None


def test_map_that_was_deleted_is_made_again(views: list[Any]):
    volume, other = grids.volume_node("axial"), grids.volume_node("oblique")
    views[0].SetForegroundVolumeID(other.GetID())
    views[0].SetForegroundOpacity(0.7)
    before = node_ids()
    heat_map = HeatMap()
    show(heat_map, volume)
    slicer.mrmlScene.RemoveNode(shown(views[0]))
    show(heat_map, volume)
    assert shown(views[0]).GetName() == "Heat map"
    slicer.mrmlScene.RemoveNode(shown(views[0]))
    heat_map.hide()
    assert shown(views[0]) is other
    assert views[0].GetForegroundOpacity() == 0.7
    assert node_ids() == before


def test_closed_scene(views: list[Any]):
    heat_map = HeatMap()
    views[0].SetForegroundOpacity(0.7)
    show(heat_map, grids.volume_node("axial"))
    slicer.mrmlScene.Clear()
    before, opacities = node_ids(), [view.GetForegroundOpacity() for view in views]
    heat_map.hide()
    assert node_ids() == before
    assert [view.GetForegroundOpacity() for view in views] == opacities
    volume = grids.volume_node("axial")
    show(heat_map, volume)
    slicer.mrmlScene.Clear()
    volume = grids.volume_node("axial")
    show(heat_map, volume)
    assert shown(views[0]).GetName() == "Heat map"
    heat_map.hide()
    assert [shown(view) for view in views] == [None, None]


def test_what_cannot_be_shown(views: list[Any]):
    volume = grids.volume_node("axial")
    before, heat_map = node_ids(), HeatMap()
    with pytest.raises(InputError, match="no slice 9"):
        show(heat_map, volume, 9)
    with pytest.raises(InputError, match=r"shape \(2, 3\)"):
        heat_map.show(volume, own_stack(volume), 0, random_heat((2, 3)), 0.5)
    assert node_ids() == before
