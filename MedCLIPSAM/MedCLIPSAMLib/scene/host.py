"""3D Slicer's scene and logics without its window, so that the same code runs inside and outside Slicer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
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
    """VTK, and outside of 3D Slicer ITK, print nothing meanwhile: the caller raises in one sentence what went wrong."""
    window = vtk.vtkOutputWindow.GetInstance()
    shown, mode = vtk.vtkObject.GetGlobalWarningDisplay(), window.GetDisplayMode()
    vtk.vtkObject.SetGlobalWarningDisplay(False)
    window.SetDisplayModeToNever()  # what is no warning, such as each file put into an archive
    try:
        with nullcontext() if _app is None else _nothing_on_stderr():  # 3D Slicer's own log listens there
            yield
    finally:
        window.SetDisplayMode(mode)
        vtk.vtkObject.SetGlobalWarningDisplay(shown)


@contextmanager
def _nothing_on_stderr() -> Iterator[None]:
    """ITK inside of 3D Slicer's libraries has no other switch."""
    try:
        shown = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123  # no path
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(shown, 2)
        os.close(shown)
