"""Reads .ui files as Slicer does: with CTK and qMRML widgets, and strictly."""

# PySide6's types know methods where the host has properties.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false, reportOperatorIssue=false

from __future__ import annotations

import xml.etree.ElementTree as ET
from functools import cache
from pathlib import Path
from typing import Any

from PySide6 import QtCore, QtUiTools, QtWidgets

from . import ctk_widgets, mrml_widgets
from .connections import connect

CUSTOM = {**ctk_widgets.WIDGETS, **mrml_widgets.WIDGETS}
_loading: list[bool] = []


def is_loading() -> bool:
    """Whether a .ui file is being read."""
    return bool(_loading)


class QUiLoader(QtUiTools.QUiLoader):
    """What ``qt.QUiLoader`` is; a class or property that nobody has is an error and no warning."""

    def createWidget(self, name: str, parent: Any = None, object_name: str = "") -> Any:
        if name not in CUSTOM:
            return super().createWidget(name, parent, object_name)
        widget = CUSTOM[name](parent) if parent is not None else CUSTOM[name]()
        widget.setObjectName(object_name)
        return widget

    def load(self, device: Any, parent: Any = None) -> Any:
        text = bytes(device.readAll().data()) if isinstance(device, QtCore.QIODevice) else Path(device).read_bytes()
        root = ET.fromstring(text)
        _check(root)
        connections = [
            tuple(each.findtext(part, "") for part in ("sender", "signal", "receiver", "slot"))
            for each in root.iter("connection")
        ]
        # Both are done here: the loader knows neither the classes nor their slots.
        for part in (*root.findall("connections"), *root.findall("customwidgets")):
            root.remove(part)
        buffer = QtCore.QBuffer()
        buffer.setData(ET.tostring(root))
        buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
        _loading.append(True)
        try:
            top = super().load(buffer, parent)
        finally:
            _loading.pop()
        for sender, signal, receiver, slot in connections:
            connect(_find(top, sender), signal, _find(top, receiver), slot)
        return top


def _find(top: Any, name: str) -> Any:
    found = top if top.objectName == name else top.findChild(QtCore.QObject, name)
    if found is None:
        raise RuntimeError(f"The .ui file connects '{name}', which it does not have.")
    return found


def _check(root: ET.Element) -> None:
    names = [widget.get("name") for widget in root.iter("widget")]
    for twice in {name for name in names if names.count(name) > 1}:
        raise RuntimeError(f"The .ui file has two widgets '{twice}', of which Python can reach one.")
    for widget in root.iter("widget"):
        name = widget.get("class", "")
        cls = CUSTOM.get(name) or getattr(QtWidgets, name, None)
        if cls is None:
            raise RuntimeError(f"The .ui file needs the widget {name}, which the host does not have.")
        for described in widget.findall("property"):
            known = described.get("name", "") in _properties(cls)
            # stdset="0" makes a dynamic property, as SlicerParameterName is.
            if not known and described.get("stdset") != "0":
                raise RuntimeError(f"{name} '{widget.get('name')}' has no property {described.get('name')}.")


@cache
def _properties(cls: Any) -> frozenset[str]:
    """Asked once of each class: PySide6 may have let go of its meta object the next time."""
    meta = cls.staticMetaObject
    return frozenset(meta.property(index).name() for index in range(meta.propertyCount()))
