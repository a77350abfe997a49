"""Signals by their C++ signature, as PythonQt connects them: ``button.connect("clicked(bool)", slot)``."""

# PySide6's types know methods where the host has properties.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false, reportOperatorIssue=false

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import MethodType
from typing import Any

import shiboken6
from PySide6 import QtCore

errors: list[str] = []  # tracebacks of what slots raised: a test fails if there are any

_connect, _disconnect = QtCore.QObject.connect, QtCore.QObject.disconnect


@dataclass
class _Connection:
    sender: Any
    signature: str
    target: Callable[..., Any]
    signal: Any
    slot: Callable[..., None]


_connections: dict[int, list[_Connection]] = {}  # by the address of the sender


def connect(self: Any, signal: Any, *target: Any) -> bool:
    """Connects a signal to a callable, or to a slot of an object by its name.

    Raises:
        ValueError: the object has no such signal.
        TypeError: the target cannot be called.
    """
    if not isinstance(signal, str) or signal[:1] in "12":  # PySide6 calls it so itself
        return bool(_connect(*((signal,) if isinstance(signal, QtCore.QObject) else (self, signal)), *target))
    signature = _checked(self, signal)
    if len(target) == 2:
        receiver, slot_name = target
        called = getattr(receiver, slot_name.lstrip("12").split("(")[0])
        taken = slot_name.count(",") + 1 if "()" not in slot_name else 0
    else:
        (called,) = target
        if not callable(called):
            raise TypeError(f"connect({signal!r}): {called!r} cannot be called")
        taken = _argument_count(called)

    def slot(*values: Any) -> None:
        try:
            called(*values[:taken])
        except Exception:
            errors.append(traceback.format_exc())

    emitted = _signal_of(self, signature)
    # PySide6 counts the arguments of what it connects.
    connected = slot if not signature.endswith("()") else lambda: slot()
    emitted.connect(connected)
    connections = _connections.setdefault(_address(self), [])
    connections.append(_Connection(self, signature, called, emitted, connected))
    return True


def disconnect(self: Any, signal: Any = None, target: Any = None, *rest: Any) -> bool:
    """Undoes `connect`; without a target all connections of the signal, without a signal all of the object."""
    if isinstance(signal, QtCore.QObject):
        return bool(_disconnect(signal, target, *rest))
    signature = None if signal is None else _checked(self, signal)
    connections = _connections.get(_address(self), [])
    gone = [
        each
        for each in connections
        if signature in (None, each.signature) and (target is None or each.target == target)
    ]
    for each in gone:
        each.signal.disconnect(each.slot)
        connections.remove(each)
    return bool(gone)


def give_connections(classes: Iterable[type]) -> None:
    """Shiboken finds its own ``connect`` before that of a class, so it is given where attributes are looked up."""
    given = {"connect": connect, "disconnect": disconnect}

    def looked_up(original: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
        def get_attribute(self: Any, name: str) -> Any:
            if name in given:
                return MethodType(given[name], self)
            try:
                return original(self, name)
            except AttributeError:
                if name.startswith("_") or not shiboken6.isValid(self):
                    raise
                # PythonQt goes on with dynamic properties and children of that name.
                if name.encode() in [bytes(each.data()) for each in QtCore.QObject.dynamicPropertyNames(self)]:
                    return QtCore.QObject.property(self, name)
                child = QtCore.QObject.findChild(
                    self, QtCore.QObject, name, QtCore.Qt.FindChildOption.FindDirectChildrenOnly
                )
                if child is None:
                    raise
                return child

        return get_attribute

    for cls in classes:
        if "__getattribute__" in vars(cls):
            cls.__getattribute__ = looked_up(vars(cls)["__getattribute__"])  # type: ignore[method-assign]


def single_shot(milliseconds: int, target: Callable[[], Any]) -> None:
    """`QTimer.singleShot` with the exceptions of its target kept."""
    timer = QtCore.QTimer(QtCore.QCoreApplication.instance())
    timer.setSingleShot(True)
    connect(timer, "timeout()", target)
    connect(timer, "timeout()", timer.deleteLater)
    timer.start(milliseconds)


def _checked(sender: Any, signal: str) -> str:
    """The signature as the object has it, with its C++ types or with what PySide6 makes of them."""
    wanted = bytes(QtCore.QMetaObject.normalizedSignature(signal).data()).decode()
    meta = sender.metaObject()
    if meta.indexOfSignal(wanted) >= 0:
        return wanted
    for cls in type(sender).__mro__:
        if wanted in vars(cls).get("_SIGNALS", {}):
            return vars(cls)["_SIGNALS"][wanted]
    methods = [meta.method(index) for index in range(meta.methodCount())]
    there = [
        bytes(method.methodSignature().data()).decode()
        for method in methods
        if method.methodType() == QtCore.QMetaMethod.MethodType.Signal
    ]
    raise ValueError(f"{meta.className()} has no signal '{wanted}'; it has {', '.join(sorted(there))}")


def _signal_of(sender: Any, signature: str) -> Any:
    name, arguments = signature[:-1].split("(", 1)
    signal = getattr(sender, name)
    for overload in (signature, arguments):
        try:
            return signal[overload]
        except (IndexError, KeyError, TypeError):
            continue
    return signal


def _argument_count(called: Callable[..., Any]) -> int | None:
    """How many arguments PythonQt gives to a function or bound method; None is all."""
    method = inspect.ismethod(called)
    function = called.__func__ if method else called
    if not inspect.isfunction(function) or function.__code__.co_flags & inspect.CO_VARARGS:
        return None
    return function.__code__.co_argcount - method


def _address(sender: Any) -> int:
    return shiboken6.getCppPointer(sender)[0]
