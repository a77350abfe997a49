"""Pictures by 3D Slicer's own displayable managers, off screen; for the headless application only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import slicer
import vtk
from PIL import Image
from vtkmodules.util import numpy_support

from ...engine.errors import InputError
from ...engine.volume import Axis, SliceStack, Window, automatic_window
from ..host import quiet, start
from ..volumes import volume_from_node

if TYPE_CHECKING:
    from trame_slicer.views import AbstractView

_COLUMNS = 4
_FILL = 0.3  # opacity of segments, so that the image below stays readable
_OUTLINE = 2  # pixels
_PALE = 0.4  # a colour with less between its channels is lost on a grey image, such as Slicer's of the brain
_INSTEAD_OF_PALE = (1.0, 0.75, 0.0)


def render_slices(
    volume_node: Any,
    segmentation_node: Any,
    axis: Axis,
    slices: Sequence[int],
    path: str | Path,
    *,
    size: int = 400,
) -> Path:
    """Write slice views with the segments over the volume, side by side, four in a row.

    Args:
        volume_node, segmentation_node: what to show; other segmentations are hidden meanwhile.
        axis: along which the slices lie; those of an oblique volume are shown in its own planes.
        slices: their numbers, as in the engine's `SliceStack`.
        path: PNG file, replaced where it exists.
        size: edge of each view in pixels.

    Raises:
        InputError: no slices, or a number that the volume does not have.
    """
    stack = SliceStack(volume_from_node(volume_node), axis)
    if not slices or not all(0 <= number < len(stack) for number in slices):
        raise InputError(f"{volume_node.GetName()} has {axis} slices 0 to {len(stack) - 1}; choose of them.")
    middle = (np.array(stack.array.shape[1:]) - 1) / 2
    window = automatic_window(stack.volume)
    with (
        _only(segmentation_node),
        _readable(volume_node, segmentation_node, window),
        _view("slice", size) as view,
    ):
        from trame_slicer.views import ViewProps

        view.set_background_volume_id(volume_node.GetID())
        view.set_view_properties(ViewProps(orientation=stack.plane.capitalize()))
        view.fit_view_to_content()
        _draw_image_first(view.renderer())
        tiles = []
        for number in slices:
            (centre,) = stack.slice_to_ras(np.array([[number, *middle]]))
            view.get_view_node().JumpSliceByOffsetting(*centre)
            tiles.append(picture(view))
    return _save(_grid(tiles), path)


def render_3d(segmentation_node: Any, path: str | Path, *, size: int = 600) -> Path:
    """Write one 3D view of the surfaces of all visible segments, seen from the front, to a PNG file.

    Raises:
        InputError: every segment is empty.
    """
    segmentation = segmentation_node.GetSegmentation()
    surface = slicer.vtkSegmentationConverter.GetClosedSurfaceRepresentationName()
    had_surfaces = segmentation.ContainsRepresentation(surface)
    segmentation_node.CreateClosedSurfaceRepresentation()
    try:
        bounds = np.zeros(6)
        segmentation_node.GetRASBounds(bounds)
        if bounds[0] > bounds[1]:
            raise InputError(f"{segmentation_node.GetName()} has no voxels to show in 3D; nothing was found.")
        with _only(segmentation_node), _view("3d", size) as view:
            view.set_background_color_from_string("white")
            view.set_box_visible(False)
            view.fit_view_to_content()
            shown = picture(view)
    finally:
        if not had_surfaces:
            segmentation_node.RemoveClosedSurfaceRepresentation()
    return _save(shown, path)


def strong(colour: tuple[float, float, float]) -> tuple[float, float, float]:
    """A colour, r, g, b in 0..1, or one that is not lost on a grey image instead of it."""
    return _INSTEAD_OF_PALE if _is_pale(colour) else colour


def _is_pale(colour: Any) -> bool:
    return bool(np.ptp(colour) < _PALE)


@contextmanager
def _view(kind: Literal["slice", "3d"], size: int) -> Iterator[Any]:
    """A square off-screen view; with it go the nodes and logics that it added to the scene."""
    app = start()
    if app is None:
        raise InputError("Pictures are made outside 3D Slicer only; use its Screen Capture module here.")
    from trame_slicer.views import SliceView, ThreeDView
    from trame_slicer.views.render_scheduler import NoScheduleRendering

    view_class = SliceView if kind == "slice" else ThreeDView
    scene, logics = app.scene, app.app_logic.GetSliceLogics()
    nodes_before, logics_before = _node_ids(scene), logics.GetNumberOfItems()
    with quiet():  # VTK complains about the missing display before it finds another way to draw
        view = view_class(scene, app.app_logic, "MedCLIPSAM", scheduled_render_strategy=NoScheduleRendering())
        try:
            view.render_window().SetSize(size, size)
            yield view
        finally:
            view.finalize()
            view.set_view_node(None)  # else it makes its nodes again when they are removed, as do the logics
            while logics.GetNumberOfItems() > logics_before:
                logics.GetItemAsObject(logics_before).SetMRMLScene(None)
                logics.RemoveItem(logics_before)
            for node_id in _node_ids(scene) - nodes_before:
                scene.RemoveNode(scene.GetNodeByID(node_id))


def _node_ids(scene: Any) -> set[str]:
    return {scene.GetNthNode(index).GetID() for index in range(scene.GetNumberOfNodes())}


@contextmanager
def _only(segmentation_node: Any) -> Iterator[None]:
    """All other segmentations of the scene are hidden."""
    others = [
        node.GetDisplayNode()
        for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
        if node is not segmentation_node and node.GetDisplayVisibility()
    ]
    for display in others:
        display.SetVisibility(False)
    try:
        yield
    finally:
        for display in others:
            display.SetVisibility(True)


@contextmanager
def _readable(volume_node: Any, segmentation_node: Any, window: Window) -> Iterator[None]:
    """The volume in `window` under faint segments in strong colours; afterwards displayed as before."""
    image, segments = volume_node.GetDisplayNode(), segmentation_node.GetDisplayNode()
    segmentation = segmentation_node.GetSegmentation()
    automatic, low, high = image.GetAutoWindowLevel(), image.GetWindowLevelMin(), image.GetWindowLevelMax()
    fill, thickness = segments.GetOpacity2DFill(), segments.GetSliceIntersectionThickness()
    pale = {
        name: segments.GetSegmentOverrideColor(name)
        for name in segmentation.GetSegmentIDs()
        if _is_pale(segments.GetSegmentColor(name))
    }
    image.SetAutoWindowLevel(False)
    image.SetWindowLevelMinMax(window.low, window.high)
    segments.SetOpacity2DFill(_FILL)
    segments.SetSliceIntersectionThickness(_OUTLINE)
    for name in pale:
        segments.SetSegmentOverrideColor(name, *_INSTEAD_OF_PALE)
    try:
        yield
    finally:
        for name, colour in pale.items():
            segments.SetSegmentOverrideColor(name, *colour)
        segments.SetSliceIntersectionThickness(thickness)
        segments.SetOpacity2DFill(fill)
        image.SetWindowLevelMinMax(low, high)
        image.SetAutoWindowLevel(automatic)


def _draw_image_first(renderer: Any) -> None:
    """Draw the image before the segments: added to the view after them, it would not show through."""
    props = list(renderer.GetViewProps())
    for prop in props:
        renderer.RemoveViewProp(prop)
    for prop in sorted(props, key=lambda prop: not _is_background(prop)):
        renderer.AddViewProp(prop)


def _is_background(prop: Any) -> bool:
    return prop.IsA("vtkActor2D") and prop.GetProperty().GetDisplayLocation() == vtk.VTK_BACKGROUND_LOCATION


def picture(view: AbstractView) -> np.ndarray:
    """(H, W, 3) uint8."""
    view.render()
    grabber = vtk.vtkWindowToImageFilter()
    grabber.SetInput(view.render_window())
    grabber.ReadFrontBufferOff()
    grabber.Update()
    image = grabber.GetOutput()
    pixels = numpy_support.vtk_to_numpy(image.GetPointData().GetScalars())
    width, height, _ = image.GetDimensions()
    return pixels.reshape(height, width, -1)[::-1, :, :3].copy()  # VTK counts rows from the bottom


def _grid(tiles: list[np.ndarray]) -> np.ndarray:
    columns = min(_COLUMNS, len(tiles))
    blank = np.zeros_like(tiles[0])
    tiles = tiles + [blank] * (-len(tiles) % columns)
    return np.vstack([np.hstack(tiles[row : row + columns]) for row in range(0, len(tiles), columns)])


def _save(picture: np.ndarray, path: str | Path) -> Path:
    path = Path(path)
    Image.fromarray(picture).save(path, format="PNG")
    return path
