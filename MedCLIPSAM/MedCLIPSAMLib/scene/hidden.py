"""Nodes that are made for ourselves: no list and no tree of 3D Slicer shows them, and no file keeps them."""

from __future__ import annotations

from typing import Any

import slicer


def add_hidden_node(class_name: str, name: str, **values: Any) -> Any:
    """A new node in the scene that only this package knows of.

    The Data tree looks once, when a node is added, whether it is hidden.

    Args:
        values: of the node before it is added, such as Selectable=False for `SetSelectable(False)`.
    """
    node = getattr(slicer, class_name)()
    node.SetName(name)
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    for key, value in values.items():
        getattr(node, f"Set{key}")(value)
    return slicer.mrmlScene.AddNode(node)
