"""The lists of the panel that are not of nodes: what they offer, and the parameter that each one shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import qt  # pyright: ignore[reportMissingImports]
from slicer.i18n import tr as _  # pyright: ignore[reportMissingImports]

from ..engine.models.catalogue import Role, entries
from .setup.saliency import disable_misfits, methods
from .volume_choice import AUTOMATIC, DISPLAYED

Offer = tuple[str, str]  # value of the parameter, and what the user reads


def offers() -> dict[str, tuple[str, Sequence[Offer]]]:
    """For each parameter its list in the panel, and what that offers; the first is the default."""
    return {
        "axis": (
            "axisComboBox",
            [
                ("auto", _("automatic")),
                ("axial", _("axial")),
                ("coronal", _("coronal")),
                ("sagittal", _("sagittal")),
                ("acquisition", _("as stored")),
            ],
        ),
        "window": (
            "windowComboBox",
            [
                (AUTOMATIC, _("automatic")),
                (DISPLAYED, _("as displayed")),
                ("soft-tissue", _("CT soft tissue")),
                ("lung", _("CT lung")),
                ("bone", _("CT bone")),
                ("brain", _("CT brain")),
            ],
        ),
        "clip": ("clipComboBox", _models("clip")),
        "saliency": ("saliencyComboBox", methods()),
        "segmenter": ("segmenterComboBox", _models("segmenter")),
        "device": ("deviceComboBox", [("auto", _("automatic")), ("cpu", _("CPU")), ("cuda", _("GPU (CUDA)"))]),
    }


def _models(role: Role) -> list[Offer]:
    return [(entry.name, entry.title) for entry in entries(role)]


class Choices:
    """Keeps the lists and the parameters the same.

    Args:
        chosen: told the parameter and the value that the user has chosen.
    """

    def __init__(self, ui: Any, chosen: Callable[[str, str], None]) -> None:
        self._chosen = chosen
        self._lists = {parameter: getattr(ui, name) for parameter, (name, _offers) in offers().items()}
        self._showing = True
        for parameter, (_name, offered) in offers().items():
            for value, text in offered:
                self._lists[parameter].addItem(text, value)
            self._lists[parameter].connect("currentIndexChanged(int)", self._teller(parameter))
        self._showing = False

    def show(self, parameters: Any) -> None:
        """Shows what is chosen; a value is added to its list if it is not one of it, "" is the first of a list."""
        self._showing = True
        try:
            for parameter, combo in self._lists.items():
                value = getattr(parameters, parameter)
                if value and combo.findData(value) < 0:
                    combo.addItem(value, value)
                    combo.setItemData(combo.count - 1, value, qt.Qt.ToolTipRole)
                combo.currentIndex = combo.findData(value) if value else 0
            disable_misfits(self._lists["saliency"], parameters.clip, parameters.segmenter)
        finally:
            self._showing = False

    def _teller(self, parameter: str) -> Callable[[int], None]:
        def tell(_index: int) -> None:
            if not self._showing:
                self._chosen(parameter, str(self._lists[parameter].currentData))

        return tell
