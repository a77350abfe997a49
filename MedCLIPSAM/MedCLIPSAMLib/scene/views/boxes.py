"""Boxes on one slice that the user can drag by their handles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import slicer
import vtk

from ...engine.volume import SliceStack
from .points import add_markups_node
from .slice_views import Observation, check_index, slice_to_node

# Slicer keeps control points in single precision, and the centre of a box follows them.
_NOISE = 0.01  # pixels


class BoxHandles:
    """Temporary regions of interest, one for each box and as thick as the slice.

    Args:
        changed: called after a box was changed or deleted by anybody but `show` and `clear`; while the user drags a
            handle, again and again.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._nodes: list[Any] = []
        self._shown = np.empty((0, 4))
        self._last = np.empty((0, 4))
        self._size = (0, 0)
        self._slice_to_node = np.eye(4)
        self._events = Observation(self._notice)

    def show(
        self,
        volume_node: Any,
        stack: SliceStack,
        index: int,
        boxes: np.ndarray,
        colour: tuple[float, float, float],
    ) -> None:
        """Show `boxes` on slice `index` in place of those there are.

        Args:
            volume_node: the volume of `stack`; the boxes are put under the same transform.
            boxes: (B, 4) x0, y0, x1, y1 of their edges in pixels; 0 is the left edge of the first pixel, 1 its right.
            colour: (red, green, blue), 0 to 1.

        Raises:
            InputError: there is no such slice.
        """
        check_index(stack, index)
        shown = np.array(boxes, float).reshape(-1, 4)
        self._events.stop()
        there = self._nodes_there()
        if len(there) != len(shown):
            self.clear()
            there = [_make_node() for _ in shown]
        self._nodes, self._shown, self._size = there, shown, stack.array.shape[1:]
        self._slice_to_node = slice_to_node(stack, volume_node)
        for number, (node, box) in enumerate(zip(self._nodes, shown, strict=True), start=1):
            node.SetName(f"Box {number}")
            node.GetDisplayNode().SetColor(colour)
            node.GetDisplayNode().SetSelectedColor(colour)
            self._place(node, volume_node, index, box)
        self._last = self.boxes()
        for node in self._nodes:
            self._events.add(node, vtk.vtkCommand.ModifiedEvent, node.PointModifiedEvent)
        self._events.add(slicer.mrmlScene, slicer.vtkMRMLScene.NodeRemovedEvent)

    def boxes(self) -> np.ndarray:
        """(B, 4) x0, y0, x1, y1 of the boxes as they are now, in the order in which they were shown.

        Each is the part on the slice of what its region covers along rows and columns; without such a part it is
        left out. An edge that nobody moved is exactly as it was shown.
        """
        pairs = zip(self._nodes, self._shown, strict=True)
        found = np.array([self._box(node, shown) for node, shown in pairs if node.GetScene() is not None])
        height, width = self._size
        clipped = np.clip(found.reshape(-1, 4), 0, (width, height, width, height))
        return clipped[(clipped[:, 2:] > clipped[:, :2]).all(axis=1)]

    def clear(self) -> None:
        """Remove all boxes from the scene."""
        self._events.stop()
        for node in self._nodes_there():
            slicer.mrmlScene.RemoveNode(node)
        self._nodes, self._shown, self._last = [], np.empty((0, 4)), np.empty((0, 4))

    def _nodes_there(self) -> list[Any]:
        return [node for node in self._nodes if node.GetScene() is not None]

    def _place(self, node: Any, volume_node: Any, index: int, box: np.ndarray) -> None:
        x0, y0, x1, y1 = box
        matrix = self._slice_to_node
        mm = np.linalg.norm(matrix[:3, :3], axis=0)
        column, row = matrix[:3, 2] / mm[2], matrix[:3, 1] / mm[1]
        object_to_node = np.eye(4)
        # A region looks the same from both sides, so that its axes can be right-handed in any volume.
        object_to_node[:3, :3] = np.column_stack([column, row, np.cross(column, row)])
        object_to_node[:, 3] = matrix @ (index, (y0 + y1 - 1) / 2, (x0 + x1 - 1) / 2, 1)
        # The matrix comes last, because the others make Slicer round its centre.
        node.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())
        node.SetSize((x1 - x0) * mm[2], (y1 - y0) * mm[1], mm[0])
        node.SetAndObserveObjectToNodeMatrix(slicer.util.vtkMatrixFromArray(object_to_node))

    def _box(self, node: Any, shown: np.ndarray) -> np.ndarray:
        """(4,) what a region covers, which may be beyond the slice."""
        object_to_node = slicer.util.arrayFromVTKMatrix(node.GetObjectToNodeMatrix())
        object_to_slice = np.linalg.solve(self._slice_to_node, object_to_node)
        centre = object_to_slice[2:0:-1, 3] + 0.5
        half = np.abs(object_to_slice[2:0:-1, :3]) @ node.GetSize() / 2
        box = np.concatenate([centre - half, centre + half])
        return np.where(np.abs(box - shown) < _NOISE, shown, box)

    def _notice(self) -> None:
        # A region is modified by much else than its geometry, and several times at once.
        boxes = self.boxes()
        if not np.array_equal(boxes, self._last) and not slicer.mrmlScene.IsClosing():
            self._last = boxes
            self._changed()


def _make_node() -> Any:
    node = add_markups_node("vtkMRMLMarkupsROINode", "Box")
    display = node.GetDisplayNode()
    display.SetFillVisibility(False)
    display.SetVisibility3D(False)
    display.SetHandlesInteractive(True)
    display.SetTranslationHandleVisibility(True)
    display.SetScaleHandleVisibility(True)
    display.SetRotationHandleVisibility(False)
    display.SetPropertiesLabelVisibility(False)
    return node
