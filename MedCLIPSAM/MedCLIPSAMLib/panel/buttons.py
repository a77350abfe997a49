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
# "Enter" is the key of the number pad.
_KEYS = {
    "previewButton": ("Ctrl+Return", "Ctrl+Enter"),
    "segmentButton": ("Ctrl+Shift+Return", "Ctrl+Shift+Enter"),
    "cancelButton": ("Esc",),
    "lessSureButton": ("Ctrl+PgUp",),
    "nextUnsureButton": ("Ctrl+PgDown",),
}


def add_icons(ui: Any) -> None:
    """Puts pictures on buttons; where one has room for its text only, the picture takes its place."""
    for name, file in _ICONS.items():
        getattr(ui, name).icon = qt.QIcon(str(resource(f"Icons/{file}.svg")))


def add_shortcuts(ui: Any) -> dict[str, list[Any]]:
    """Keys by the names of their buttons; they work while the focus is in the panel, and are another's elsewhere."""
    panel = ui.setupCollapsibleButton.parent()
    shortcuts: dict[str, list[Any]] = {}
    for name, choices in _KEYS.items():
        for keys in choices:
            shortcut = qt.QShortcut(qt.QKeySequence(keys), panel)
            shortcut.setContext(qt.Qt.WidgetWithChildrenShortcut)
            shortcut.connect("activated()", getattr(ui, name).click)
            shortcuts.setdefault(name, []).append(shortcut)
    return shortcuts
