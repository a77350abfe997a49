"""`slicer.parameterNodeWrapper` for the types and widgets that the panel uses: typed parameters, bound both ways.

A parameter is a text of the vtkMRMLScriptedModuleNode, or a node reference, under the name of its attribute.
"""

from __future__ import annotations

import typing
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ctk  # pyright: ignore[reportMissingImports]
import qt  # pyright: ignore[reportMissingImports]
import slicer
import vtk

SlicerParameterNamePropertyName = "SlicerParameterName"


@dataclass(frozen=True)
class Default:
    """The value of a parameter that nobody has set."""

    value: Any


@dataclass(frozen=True)
class Choice:
    """The values that a parameter may have."""

    choices: Any


@dataclass(frozen=True)
class WithinRange:
    """The least and the largest value of a parameter."""

    minimum: float
    maximum: float


@dataclass(frozen=True)
class _Parameter:
    name: str
    kind: type
    notes: tuple[Any, ...]
    default: Any

    @property
    def is_node(self) -> bool:
        return issubclass(self.kind, slicer.vtkMRMLNode)

    def note(self, kind: type) -> Any:
        return next((note for note in self.notes if isinstance(note, kind)), None)

    def read(self, node: Any) -> Any:
        if self.is_node:
            return node.GetNodeReference(self.name)
        if not node.HasParameter(self.name):  # the scene was closed
            self.write(node, self.default)
        text = node.GetParameter(self.name)
        return text == "True" if self.kind is bool else self.kind(text)

    def write(self, node: Any, value: Any) -> None:
        if self.is_node:
            if value is not None and not isinstance(value, self.kind):
                raise TypeError(f"{self.name} takes a {self.kind.__name__}, not {type(value).__name__}")
            node.SetNodeReferenceID(self.name, value.GetID() if value is not None else None)
            return
        if type(value) is not self.kind and not (self.kind is float and type(value) is int):
            raise TypeError(f"{self.name} takes {self.kind.__name__}, not {value!r}")
        choice, within = self.note(Choice), self.note(WithinRange)
        if choice is not None and value not in choice.choices:
            raise ValueError(f"{self.name} is one of {choice.choices}, not {value!r}")
        if within is not None and not within.minimum <= value <= within.maximum:
            raise ValueError(f"{self.name} is {within.minimum} to {within.maximum}, not {value!r}")
        node.SetParameter(self.name, str(value))

    def is_in(self, node: Any) -> bool:
        return self.is_node or node.HasParameter(self.name)


class _Binding:
    """A parameter and the widget that shows it."""

    def __init__(self, widget: Any, parameter: _Parameter) -> None:
        self.widget, self.parameter, self._call = widget, parameter, None
        kind = parameter.kind
        for widget_classes, kinds, attribute, signal in _widgets():
            if type(widget) in widget_classes and (kind in kinds or (parameter.is_node and not kinds)):
                self._attribute, self._signal = attribute, getattr(widget, signal)
                break
        else:
            raise RuntimeError(f"{type(widget).__name__} cannot show {kind.__name__} {parameter.name}")
        choice, within = parameter.note(Choice), parameter.note(WithinRange)
        if type(widget) is qt.QComboBox:
            if choice is None:
                raise RuntimeError(f"{parameter.name} needs the annotation Choice for a combo box")
            self._choices = list(choice.choices)
            widget.clear()
            widget.addItems([str(each) for each in self._choices])
        if parameter.is_node:
            widget.nodeTypes = (parameter.kind.__name__,)  # whatever the .ui file says
        if within is not None:
            widget.minimum, widget.maximum = within.minimum, within.maximum

    def read(self) -> Any:
        if self.parameter.is_node:
            return self.widget.currentNode()
        value = getattr(self.widget, self._attribute)
        value = value() if callable(value) else value
        return self._choices[value] if type(self.widget) is qt.QComboBox else value

    def write(self, value: Any) -> None:
        if self.parameter.is_node:
            self.widget.setCurrentNode(value)
        elif type(self.widget) is qt.QComboBox:
            self.widget.currentIndex = self._choices.index(value)
        elif self._attribute == "toPlainText":
            if self.widget.toPlainText() != value:
                self.widget.setPlainText(value)
        elif getattr(self.widget, self._attribute) != value:
            setattr(self.widget, self._attribute, value)

    def on_changed(self, call: Callable[[], None] | None) -> None:
        if self._call is not None:
            self._signal.disconnect(self._changed)
        self._call = call
        if call is not None:
            self._signal.connect(self._changed)

    def _changed(self) -> None:
        if self._call is not None:
            self._call()


def _widgets() -> list[tuple[tuple[type, ...], tuple[type, ...], str, str]]:
    """Classes of widgets, types they show, where the value is, and the signal of its change."""
    return [
        ((qt.QCheckBox, qt.QPushButton), (bool,), "checked", "toggled"),
        ((qt.QSlider, qt.QSpinBox), (int,), "value", "valueChanged"),
        ((qt.QDoubleSpinBox, ctk.ctkSliderWidget), (float,), "value", "valueChanged"),
        ((qt.QComboBox,), (int, float, str, bool), "currentIndex", "currentIndexChanged"),
        ((qt.QLineEdit,), (str,), "text", "textChanged"),
        ((qt.QTextEdit, qt.QPlainTextEdit), (str,), "toPlainText", "textChanged"),
        ((slicer.qMRMLNodeComboBox,), (), "currentNode", "currentNodeChanged"),
    ]


class _Cached:
    """The value of a parameter as it was when the node was last modified; nodes are looked up each time."""

    def __init__(self, parameter: _Parameter, node: Any) -> None:
        self._parameter, self._node, self._writing = parameter, node, False
        self._value = parameter.read(node)
        me = weakref.ref(self)
        self._tag = node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: me()._modified())  # type: ignore[union-attr]

    def __del__(self) -> None:
        self._node.RemoveObserver(self._tag)

    def read(self) -> Any:
        return self._parameter.read(self._node) if self._parameter.is_node else self._value

    def write(self, value: Any) -> None:
        self._writing = True
        try:
            with slicer.util.NodeModify(self._node):
                self._parameter.write(self._node, value)
                self._value = self._parameter.read(self._node)
        finally:
            self._writing = False

    def _modified(self) -> None:
        if not self._writing:
            self._value = self._parameter.read(self._node)


class _Wrapped:
    """What `parameterNodeWrapper` adds to a class."""

    allParameters: typing.ClassVar[dict[str, _Parameter]]

    def __init__(self, parameterNode: Any) -> None:
        self.parameterNode = parameterNode
        self._bindings: dict[int, list[_Binding]] = {}
        self._showing = False
        for parameter in self.allParameters.values():
            if not parameter.is_in(parameterNode):
                parameter.write(parameterNode, parameter.default)
        self._cached = {name: _Cached(each, parameterNode) for name, each in self.allParameters.items()}

    def connectGui(self, gui: Any) -> None:
        """Binds every widget of ``gui`` that has the dynamic property SlicerParameterName.

        Some versions of 3D Slicer give the tag to undo it, some do not.
        """
        named = {widget.property(SlicerParameterNamePropertyName): widget for widget in vars(gui).values()}
        self.connectParametersToGui({name: widget for name, widget in named.items() if name})

    def connectParametersToGui(self, mapping: dict[str, Any]) -> int:
        """Binds widgets by the names of their parameters; the tag to undo it."""
        bindings = [_Binding(widget, self._parameter(name)) for name, widget in mapping.items()]
        tag = 1 + max(self._bindings, default=-1)
        self._bindings[tag] = bindings
        for binding in bindings:
            binding.write(self.getValue(binding.parameter.name))
            binding.on_changed(lambda bound=binding: self._from_widget(bound))
        # Never removed, as in 3D Slicer: a wrapper lives as long as its node.
        self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._to_widgets())
        return tag

    def disconnectGui(self, guiTag: int) -> None:
        for binding in self._bindings.pop(guiTag, []):
            binding.on_changed(None)

    def getValue(self, name: str) -> Any:
        self._parameter(name)
        return self._cached[name].read()

    def setValue(self, name: str, value: Any) -> None:
        self._parameter(name)
        self._cached[name].write(value)

    def StartModify(self) -> Any:
        return self.parameterNode.StartModify()

    def EndModify(self, wasModified: Any) -> Any:
        return self.parameterNode.EndModify(wasModified)

    def AddObserver(self, event: Any, callback: Any, priority: float = 0.0) -> int:
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag: int) -> None:
        self.parameterNode.RemoveObserver(tag)

    def Modified(self) -> None:
        self.parameterNode.Modified()

    def _parameter(self, name: str) -> _Parameter:
        if name not in self.allParameters:
            raise ValueError(f"There is no parameter {name}; there are {', '.join(self.allParameters)}")
        return self.allParameters[name]

    def _from_widget(self, binding: _Binding) -> None:
        if not self._showing:
            with slicer.util.NodeModify(self):
                self.setValue(binding.parameter.name, binding.read())

    def _to_widgets(self) -> None:
        if self._showing:
            return
        self._showing = True
        try:
            with slicer.util.NodeModify(self):
                for bindings in self._bindings.values():
                    for binding in bindings:
                        binding.write(self.getValue(binding.parameter.name))
        finally:
            self._showing = False


def parameterNodeWrapper(described: type) -> type:
    """Makes typed properties of the annotations of a class, kept in the parameter node that it is made with."""
    parameters = {}
    for name, annotation in typing.get_type_hints(described, include_extras=True).items():
        kind, *notes = typing.get_args(annotation) if hasattr(annotation, "__metadata__") else (annotation,)
        defaults = [note.value for note in notes if isinstance(note, Default)]
        if hasattr(described, name):
            defaults = [getattr(described, name)]
        empty = None if issubclass(kind, slicer.vtkMRMLNode) else kind()
        parameters[name] = _Parameter(name, kind, tuple(notes), defaults[0] if defaults else empty)
    content: dict[str, Any] = {name: _property(name) for name in parameters}
    taken = set(vars(_Wrapped)) & (set(parameters) | {n for n in vars(described) if not n.startswith("__")})
    if taken:
        raise ValueError(f"{described.__name__} cannot use the names {', '.join(sorted(taken))}")
    return type(described.__name__, (_Wrapped, described), {**content, "allParameters": parameters})


def _property(name: str) -> property:
    return property(lambda self: self.getValue(name), lambda self, value: self.setValue(name, value))
