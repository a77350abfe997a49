"""3D Slicer's Data tree, as far as a mistake shows there: nodes that were made for ourselves and not hidden in time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import vtk


class DataTree:
    """Lists nodes as 3D Slicer does: by whether they are hidden when they are added, and never again.

    Args:
        complain: told of a listed node that is hidden later, or that is not saved with the scene.
    """

    def __init__(self, scene: Any, complain: Callable[[str], None]) -> None:
        self._listed: list[Any] = []
        self._complain = complain

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def added(_scene: Any, _event: str, node: Any) -> None:
            if node.IsA("vtkMRMLDisplayableNode") and not node.GetHideFromEditors():
                self._listed.append(node)

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def leaving(_scene: Any, _event: str, node: Any) -> None:
            if node in self._listed:
                self._listed.remove(node)
                if node.GetHideFromEditors() or not node.GetSaveWithScene():
                    self._complain(f"{node.GetName()} shows in the Data tree: hide it before it is added to the scene.")

        scene.AddObserver(scene.NodeAddedEvent, added)
        scene.AddObserver(scene.NodeAboutToBeRemovedEvent, leaving)
