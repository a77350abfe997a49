"""The Python packages in Setup: which are missing, their installation, and the restart that it may need.

Nothing is imported here but what 3D Slicer has before the packages are installed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import slicer
from slicer.i18n import tr as _  # pyright: ignore[reportMissingImports]


class PackagesPart:
    """Says what is missing or too old, and lets the rest of the panel be used when nothing is.

    Args:
        logic: of the module.
        ready: makes the rest of the panel; raises ImportError where a package cannot be imported.
    """

    def __init__(self, ui: Any, logic: Any, ready: Callable[[], None]) -> None:
        self._ui, self._logic, self._ready = ui, logic, ready
        ui.installButton.connect("clicked()", self._install)
        ui.restartSlicerButton.connect("clicked()", self._restart)
        ui.restartSlicerButton.visible = False

    def show(self) -> None:
        """Looks which packages are there now."""
        logic, ui = self._logic, self._ui
        missing, outdated = logic.missingPackages(), logic.outdatedPackages()
        usable = not missing and not outdated
        ui.packagesLabel.text = _sentence(missing, outdated)
        ui.installButton.visible = not usable
        ui.installButton.enabled = not outdated
        if usable:
            try:
                self._ready()
            except ImportError as error:  # such as a library of another version that is in use
                logging.exception("A Python package cannot be imported")
                self._offer_restart(str(error))
                usable = False
        ui.setupCollapsibleButton.collapsed = usable
        sections = (ui.inputsCollapsibleButton, ui.promptsCollapsibleButton)
        for part in (*sections, ui.previewCollapsibleButton, ui.resultCollapsibleButton):
            part.enabled = usable

    def _install(self) -> None:
        self._ui.statusLabel.text = _("Installing Python packages; this can take some minutes...")
        slicer.app.processEvents()
        try:
            replaced = self._logic.installPackages()
        except Exception:  # pip's and the PyTorch extension's own, of many kinds
            logging.exception("Installing Python packages failed")
            self._ui.statusLabel.text = _("The Python packages could not be installed; see the error log.")
            return
        self._ui.statusLabel.text = _("The Python packages are installed.")
        if replaced:
            self._offer_restart(", ".join(replaced))
        else:
            self.show()  # says so if some are still missing

    def _offer_restart(self, in_use: str) -> None:
        """Shows the button for it, and why: what is in use in another version than is installed now."""
        self._ui.packagesLabel.text = _(
            "Python packages are installed, but 3D Slicer has to be restarted before they can be used: {names}"
        ).format(names=in_use)
        self._ui.installButton.visible = False
        self._ui.restartSlicerButton.visible = True

    def _restart(self) -> None:
        """3D Slicer itself does not ask whether to save."""
        if slicer.util.confirmOkCancelDisplay(_("3D Slicer is restarted now. What is not saved is lost.")):
            slicer.util.restart()


def _sentence(missing: list[str], outdated: list[str]) -> str:
    if outdated:
        return _(
            "Python packages are too old: {names}. Update them by slicer.util.pip_install in the Python "
            "console, unless another extension needs them so, and restart 3D Slicer."
        ).format(names=", ".join(outdated))
    if missing:
        return _(
            "Python packages have to be installed once: {names}. Those that come with 3D Slicer are not changed."
        ).format(names=", ".join(missing))
    return _("Python packages: ready")
