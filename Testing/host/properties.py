"""Qt properties as attributes, the way PythonQt gives them to Slicer's Python: ``label.text``, not ``label.text()``."""

# PySide6's types know methods where the host has properties.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false, reportOperatorIssue=false

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from PySide6 import QtCore

_NONE = object()


class QtProperty:
    """One property of a Qt class. On the class itself there stays the C++ method, which PySide6 needs."""

    def __init__(
        self, name: str, method: Any, read: Callable[[Any], Any], write: Callable[[Any, Any], Any] | None
    ) -> None:
        self.name, self.method, self._read, self._write = name, method, read, write

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            if self.method is _NONE:
                raise AttributeError(self.name)
            return self.method
        value = self._read(instance)
        return tuple(value) if isinstance(value, list) else value

    def __set__(self, instance: Any, value: Any) -> None:
        if self._write is None:
            raise AttributeError(f"Property '{self.name}' of type '{type(instance).__name__}' is not writable")
        self._write(instance, value)


def give_properties(classes: Iterable[type]) -> None:
    """Puts a `QtProperty` on each class for each property that it declares, or whose getter it declares anew."""
    # All is looked up before the first change: a property in place would hide the getters of subclasses.
    planned = [
        (cls, described)
        for cls in classes
        for index in range(cls.staticMetaObject.propertyCount())  # pyright: ignore[reportAttributeAccessIssue]
        if (described := _described(cls, index)) is not None
    ]
    for cls, described in planned:
        setattr(cls, described.name, described)
    qobject: Any = QtCore.QObject
    read = qobject.property
    # PythonQt's short form.
    qobject.name = QtProperty("name", _NONE, lambda widget: read(widget, "objectName"), qobject.setObjectName)


def _described(cls: Any, index: int) -> QtProperty | None:
    meta = cls.staticMetaObject
    name, declared_here = meta.property(index).name(), index >= meta.propertyOffset()
    method = inspect.getattr_static(cls, name, _NONE)
    if not (declared_here or name in vars(cls)) or isinstance(method, QtCore.Signal):
        return None
    capital = name[0].upper() + name[1:]

    def set_by_name(widget: Any, value: Any) -> None:
        if not QtCore.QObject.setProperty(widget, name, value):
            raise TypeError(f"{value!r} cannot be the {name} of {type(widget).__name__}")

    setter = getattr(cls, f"set{capital}", set_by_name) if meta.property(index).isWritable() else None
    names = ("isSingleShot",) if name == "singleShot" else (name, f"is{capital}", f"has{capital}")
    found = [getattr(cls, candidate, None) for candidate in names]
    getter = next((each for each in found if callable(each) and not isinstance(each, type)), None)
    plain = QtCore.QObject.property
    original = _NONE if method is _NONE else getattr(cls, name)
    return QtProperty(name, original, getter or (lambda widget: plain(widget, name)), setter)


def refuse_unknown_attributes(classes: Iterable[type], loading: Callable[[], bool]) -> None:
    """Setting what a Qt class does not have fails, as it does with PythonQt; subclasses made in Python may.

    Args:
        loading: whether a .ui file is being read: PySide6 then sets widgets as attributes, which PythonQt never has.
    """

    def set_attribute(self: Any, name: str, value: Any) -> None:
        cls = type(self)
        known = inspect.getattr_static(cls, name, _NONE)
        native = cls.__module__.startswith("PySide6.") or vars(cls).get("_is_native", False)
        if isinstance(value, QtCore.SignalInstance):  # PySide6 keeps them there
            self.__dict__[name] = value
        elif isinstance(known, QtCore.Property):
            if known.fset is None:
                raise AttributeError(f"Property '{name}' of type '{cls.__name__}' is not writable")
            known.fset(self, value)
        elif hasattr(type(known), "__set__"):
            known.__set__(self, value)
        elif not native or name.startswith("_"):
            self.__dict__[name] = value
        elif known is not _NONE:
            raise AttributeError(f"Method '{name}' of '{cls.__name__}' cannot be overwritten")
        elif not loading():
            raise AttributeError(
                f"Attribute '{name}' does not exist and creating new attributes on '{cls.__name__}' is not allowed"
            )

    for cls in classes:
        if "__setattr__" in vars(cls):
            cls.__setattr__ = set_attribute  # type: ignore[method-assign]
