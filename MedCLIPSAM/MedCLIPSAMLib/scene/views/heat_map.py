"""The saliency map of one slice in colour over the slice views."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk
from vtkmodules.util import numpy_support

from ...engine.errors import InputError
from ...engine.volume import SliceStack
from ..hidden import add_hidden_node
from .slice_views import check_index, slice_to_node

_COLOURS = 256  # how many
_COLDEST = 0.05  # what is below is not drawn


class HeatMap:
    """A temporary volume of one slice in the foreground of all slice views; hidden at first."""

    def __init__(self) -> None:
        self._node: Any = None
        self._colours: Any = None
        self._opacity = 0.0
        self._replaced: dict[Any, tuple[Any, float]] = {}  # foreground volume and opacity of each view before

    def show(self, volume_node: Any, stack: SliceStack, index: int, heat: np.ndarray, opacity: float) -> None:
        """Show `heat` on slice `index`, in place of what is shown already.

        Args:
            volume_node: the volume of `stack`; the map is put under the same transform.
            heat: (H, W) from 0 to 1, a value for each pixel of the slice; below 0.05 nothing is drawn.
            opacity: 0 to 1.

        Raises:
            InputError: there is no such slice, or `heat` has another shape than the slice.
        """
        check_index(stack, index)
        shape = stack.array.shape[1:]
        if heat.shape != shape:
            raise InputError(f"The map has the shape {heat.shape} and the slice {shape}; make it of that slice.")
        if self._node is None or self._node.GetScene() is None:
            self.hide()
            self._colours = _make_colours()
            self._node = _make_node(self._colours)
        modifying = self._node.StartModify()
        self._node.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())
        self._node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(_ijk_to_ras(stack, volume_node, index)))
        self._node.SetAndObserveImageData(_image(heat))
        self._node.EndModify(modifying)
        for view in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
            if view.GetForegroundVolumeID() != self._node.GetID():
                before = slicer.mrmlScene.GetNodeByID(view.GetForegroundVolumeID() or "")
                self._replaced[view] = before, view.GetForegroundOpacity()
                view.SetForegroundVolumeID(self._node.GetID())
        self.set_opacity(opacity)

    def set_opacity(self, opacity: float) -> None:
        """Draw the map with `opacity`, 0 to 1, in the views that show it."""
        self._opacity = opacity
        for view in self._views():
            view.SetForegroundOpacity(opacity)

    def hide(self) -> None:
        """Remove the map; views which still show it get back what they showed before, with its opacity."""
        for view in self._views():
            before, opacity = self._replaced[view]
            view.SetForegroundVolumeID(before.GetID() if before is not None and before.GetScene() else None)
            view.SetForegroundOpacity(opacity)
        for node in (self._node, self._colours):
            if node is not None and node.GetScene() is not None:
                slicer.mrmlScene.RemoveNode(node)
        self._node = self._colours = None
        self._replaced.clear()

    def _views(self) -> list[Any]:
        """The composite nodes whose foreground is the map and was not changed by anybody else."""
        return [view for view in self._replaced if view.GetScene() is not None and self._is_shown_in(view)]

    def _is_shown_in(self, view: Any) -> bool:
        if self._node.GetScene() is not None:
            return view.GetForegroundVolumeID() == self._node.GetID()
        # Whoever deletes the map leaves a view without foreground; a closed scene resets the opacity, too.
        return view.GetForegroundVolumeID() is None and view.GetForegroundOpacity() == self._opacity


def _make_node(colours: Any) -> Any:
    node = add_hidden_node("vtkMRMLScalarVolumeNode", "Heat map", Selectable=False)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetSaveWithScene(False)
    display.SetAndObserveColorNodeID(colours.GetID())
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(0, 1)
    display.SetAutoThreshold(False)
    display.SetThreshold(_COLDEST, vtk.VTK_FLOAT_MAX)
    display.SetApplyThreshold(True)
    return node


def _make_colours() -> Any:
    """Black to red to yellow: slice views draw no colour half transparent, and what is dark stands out least."""
    colours = add_hidden_node("vtkMRMLColorTableNode", "Heat")
    colours.SetTypeToUser()
    colours.SetNumberOfColors(_COLOURS)
    for number, heat in enumerate(np.linspace(0, 2, _COLOURS)):
        colours.SetColor(number, min(heat, 1), max(heat - 1, 0), 0, 1)
    return colours


def _ijk_to_ras(stack: SliceStack, volume_node: Any, index: int) -> np.ndarray:
    """(4, 4): i, j and k of the map are column, row and slice; its only slice is `index`."""
    matrix = slice_to_node(stack, volume_node)
    first_pixel = matrix @ (index, 0, 0, 1)
    return np.column_stack([matrix[:, 2], matrix[:, 1], matrix[:, 0], first_pixel])


def _image(heat: np.ndarray) -> Any:
    image = vtk.vtkImageData()
    image.SetDimensions(*heat.shape[::-1], 1)
    scalars = np.ascontiguousarray(heat, np.float32).reshape(-1)
    image.GetPointData().SetScalars(numpy_support.numpy_to_vtk(scalars, deep=True))
    return image
