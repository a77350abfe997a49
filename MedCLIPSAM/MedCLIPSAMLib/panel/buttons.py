"""Icons of the buttons, and keys that press them."""

from __future__ import annotations

from typing import Any

import qt  # pyright: ignore[reportMissingImports]

from ..engine.files.resources import resource

_ICONS = {
    "addButton": "Add",
    "duplicateButton": "Copy",
    "removeButton": "Remove",
    "upButton": "Up",
    "downButton": "Down",
    "positiveButton": "PositivePoint",
    "negativeButton": "NegativePoint",
    "clipImportButton": "Import",
    "clipDownloadButton": "Download",
    "segmenterImportButton": "Import",
    "segmenterDownloadButton": "Download",
    "undoButton": "Undo",
    "redoButton": "Redo",
}
_KEYS = {"previewButton": "Ctrl+Return", "segmentButton": "Ctrl+Shift+Return", "cancelButton": "Esc"}


def add_icons(ui: Any) -> None:
    """Puts pictures on buttons; where one has room for its text only, the picture takes its place."""
    for name, file in _ICONS.items():
        getattr(ui, name).icon = qt.QIcon(str(resource(f"Icons/{file}.svg")))


def add_shortcuts(ui: Any) -> dict[str, Any]:
    """Keys by the names of their buttons; they work wherever the focus is in the panel, while somebody holds them."""
    shortcuts = {}
    for name, keys in _KEYS.items():
        shortcut = qt.QShortcut(qt.QKeySequence(keys), ui.promptsCollapsibleButton.parent())
        shortcut.connect("activated()", getattr(ui, name).click)
        shortcuts[name] = shortcut
    return shortcuts
