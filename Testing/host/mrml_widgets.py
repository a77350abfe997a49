"""The qMRML widgets that the panel uses, on the real MRML scene."""

# PySide6's types know methods where the host has properties.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false, reportOperatorIssue=false

from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets

from .ctk_widgets import ctkComboBox, ctkDoubleSpinBox, ctkMenuButton, ctkRangeWidget, ctkSliderWidget, native


class _OfScene:
    """Knows a scene and observes nodes; VTK observers must not outlive the widget."""

    _scene: Any = None
    _observed: tuple[tuple[Any, int], ...] = ()

    def setMRMLScene(self, scene: Any) -> None:
        if scene is self._scene:
            return
        if scene is not None and not scene.IsA("vtkMRMLScene"):
            raise TypeError(f"setMRMLScene takes a vtkMRMLScene, not {type(scene).__name__}")
        self._scene = scene
        self._scene_set()

    def _scene_set(self) -> None:
        pass

    def _observe(self, target: Any, events: tuple[Any, ...], call: Any) -> None:
        """In place of what was observed before; ``target`` may be None."""
        observed = [] if target is None else [(target, target.AddObserver(event, call)) for event in events]
        for observed_before, tag in self._observed:
            observed_before.RemoveObserver(tag)
        self._observed = tuple(observed)
        kept = self._observed
        self.destroyed.connect(lambda: [each.RemoveObserver(tag) for each, tag in kept])  # type: ignore[attr-defined]


class _TellsScene(_OfScene):
    """Gives the scene, too."""

    def mrmlScene(self) -> Any:
        return self._scene


@native
class qSlicerWidget(_OfScene, QtWidgets.QWidget):
    """A widget that knows the scene."""

    mrmlSceneChanged = QtCore.Signal(object)
    _SIGNALS = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged(PyObject)"}  # noqa: RUF012

    def _scene_set(self) -> None:
        self.mrmlSceneChanged.emit(self._scene)


@native
class qMRMLWidget(_TellsScene, QtWidgets.QWidget):
    """A widget that knows the scene."""

    mrmlSceneChanged = QtCore.Signal(object)
    _SIGNALS = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged(PyObject)"}  # noqa: RUF012

    def _scene_set(self) -> None:
        self.mrmlSceneChanged.emit(self._scene)


@native
class qMRMLSliderWidget(_TellsScene, ctkSliderWidget):
    """A slider for a quantity with units."""


@native
class qMRMLSpinBox(_TellsScene, ctkDoubleSpinBox):
    """A spin box for a quantity with units."""


@native
class qMRMLRangeWidget(_OfScene, ctkRangeWidget):
    """A range of a quantity with units."""


@native
class qMRMLSubjectHierarchyComboBox(_TellsScene, ctkComboBox):
    """There for Slicer's parameter nodes, which name it."""


@native
class qMRMLSubjectHierarchyTreeView(_TellsScene, QtWidgets.QTreeView):
    """There for Slicer's parameter nodes, which name it."""


def _flag(name: str) -> Any:
    return QtCore.Property(bool, lambda self: self._flags[name], lambda self, value: self._set_flag(name, value))


def _text(name: str) -> Any:
    return QtCore.Property(str, lambda self: self._texts[name], lambda self, value: self._set_text(name, value))


@native
class qMRMLNodeComboBox(_TellsScene, QtWidgets.QWidget):
    """Chooses a node of some classes; a node that is added is never chosen by itself."""

    currentNodeChanged = QtCore.Signal(object)
    currentNodeIDChanged = QtCore.Signal(str)
    nodeAddedByUser = QtCore.Signal(object)
    _SIGNALS = {  # noqa: RUF012
        "currentNodeChanged(vtkMRMLNode*)": "currentNodeChanged(PyObject)",
        "nodeAddedByUser(vtkMRMLNode*)": "nodeAddedByUser(PyObject)",
    }

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._nodes: list[Any] = []
        self._current: Any = None
        self._types: tuple[str, ...] = ()
        self._attributes: list[tuple[str, str, str | None]] = []
        self._flags = {
            **dict.fromkeys(("showHidden", "noneEnabled", "editEnabled", "renameEnabled"), False),
            **dict.fromkeys(("showChildNodeTypes", "addEnabled", "removeEnabled", "selectNodeUponCreation"), True),
        }
        self._texts = {"noneDisplay": "None", "baseName": ""}
        self._wanted: Any = None  # asked for before there was a scene
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._box = QtWidgets.QComboBox()
        self._box.setSizeAdjustPolicy(QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        layout.addWidget(self._box)
        self._box.activated.connect(self._activated)
        self.setEnabled(False)

    def currentNode(self) -> Any:
        return self._current

    def setCurrentNode(self, node: Any) -> None:
        if node is not None and not (hasattr(node, "IsA") and node.IsA("vtkMRMLNode")):
            raise TypeError(f"setCurrentNode takes a vtkMRMLNode, not {type(node).__name__}")
        if self._scene is None:
            self._wanted = node
        else:
            self._fill()  # a node may have changed so that it is accepted now
            self._choose(node if node in self._nodes else None)

    def setCurrentNodeID(self, node_id: str) -> None:
        self.setCurrentNode(self._scene.GetNodeByID(node_id) if node_id else None)

    currentNodeID = QtCore.Property(str, lambda self: self._current.GetID() if self._current else "", setCurrentNodeID)

    def nodeCount(self) -> int:
        return len(self._nodes)

    def nodeFromIndex(self, index: int) -> Any:
        return self._nodes[index] if 0 <= index < len(self._nodes) else None

    def addAttribute(self, node_type: str, attribute: str, value: str | None = None) -> None:
        if node_type not in self._types:
            raise ValueError(f"addAttribute has no effect before {node_type} is one of nodeTypes")
        self._attributes.append((node_type, attribute, value))
        self._fill()

    def addNode(self, node_type: str = "") -> Any:
        """As if the user chose "Create new" in the list."""
        cls = node_type or self._types[0]
        name = self._scene.GenerateUniqueName(self._texts["baseName"] or cls[len("vtkMRML") : -len("Node")])
        node = self._scene.CreateNodeByClass(cls)
        node.UnRegister(None)
        node.SetName(name)
        for owner, attribute, value in self._attributes:
            if owner == cls:
                node.SetAttribute(attribute, value)
        self._scene.AddNode(node)
        if self._flags["selectNodeUponCreation"]:
            self.setCurrentNode(node)
        self.nodeAddedByUser.emit(node)
        return node

    def _scene_set(self) -> None:
        scene = self._scene
        events = (
            ()
            if scene is None
            else (
                scene.NodeAddedEvent,
                scene.NodeRemovedEvent,
                scene.EndBatchProcessEvent,
                scene.EndCloseEvent,
                scene.EndImportEvent,
            )
        )
        self._observe(scene, events, lambda *_: self._fill())
        self.setEnabled(scene is not None)
        self._fill()
        if self._wanted is not None:
            self.setCurrentNode(self._wanted)

    def _accepts(self, node: Any) -> bool:
        if node.GetHideFromEditors() and not self._flags["showHidden"]:
            return False
        for cls in self._types:
            if node.GetClassName() == cls or (self._flags["showChildNodeTypes"] and node.IsA(cls)):
                asked = [(name, value) for owner, name, value in self._attributes if owner == cls]
                return all(
                    node.GetAttribute(name) is not None and value in (None, node.GetAttribute(name))
                    for name, value in asked
                )
        return False

    def _fill(self) -> None:
        scene = self._scene
        if scene is not None and (scene.IsImporting() or scene.IsClosing()):
            return
        all_nodes = [] if scene is None else [scene.GetNthNode(n) for n in range(scene.GetNumberOfNodes())]
        self._nodes = [node for node in all_nodes if self._accepts(node)]
        row = self._box.currentIndex
        self._box.clear()
        if self._flags["noneEnabled"]:
            self._box.addItem(self._texts["noneDisplay"])
        self._box.addItems([node.GetName() or "" for node in self._nodes])
        chosen = self._current
        if chosen is not None and chosen not in self._nodes:  # removed: the list goes on to a neighbour
            first = int(self._flags["noneEnabled"])
            place = min(row, len(self._nodes) + first - 1) - first
            chosen = self._nodes[place] if place >= 0 and self._nodes else None
        self._choose(chosen)

    def _choose(self, node: Any) -> None:
        first = int(self._flags["noneEnabled"])
        self._box.setCurrentIndex(self._nodes.index(node) + first if node is not None else first - 1)
        if node is not self._current:
            self._current = node
            self.currentNodeChanged.emit(node)
            self.currentNodeIDChanged.emit(node.GetID() if node is not None else "")

    def _activated(self, row: int) -> None:
        place = row - int(self._flags["noneEnabled"])
        self._choose(self._nodes[place] if place >= 0 else None)

    def _set_types(self, types: Any) -> None:
        self._types = tuple(types)
        self._fill()

    def _set_flag(self, name: str, value: bool) -> None:
        self._flags[name] = value
        self._fill()

    def _set_text(self, name: str, value: str) -> None:
        self._texts[name] = value
        self._fill()

    nodeTypes = QtCore.Property("QStringList", lambda self: self._types, _set_types)
    noneEnabled = _flag("noneEnabled")
    addEnabled = _flag("addEnabled")
    removeEnabled = _flag("removeEnabled")
    editEnabled = _flag("editEnabled")
    renameEnabled = _flag("renameEnabled")
    showHidden = _flag("showHidden")
    showChildNodeTypes = _flag("showChildNodeTypes")
    selectNodeUponCreation = _flag("selectNodeUponCreation")
    noneDisplay = _text("noneDisplay")
    baseName = _text("baseName")


@native
class qMRMLSegmentsTableView(qMRMLWidget):
    """The segments of a segmentation: colour and name."""

    selectionChanged = QtCore.Signal(object, object)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._node: Any = None
        self._ids: list[str] = []
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._table = QtWidgets.QTableWidget(0, 2)
        self._table.setHorizontalHeaderLabels(["Color", "Name"])
        self._table.horizontalHeader().setStretchLastSection(True)
        self._table.setSelectionBehavior(QtWidgets.QAbstractItemView.SelectionBehavior.SelectRows)
        layout.addWidget(self._table)

    def segmentationNode(self) -> Any:
        return self._node

    def setSegmentationNode(self, node: Any) -> None:
        if node is self._node:
            return
        self._node = node
        segmentation = None if node is None else node.GetSegmentation()
        events = (
            ()
            if segmentation is None
            else (
                segmentation.SegmentAdded,
                segmentation.SegmentRemoved,
                segmentation.SegmentModified,
            )
        )
        self._observe(segmentation, events, lambda *_: self._fill())
        self._fill()

    def selectedSegmentIDs(self) -> tuple[str, ...]:
        rows = sorted({index.row() for index in self._table.selectedIndexes()})
        return tuple(self._ids[row] for row in rows)

    def setSelectedSegmentIDs(self, ids: Any) -> None:
        self._table.clearSelection()
        for segment_id in ids:
            self._table.selectRow(self._ids.index(segment_id))

    def _fill(self) -> None:
        segmentation = None if self._node is None else self._node.GetSegmentation()
        self._ids = [] if segmentation is None else list(segmentation.GetSegmentIDs())
        self._table.setRowCount(len(self._ids))
        for row, segment_id in enumerate(self._ids):
            segment = segmentation.GetSegment(segment_id)  # pyright: ignore[reportOptionalMemberAccess]
            colour = QtWidgets.QTableWidgetItem()
            colour.setBackground(QtGui.QColor.fromRgbF(*segment.GetColor()))
            self._table.setItem(row, 0, colour)
            self._table.setItem(row, 1, QtWidgets.QTableWidgetItem(segment.GetName()))


@native
class qMRMLSegmentationShow3DButton(ctkMenuButton):
    """Makes the surfaces of a segmentation and shows them."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._node: Any = None
        self.setText("Show 3D")
        self.setCheckable(True)
        self.setEnabled(False)
        self.toggled.connect(self._toggled)

    def segmentationNode(self) -> Any:
        return self._node

    def setSegmentationNode(self, node: Any) -> None:
        self._node = node
        self.setEnabled(node is not None)

    def _toggled(self, shown: bool) -> None:
        if shown and self._node is not None:
            self._node.CreateClosedSurfaceRepresentation()


WIDGETS: dict[str, Any] = {
    cls.__name__: cls
    for cls in (
        *(qMRMLWidget, qSlicerWidget, qMRMLSliderWidget, qMRMLSpinBox, qMRMLRangeWidget, qMRMLNodeComboBox),
        *(qMRMLSubjectHierarchyComboBox, qMRMLSubjectHierarchyTreeView),
        *(qMRMLSegmentsTableView, qMRMLSegmentationShow3DButton),
    )
}
