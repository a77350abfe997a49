"""The modules ``qt``, ``ctk`` and the qMRML widgets of ``slicer``, made of PySide6 with PythonQt's manners."""

# PySide6's types know methods where the host has properties.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false, reportOperatorIssue=false

from __future__ import annotations

import os
import sys
from types import ModuleType
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ["PYSIDE6_OPTION_PYTHON_ENUM"] = "0xF"  # enums as numbers, without their class's name: qt.Qt.Horizontal

import slicer
from PySide6 import QtCore, QtGui, QtNetwork, QtWidgets

from . import ctk_widgets, mrml_widgets, ui_files
from .connections import give_connections, single_shot
from .properties import give_properties, refuse_unknown_attributes

_LIBRARIES = (QtCore, QtGui, QtWidgets, QtNetwork)


def install() -> None:
    """Changes PySide6's classes in place, so that objects made by C++ are so, too; once per process."""
    classes = _classes()
    give_properties(classes)
    give_connections(classes)
    refuse_unknown_attributes([*classes, QtGui.QStandardItem], ui_files.is_loading)
    vars(QtCore.QTimer)["singleShot"].method = single_shot
    qobject: Any = QtCore.QObject
    qobject.className = lambda self: self.metaObject().className()
    qobject.delete = lambda self: self.deleteLater()
    sys.modules["qt"], sys.modules["ctk"] = _qt(), _module("ctk", ctk_widgets.WIDGETS)
    vars(slicer).update(mrml_widgets.WIDGETS)
    # A module of Slicer's that its parameter nodes import by name.
    tree = {"qMRMLSubjectHierarchyTreeView": mrml_widgets.qMRMLSubjectHierarchyTreeView}
    sys.modules["qSlicerSubjectHierarchyModuleWidgetsPythonQt"] = _module("widgets", tree)


def _classes() -> list[Any]:
    """All QObject classes, parents first. PySide6 makes them when they are first looked at."""
    everything = [getattr(library, name) for library in _LIBRARIES for name in dir(library)]
    found = {cls for cls in everything if isinstance(cls, type) and issubclass(cls, QtCore.QObject)}
    return sorted(found, key=lambda cls: len(cls.__mro__))


def _qt() -> ModuleType:
    names = {
        name: getattr(library, name) for library in _LIBRARIES for name in dir(library) if not name.startswith("_")
    }
    for cls in names.values():
        if isinstance(cls, type) and hasattr(cls, "exec") and not hasattr(cls, "exec_"):
            cls.exec_ = cls.exec  # type: ignore[attr-defined]
    return _module("qt", {**names, "QUiLoader": ui_files.QUiLoader})


def _module(name: str, content: dict[str, Any]) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(content)
    return module
