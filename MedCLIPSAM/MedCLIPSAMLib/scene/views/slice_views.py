"""Which slice of a stack the slice views show, moving them to another, and hearing when they move."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import slicer
import vtk

from ...engine.errors import InputError
from ...engine.volume import SliceStack
from ..geometry import from_world, ijk_to_ras

_STEPS = 5  # of Newton's method
_LEAST_ALIGNMENT = math.cos(math.radians(45))


def shown_slice(stack: SliceStack, volume_node: Any) -> int | None:
    """The slice that the visible slice view nearest in direction shows at its centre.

    Returns:
        Its number in `stack`; None if the view is beyond the first or last slice, or no view is within 45 degrees.
    """
    views = _views_along(stack, volume_node)
    if not views:
        return None
    (position,) = _numbers(stack, volume_node, _slice_to_ras(views[0])[None, :3, 3])
    number = math.floor(position + 0.5)
    return number if 0 <= number < len(stack) else None


def jump_to_slice(stack: SliceStack, volume_node: Any, index: int) -> None:
    """Move the visible slice views within 45 degrees of the stack along their normals, centred on slice `index`.

    Panning and zoom stay as they are.

    Raises:
        InputError: there is no such slice.
    """
    check_index(stack, index)
    for view in _views_along(stack, volume_node):
        centre, normal = _slice_to_ras(view)[:3, 3], _slice_to_ras(view)[:3, 2]
        distance = 0.0
        for _ in range(_STEPS):  # one is enough where no transform bends the slices
            here, further = _numbers(stack, volume_node, centre + np.outer([distance, distance + 1], normal))
            distance += (index - here) / (further - here)
        view.SetSliceOffset(view.GetSliceOffset() + distance)


def check_index(stack: SliceStack, index: int) -> None:
    """Refuse the number of a slice that a stack does not have.

    Raises:
        InputError: there is no such slice.
    """
    if not 0 <= index < len(stack):
        raise InputError(f"{stack.volume.name} has no slice {index}; choose one of 0 to {len(stack) - 1}.")


def slice_to_node(stack: SliceStack, volume_node: Any) -> np.ndarray:
    """(4, 4) float64, (slice, row, column, 1) to RAS of the volume node itself, without its transforms.

    It goes by way of the voxels, so that `stack` may be in RAS of the node or in RAS of the world.
    """
    return ijk_to_ras(volume_node) @ stack.slice_to_ijk_matrix


class Observation:
    """Calls `call` at events of VTK objects until it is stopped or nobody holds it any more."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call
        self._observed: list[tuple[Any, int]] = []

    def add(self, source: Any, *events: int) -> None:
        """Call at `events` of `source`, too."""
        weak = weakref.ref(self)  # the source may outlive whoever observes it

        def notify(*_: Any) -> None:
            observation = weak()
            if observation is not None:
                observation._call()

        for event in events:
            self._observed.append((source, source.AddObserver(event, notify)))

    def stop(self) -> None:
        """Call no more; more can be added later."""
        for source, tag in self._observed:
            source.RemoveObserver(tag)
        self._observed.clear()

    def __del__(self) -> None:
        self.stop()


class SliceObservation:
    """`call()` when a slice view moves or turns, appears in the layout or leaves it, those of later layouts included.

    It ends with `stop()`, or when nobody holds it any more.
    """

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call
        self._views: list[Any] = []
        self._state: list[tuple[bool, bytes]] = []
        self._moves = Observation(self._moved)
        self._scene = Observation(self._follow)
        self._scene.add(slicer.mrmlScene, slicer.vtkMRMLScene.NodeAddedEvent, slicer.vtkMRMLScene.NodeRemovedEvent)
        self._follow()

    def stop(self) -> None:
        """Call no more."""
        self._scene.stop()
        self._moves.stop()

    def _follow(self) -> None:
        """Observe the slice views that there are now."""
        views = slicer.util.getNodesByClass("vtkMRMLSliceNode")
        if views == self._views:
            return
        self._moves.stop()
        for view in views:
            self._moves.add(view, vtk.vtkCommand.ModifiedEvent)
        self._views, self._state = views, [_state(view) for view in views]

    def _moved(self) -> None:
        # A view is modified by much else, such as zooming; and what closes has nothing to show.
        state = [_state(view) for view in self._views]
        if state != self._state and not slicer.mrmlScene.IsClosing():
            self._state = state
            self._call()


def _state(view: Any) -> tuple[bool, bytes]:
    return bool(view.IsViewVisibleInLayout()), _slice_to_ras(view).tobytes()


def _slice_to_ras(view: Any) -> np.ndarray:
    """(4, 4): columns are right, up and normal of a slice view, and its centre."""
    return slicer.util.arrayFromVTKMatrix(view.GetSliceToRAS())


def _numbers(stack: SliceStack, volume_node: Any, places: np.ndarray) -> np.ndarray:
    """(N,) number of the slice, in parts of slices, at each of (N, 3) places in RAS of the world."""
    per_mm = np.linalg.inv(slice_to_node(stack, volume_node))[0]
    return from_world(volume_node, places) @ per_mm[:3] + per_mm[3]


def _views_along(stack: SliceStack, volume_node: Any) -> list[Any]:
    """The visible slice views within 45 degrees of the slices, nearest first."""
    alignment = {}
    for view in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        if view.IsViewVisibleInLayout():
            # The normal of the slices is where their number changes most: there, in the view's own axes.
            centre, axes = _slice_to_ras(view)[:3, 3], _slice_to_ras(view)[:3, :3].T
            here, *beside = _numbers(stack, volume_node, np.vstack([centre, centre + axes]))
            slope = np.subtract(beside, here)
            alignment[view] = abs(slope[2]) / np.linalg.norm(slope)
    near = [view for view, cosine in alignment.items() if cosine > _LEAST_ALIGNMENT]
    return sorted(near, key=lambda view: -alignment[view])
