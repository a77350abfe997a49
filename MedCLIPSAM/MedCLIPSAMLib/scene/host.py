"""3D Slicer's scene and logics without its window, so that the same code runs inside and outside Slicer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import slicer
import vtk

if TYPE_CHECKING:
    from trame_slicer.core import SlicerApp

_app: SlicerApp | None = None  # the scene lives as long as the process, as in Slicer


class _Module:
    """What `slicer.modules.<name>` offers without Qt."""

    def __init__(self, logic: Any) -> None:
        self._logic = logic

    def logic(self) -> Any:
        return self._logic


def start() -> SlicerApp | None:
    """Make `slicer.mrmlScene` and `slicer.modules.<name>.logic()` usable; a second call changes nothing.

    Returns:
        The headless application, or None inside the real Slicer, which needs no start.
    """
    global _app
    if hasattr(slicer, "app"):
        return None
    if _app is None:
        from trame_slicer.core import SlicerApp

        app = _app = SlicerApp()
        slicer.mrmlScene = app.scene
        slicer.modules = SimpleNamespace(
            segmentations=_Module(app.segmentations_logic),
            terminologies=_Module(app.terminologies_logic),
            volumes=_Module(app.volumes_logic),
        )
    return _app


@contextmanager
def quiet() -> Iterator[None]:
    """VTK prints nothing meanwhile: what went wrong is raised by the caller, in one sentence."""
    window = vtk.vtkOutputWindow.GetInstance()
    shown, mode = vtk.vtkObject.GetGlobalWarningDisplay(), window.GetDisplayMode()
    vtk.vtkObject.SetGlobalWarningDisplay(False)
    window.SetDisplayModeToNever()  # what is no warning, such as each file put into an archive
    try:
        yield
    finally:
        window.SetDisplayMode(mode)
        vtk.vtkObject.SetGlobalWarningDisplay(shown)
