"""The host itself: what PythonQt offers works, and what Slicer does not have fails here, too."""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import dedent, indent
from types import FunctionType
from typing import Any

import numpy as np
import pytest
from PySide6 import QtCore

from Testing.host import application, connections, ctk_widgets, headers, mrml_widgets

MODULE = """
from typing import Annotated
import qt, ctk, slicer, vtk
from slicer import vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import Choice, Default, WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import *
from slicer.util import VTKObservationMixin

@parameterNodeWrapper
class SeededParameterNode:
    volume: vtkMRMLScalarVolumeNode
    text: str
    level: Annotated[float, WithinRange(0, 1)] = 0.5
    way: Annotated[str, Choice(["box", "points"])] = "points"
    on: bool

class Seeded(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Seeded")

class SeededWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.heard = []
        self.tag = None

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        ui = slicer.util.loadUI(self.resourcePath("UI/Seeded.ui"))
        self.layout.addWidget(ui)
        ui.setMRMLScene(slicer.mrmlScene)
        self.ui = slicer.util.childWidgetVariables(ui)
        self.logic = SeededLogic()
        self.parameters = SeededParameterNode(self.logic.getParameterNode())
        widgets = {widget.property("SlicerParameterName"): widget for widget in vars(self.ui).values()}
        self.tag = self.parameters.connectParametersToGui({name: each for name, each in widgets.items() if name})
        self.addObserver(self.parameters, vtk.vtkCommand.ModifiedEvent, self.onModified)
        self.ui.button.connect("clicked(bool)", self.onButton)

    def cleanup(self):
        if self.tag is not None:
            self.parameters.disconnectGui(self.tag)
        self.removeObservers()
        self.heard.append("cleanup")

    def enter(self):
        self.heard.append("enter")

    def exit(self):
        self.heard.append("exit")

    def onModified(self, caller, event):
        {on_modified}

    def onButton(self):
        {on_button}

class SeededLogic(ScriptedLoadableModuleLogic):
    pass
"""

UI = """<?xml version="1.0" encoding="UTF-8"?>
<ui version="4.0"><class>Seeded</class>
<widget class="qMRMLWidget" name="Seeded"><layout class="QVBoxLayout" name="rows">
<item><widget class="ctkCollapsibleButton" name="section"><property name="text"><string>Section</string></property>
<layout class="QFormLayout" name="form">
<item row="0" column="1"><widget class="qMRMLNodeComboBox" name="volumeSelector">
<property name="nodeTypes"><stringlist><string>vtkMRMLScalarVolumeNode</string></stringlist></property>
<property name="noneEnabled"><bool>true</bool></property>
<property name="SlicerParameterName" stdset="0"><string>volume</string></property></widget></item>
<item row="1" column="1"><widget class="QLineEdit" name="line">
<property name="SlicerParameterName" stdset="0"><string>text</string></property></widget></item>
<item row="2" column="1"><widget class="ctkSliderWidget" name="slider">
<property name="SlicerParameterName" stdset="0"><string>level</string></property></widget></item>
<item row="3" column="1"><widget class="QComboBox" name="ways">
<property name="SlicerParameterName" stdset="0"><string>way</string></property></widget></item>
<item row="4" column="1"><widget class="QCheckBox" name="check">
<property name="SlicerParameterName" stdset="0"><string>on</string></property></widget></item>
</layout></widget></item>
<item><widget class="QPushButton" name="button"><property name="text"><string>Press</string></property></widget></item>
</layout></widget>
<customwidgets/><connections><connection><sender>Seeded</sender><signal>mrmlSceneChanged(vtkMRMLScene*)</signal>
<receiver>volumeSelector</receiver><slot>setMRMLScene(vtkMRMLScene*)</slot></connection></connections></ui>
"""


def written(folder: Path, on_button: str = "self.heard.append('button')", on_modified: str = "pass", ui: str = UI):
    (folder / "Resources" / "UI").mkdir(parents=True)
    (folder / "Resources" / "UI" / "Seeded.ui").write_text(ui)
    filled = {"on_button": on_button, "on_modified": on_modified}
    for name, code in filled.items():
        filled[name] = indent(dedent(code).strip(), " " * 8).strip()
    path = folder / "Seeded.py"
    path.write_text(MODULE.replace("{on_button}", filled["on_button"]).replace("{on_modified}", filled["on_modified"]))
    return path


def opened(path: Path) -> Any:
    application.load_module(path)
    return application.select_module("Seeded")


def volume_node() -> Any:
    import slicer

    return slicer.util.addVolumeFromArray(np.zeros((2, 3, 4), np.int16))


def test_parameters_and_widgets_follow_each_other(tmp_path):
    panel = opened(written(tmp_path))
    ui, parameters = panel.ui, panel.parameters
    assert (parameters.level, parameters.way, parameters.on, parameters.text, parameters.volume) == (
        *(0.5, "points", False, ""),
        None,
    )
    assert (ui.slider.value, ui.ways.currentText, ui.check.checked) == (0.5, "points", False)
    node = volume_node()
    assert ui.volumeSelector.currentNode() is None, "a node that is added is not chosen by itself"
    ui.volumeSelector.setCurrentNode(node)
    ui.line.text, ui.slider.value, ui.ways.currentIndex, ui.check.checked = "liver", 0.25, 0, True
    assert (parameters.volume, parameters.text, parameters.level, parameters.way, parameters.on) == (
        *(node, "liver", 0.25),
        *("box", True),
    )
    parameters.text, parameters.volume, parameters.way = "spleen", None, "points"
    assert (ui.line.text, ui.volumeSelector.currentNode(), ui.ways.currentIndex) == ("spleen", None, 1)
    panel.parameters.disconnectGui(panel.tag)
    ui.line.text = "nobody hears"
    assert parameters.text == "spleen"


def test_parameters_travel_with_the_scene(tmp_path):
    import slicer

    panel = opened(written(tmp_path))
    node = volume_node()
    panel.parameters.text, panel.parameters.volume, panel.parameters.level = "liver; 肝", node, 0.75
    path = tmp_path / "scene.mrml"
    slicer.mrmlScene.Commit(str(path))
    slicer.mrmlScene.Clear()
    slicer.mrmlScene.SetURL(str(path))
    slicer.mrmlScene.Connect()
    again = sys.modules["Seeded"].SeededParameterNode(panel.logic.getParameterNode())  # type: ignore[attr-defined]
    assert (again.text, again.level, again.way) == ("liver; 肝", 0.75, "points")
    assert again.volume.GetName() == node.GetName()
    assert len(panel.logic.getAllParameterNodes()) == 1


def test_a_module_is_entered_left_reloaded_and_unloaded(tmp_path):
    panel = opened(written(tmp_path))
    panel.ui.button.click()
    assert panel.heard == ["enter", "button"]
    application.reload_module("Seeded")
    again = application.select_module("Seeded")
    assert again is not panel
    assert panel.heard[-1] == "cleanup"
    assert again.heard == ["enter"]
    application.unload_modules()
    assert again.heard[-1] == "cleanup"


MISTAKES = {
    "a property is called": "self.ui.line.text()",
    "a property that is misspelt is set": "self.ui.button.enable = False",
    "an attribute is put on a widget": "self.ui.button.mine = 3",
    "an attribute is put on an item of a list": "self.ui.ways.model().item(0).enabled = False",
    "a method is overwritten": "self.ui.button.setText = 'x'",
    "a property that cannot be written is set": "self.ui.button.width = 3",
    "a signal is misspelt": "self.ui.button.connect('click()', print)",
    "a signal has other arguments": "self.ui.line.connect('textChanged(int)', print)",
    "a signal of another widget": "self.ui.ways.connect('toggled(bool)', print)",
    "what is connected cannot be called": "self.ui.button.connect('clicked()', None)",
    "a text is no text": "self.ui.button.text = 5",
    "a node combo box takes something else": "self.ui.volumeSelector.setCurrentNode('vtkMRMLScalarVolumeNode1')",
    "a getter beside a property": "self.ui.section.isCollapsed()",
    "a setter that is no slot": "self.ui.slider.setRange(0, 1)",
    "a setter of a property that is no slot": "self.ui.section.setCollapsed(True)",
    "a property is called as a method": "self.ui.volumeSelector.currentNodeID()",
    "a method of PySide6 alone": "self.ui.line.text().strip()",
    "an enum of the wrong class": "self.ui.line.setAlignment('centre')",
    "a widget that the .ui file has not": "self.ui.buton.click()",
    "a parameter that there is not": "self.parameters.getValue('txt')",
    "a parameter of another type": "self.parameters.text = 5",
    "a parameter out of its range": "self.parameters.level = 2.0",
    "a parameter that is no choice": "self.parameters.way = 'both'",
    "a node of another class": "self.parameters.volume = slicer.mrmlScene.AddNewNodeByClass('vtkMRMLModelNode')",
    "a name that Slicer has not": "slicer.util.arrayFromSegmentation()",
    "an exception in a slot of a slot": "c = self.ui.check; c.connect('toggled(bool)', lambda on: 1 / 0); c.click()",
    "an exception in a slot given to a signal": "c = self.ui.check; c.toggled.connect(lambda on: 1 / 0); c.click()",
    "an exception in a timer": "qt.QTimer.singleShot(0, lambda: 1 / 0); slicer.app.processEvents()",
}


def test_an_item_of_a_list_is_disabled(tmp_path):
    item = opened(written(tmp_path)).ui.ways.model().item(0)
    assert item.isEnabled()
    item.setEnabled(False)
    assert not item.isEnabled()


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_a_slot_is_caught(tmp_path, mistake, app):
    panel = opened(written(tmp_path, on_button=mistake))
    assert not connections.errors
    panel.ui.button.click()
    app.processEvents()
    assert connections.errors
    connections.errors.clear()


def test_a_mistake_in_an_observer_is_caught(tmp_path):
    panel = opened(written(tmp_path, on_modified="self.ui.line.txt"))
    panel.parameters.text = "x"
    assert "txt" in connections.errors[0]
    connections.errors.clear()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('class="QPushButton" name="button"', 'class="ctkPushKnob" name="button"'),
        ('<property name="noneEnabled">', '<property name="noneAllowed">'),
        ('<property name="text"><string>Press', '<property name="txt"><string>Press'),
        ("<receiver>volumeSelector<", "<receiver>selector<"),
        ("mrmlSceneChanged(vtkMRMLScene*)", "sceneChanged(vtkMRMLScene*)"),
        ("setMRMLScene(vtkMRMLScene*)", "setScene(vtkMRMLScene*)"),
        ("<string>level<", "<string>levl<"),
        ('class="QCheckBox" name="check"', 'class="QCheckBox" name="button"'),
    ],
)
def test_a_mistake_in_the_ui_file_is_caught(tmp_path, before, after):
    assert before in UI
    path = written(tmp_path, ui=UI.replace(before, after))
    application.load_module(path)
    with pytest.raises((RuntimeError, ValueError, AttributeError)):
        application.select_module("Seeded")


def test_nodes_that_are_hidden_too_late_are_caught(tmp_path):
    import slicer

    opened(written(tmp_path))
    node = volume_node()
    slicer.mrmlScene.RemoveNode(node)
    assert not connections.errors
    node = volume_node()
    node.SetHideFromEditors(True)
    slicer.mrmlScene.RemoveNode(node)
    assert "shows in the Data tree" in connections.errors[0]
    connections.errors.clear()


HEADER = """
class CTK_EXPORT Base : public QWidget { Q_OBJECT /* void commented(); */ };
class SOME_EXPORT Some : public Base
{
  Q_OBJECT
  Q_PROPERTY(double level READ level WRITE setLevel)  // Q_PROPERTY(int gone READ gone)
public:
  double level() const { return 0; }
  Q_INVOKABLE QString nameOf(int number) const;
public Q_SLOTS:
  void setOther(double value = 0);
signals:
  void changed(double);
protected slots:
  void hidden();
};
class Plain : public Base { public: void method(); };
"""


def test_headers_tell_what_python_can_reach():
    assert headers.reachable_in(HEADER) == {
        "Base": {"base": "QWidget", "properties": [], "signals": [], "slots": [], "invokables": []},
        "Some": {
            **{"base": "Base", "properties": ["level"], "signals": ["changed"]},
            **{"slots": ["setOther"], "invokables": ["nameOf"]},
        },
    }


# Named in Slicer's `qSlicerBaseQTGUIPythonQtDecorators.h` and `qSlicerBaseQTCorePythonQtDecorators.h`.
DECORATED = {"widgetRepresentation", "testingEnabled"}


@pytest.mark.row("slicer-hidden-method")
def test_the_host_offers_nothing_that_slicer_hides(app):
    """A getter, setter or base class that Python does not meet in 3D Slicer would let a mistake pass here."""
    table = headers.read_table()
    offered = {**ctk_widgets.WIDGETS, **mrml_widgets.WIDGETS}
    offered |= {name: getattr(application, name) for name in ("qSlicerApplication", "qSlicerModuleManager")}
    offered |= {"qSlicerScriptedLoadableModule": application.qSlicerScriptedLoadableModule}
    offered |= {"qSlicerScriptedLoadableModuleWidget": application._ModuleWidget}
    for name, cls in offered.items():
        parts, base = [], name
        while base in table:
            parts.append(table[base])
            base = table[base]["base"]
        ours = cls.__mro__[: next(n for n, each in enumerate(cls.__mro__) if each.__module__.startswith("PySide6"))]
        qt_class = cls.__mro__[len(ours)]
        assert qt_class.__name__ == base, name
        kinds = {
            QtCore.Property: {member for part in parts for member in part["properties"]},
            property: {member for part in parts for member in part["properties"]},
            QtCore.Signal: {member for part in parts for member in part["signals"]},
            FunctionType: {member for part in parts for member in [*part["slots"], *part["invokables"]]} | DECORATED,
        }
        # PySide6 does not survive that somebody looks at a class's meta object and lets go of it.
        members = [(part, member) for part in ours for member in vars(part) if member != "staticMetaObject"]
        for part, member in members:
            inherited = hasattr(qt_class, member) and member not in kinds[property]
            if not member.startswith("_") and not inherited:
                assert member in kinds[type(vars(part)[member])], f"{name}.{member}"


def test_a_list_of_nodes_follows_the_scene(tmp_path):
    import slicer

    selector = opened(written(tmp_path)).ui.volumeSelector
    nodes = [volume_node() for _ in range(3)]
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode")
    assert selector.nodeCount() == 3
    selector.setCurrentNode(nodes[1])
    heard = []
    selector.connect("currentNodeChanged(vtkMRMLNode*)", heard.append)
    slicer.mrmlScene.RemoveNode(nodes[1])
    assert heard == [nodes[2]], "Qt's list goes on to a neighbour"
    slicer.mrmlScene.Clear()
    assert heard[-1] is None
