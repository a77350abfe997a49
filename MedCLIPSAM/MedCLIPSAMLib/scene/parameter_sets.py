"""Wrapped parameter nodes, each wrapped once and kept for as long as its node is in the scene.

3D Slicer's wrapper observes its node by functions that refer to the wrapper. When nobody else holds the wrapper, Python
collects this ring, but the node lives on in the scene, and calls what is gone when it is modified next: a crash.
"""

from __future__ import annotations

from typing import Any

_kept: list[Any] = []


def wrapped(node: Any, wrapper: Any) -> Any:
    """The node in a class made by `parameterNodeWrapper`, the same each time."""
    _kept[:] = [each for each in _kept if each.parameterNode.GetScene() is not None]
    for each in _kept:
        if each.parameterNode is node and type(each) is wrapper:
            return each
    _kept.append(wrapper(node))
    return _kept[-1]
