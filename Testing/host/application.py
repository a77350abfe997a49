"""``slicer.app``, ``slicer.modules`` and the life of a scripted module, as far as the panel meets them."""

# PySide6's types know methods where the host has properties.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false, reportOperatorIssue=false

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
import traceback
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from . import connections, modules

modules.install()

import slicer  # noqa: E402
from PySide6 import QtCore, QtWidgets  # noqa: E402
from trame_slicer.core import SlicerApp  # noqa: E402

from .ctk_widgets import native  # noqa: E402
from .data_tree import DataTree  # noqa: E402
from .mrml_widgets import qSlicerWidget  # noqa: E402

GENUINE = "MEDCLIPSAM_SLICER_PYTHON"  # environment variable: a folder with Slicer's own Python files, used before ours
_OURS = Path(__file__).parent / "python"
_core: Any = None


@native
class qSlicerModuleManager(QtCore.QObject):
    """Tells when modules come and go."""

    moduleAboutToBeUnloaded = QtCore.Signal(str)
    moduleLoaded = QtCore.Signal(str)


@native
class qSlicerApplication(QtWidgets.QApplication):
    """``slicer.app``."""

    startupCompleted = QtCore.Signal()
    majorVersion = QtCore.Property(int, lambda _self: 5)
    minorVersion = QtCore.Property(int, lambda _self: 11)

    def __init__(self) -> None:
        super().__init__([])
        folder = tempfile.TemporaryDirectory(prefix="slicer-host-")
        self._folder, self._manager = folder, qSlicerModuleManager()
        self.setApplicationName("Slicer")
        QtCore.QSettings.setDefaultFormat(QtCore.QSettings.Format.IniFormat)
        QtCore.QSettings.setPath(QtCore.QSettings.Format.IniFormat, QtCore.QSettings.Scope.UserScope, folder.name)
        self._settings = QtCore.QSettings()
        self.setStyle("Fusion")  # Slicer's own

    @property
    def temporaryPath(self) -> str:
        return self._folder.name

    def moduleManager(self) -> Any:
        return self._manager

    def userSettings(self) -> Any:
        return self._settings

    def settings(self) -> Any:
        return self._settings

    def testingEnabled(self) -> bool:
        return True

    def pauseRender(self) -> None:
        pass

    def resumeRender(self) -> None:
        pass

    def layoutManager(self) -> Any:
        """None, as in a Slicer that was started without a main window."""
        return None


class _Loadable:
    """A module of C++, of which there is the logic only."""

    def __init__(self, logic: Any) -> None:
        self._logic = logic

    def logic(self) -> Any:
        return self._logic


class qSlicerScriptedLoadableModule(QtCore.QObject):
    """The ``parent`` of a scripted module."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path, self.name = str(path), path.stem
        self.title = self.helpText = self.acknowledgementText = ""
        self.categories: list[str] = []
        self.dependencies: list[str] = []
        self.contributors: list[str] = []
        self.icon: Any = None
        self.hidden = False
        self._widget: Any = None

    def widgetRepresentation(self) -> Any:
        if self._widget is None:
            self._widget = _ModuleWidget(self.name)
            self._widget._make()
        return self._widget


class _ModuleWidget(qSlicerWidget):
    """What holds the panel of a scripted module: the ``parent`` of its widget class."""

    def __init__(self, name: str) -> None:
        super().__init__()
        QtWidgets.QVBoxLayout(self)
        self.setMRMLScene(slicer.mrmlScene)
        self._module, self._panel, self._entered = name, None, False

    def _make(self) -> None:
        cls = getattr(sys.modules[self._module], f"{self._module}Widget")
        self._panel = cls(self)
        setattr(slicer.modules, f"{self._module}Widget", self._panel)
        self._panel.setup()

    @property
    def isEntered(self) -> bool:
        return self._entered

    def self(self) -> Any:
        return self._panel

    def enter(self) -> None:
        self._entered = True
        getattr(self._panel, "enter", lambda: None)()

    def exit(self) -> None:
        getattr(self._panel, "exit", lambda: None)()
        self._entered = False


def start() -> qSlicerApplication:
    """Starts the host; once per process."""
    application = qSlicerApplication()
    sys.excepthook = _keep  # Qt's slots and VTK's observers end there
    genuine = os.environ.get(GENUINE)
    # Only now: the package imports everything on its path when it is imported itself.
    slicer.__path__[:0] = [genuine, str(_OURS)] if genuine else [str(_OURS)]
    global _core
    _core = SlicerApp()
    slicer.app, slicer.mrmlScene, slicer.selfTests = application, _core.scene, {}
    DataTree(slicer.mrmlScene, connections.errors.append)
    slicer.modules = ModuleType("slicer.modules")
    slicer.moduleNames = SimpleNamespace()
    for name in ("segmentations", "terminologies", "volumes", "markups"):
        logic = getattr(_core, f"{name}_logic")
        setattr(slicer.modules, name, _Loadable(getattr(logic, "_logic", logic)))
    slicer.util.mainWindow = lambda: None
    slicer.util.modulePath = lambda name: getattr(slicer.modules, name.lower()).path
    slicer.util.selectModule = select_module
    slicer.util.reloadScriptedModule = reload_module
    return application


def load_module(path: Path) -> qSlicerScriptedLoadableModule:
    """Imports a scripted module and lets it describe itself, as Slicer does when it starts."""
    _import(path)
    module = qSlicerScriptedLoadableModule(path)
    setattr(slicer.modules, path.stem.lower(), module)
    setattr(slicer.modules, f"{path.stem}Instance", getattr(sys.modules[path.stem], path.stem)(module))
    slicer.app.moduleManager().moduleLoaded.emit(path.stem)
    return module


def core() -> Any:
    """The application without its window: logics, and views that can be drawn."""
    return _core


_selected: list[Any] = []


def select_module(name: str) -> Any:
    """Leaves the module that is open and enters another; the panel, as an object of its widget class."""
    widget = getattr(slicer.modules, name.lower()).widgetRepresentation()
    if _selected != [widget]:
        for former in _selected:
            former.exit()
        _selected[:] = [widget]
        widget.enter()
        widget.show()
    return widget.self()


def reload_module(name: str) -> None:
    """As the button of the developer mode: the panel is cleaned up and made anew from the file."""
    module = getattr(slicer.modules, name.lower())
    widget = module.widgetRepresentation()
    widget.self().cleanup()
    for part in widget.findChildren(QtWidgets.QWidget, options=QtCore.Qt.FindChildOption.FindDirectChildrenOnly):
        part.setParent(None)
        part.deleteLater()
    _import(Path(module.path))
    widget._make()
    if widget.isEntered:
        widget.enter()


def unload_modules() -> None:
    """As when Slicer ends."""
    for name, module in list(vars(slicer.modules).items()):
        if isinstance(module, qSlicerScriptedLoadableModule):
            slicer.app.moduleManager().moduleAboutToBeUnloaded.emit(module.name)
            delattr(slicer.modules, name)
            module.deleteLater()
    _selected.clear()


def _import(path: Path) -> None:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)


def _keep(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    connections.errors.append("".join(traceback.format_exception(kind, error, trace)))
    sys.__excepthook__(kind, error, trace)
