"""A temporary volume in colour over the slice views, which get back what they showed before."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk
from vtkmodules.util import numpy_support

from ..hidden import add_hidden_node


class Foreground:
    """A volume of numbers in the foreground of all slice views; hidden at first.

    Args:
        name: of its node.
        colours: (N, 3) r, g, b from 0 to 1, for numbers from 0 to ``most``.
        least: what is below is not drawn.
    """

    def __init__(self, name: str, colours: np.ndarray, least: float, most: float) -> None:
        self._name, self._table, self._limits = name, colours, (least, most)
        self._node: Any = None
        self._colours: Any = None
        self._opacity = 0.0
        self._replaced: dict[Any, tuple[Any, float]] = {}  # foreground volume and opacity of each view before

    def put(self, volume_node: Any, ijk_to_ras: np.ndarray, array: np.ndarray, opacity: float) -> None:
        """Show an array, in place of what is shown already.

        Args:
            volume_node: the array is put under the same transform.
            ijk_to_ras: (4, 4) of the array, without transforms.
            array: (K, J, I) float32 or uint8.
            opacity: 0 to 1.
        """
        if self._node is None or self._node.GetScene() is None:
            self.hide()
            self._node, self._colours = self._made()
        modifying = self._node.StartModify()
        self._node.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())
        self._node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(ijk_to_ras))
        self._node.SetAndObserveImageData(_image(array))
        self._node.EndModify(modifying)
        for view in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
            if view.GetForegroundVolumeID() != self._node.GetID():
                before = slicer.mrmlScene.GetNodeByID(view.GetForegroundVolumeID() or "")
                self._replaced[view] = before, view.GetForegroundOpacity()
                view.SetForegroundVolumeID(self._node.GetID())
        self.set_opacity(opacity)

    def set_opacity(self, opacity: float) -> None:
        """Draw it with `opacity`, 0 to 1, in the views that show it."""
        self._opacity = opacity
        for view in self._views():
            view.SetForegroundOpacity(opacity)

    def hide(self) -> None:
        """Remove it; views which still show it get back what they showed before, with its opacity."""
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
        """The composite nodes whose foreground is the volume and was not changed by anybody else."""
        return [view for view in self._replaced if view.GetScene() is not None and self._is_shown_in(view)]

    def _is_shown_in(self, view: Any) -> bool:
        if self._node.GetScene() is not None:
            return view.GetForegroundVolumeID() == self._node.GetID()
        # Whoever deletes the volume leaves a view without foreground; a closed scene resets the opacity, too.
        return view.GetForegroundVolumeID() is None and view.GetForegroundOpacity() == self._opacity

    def _made(self) -> tuple[Any, Any]:
        """New nodes of the volume and of its colours."""
        colours = add_hidden_node("vtkMRMLColorTableNode", f"{self._name} colours")
        colours.SetTypeToUser()
        colours.SetNumberOfColors(len(self._table))
        for number, colour in enumerate(self._table.tolist()):
            colours.SetColor(number, *colour, 1)
        node = add_hidden_node("vtkMRMLScalarVolumeNode", self._name, Selectable=False)
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
        display.SetSaveWithScene(False)
        display.SetAndObserveColorNodeID(colours.GetID())
        display.SetAutoWindowLevel(False)
        display.SetWindowLevelMinMax(0, self._limits[1])
        display.SetAutoThreshold(False)
        display.SetThreshold(self._limits[0], vtk.VTK_FLOAT_MAX)
        display.SetApplyThreshold(True)
        return node, colours


def _image(array: np.ndarray) -> Any:
    image = vtk.vtkImageData()
    image.SetDimensions(*array.shape[::-1])
    scalars = np.ascontiguousarray(array).reshape(-1)
    image.GetPointData().SetScalars(numpy_support.numpy_to_vtk(scalars, deep=True))
    return image
