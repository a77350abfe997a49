"""Keys press buttons where the tooltips say so, while the focus is in the panel and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest

CONTROL, SHIFT, PAD = "ControlModifier", "ShiftModifier", "KeypadModifier"


@pytest.fixture
def pressed(desk) -> list[str]:
    names = ("previewButton", "segmentButton", "cancelButton")
    heard: list[str] = []
    for name in names:
        getattr(desk.ui, name).connect("clicked()", lambda name=name: heard.append(name))
    return heard


def press(widget: Any, key: str, *modifiers: str) -> None:
    from PySide6.QtCore import Qt
    from PySide6.QtTest import QTest

    widget.setFocus()
    together = Qt.KeyboardModifier.NoModifier
    for modifier in modifiers:
        together |= getattr(Qt.KeyboardModifier, modifier)
    QTest.keyClick(widget, getattr(Qt.Key, f"Key_{key}"), together)


KEYS = [
    ("previewButton", ("Return", CONTROL)),
    ("previewButton", ("Enter", CONTROL, PAD)),
    ("segmentButton", ("Return", CONTROL, SHIFT)),
    ("segmentButton", ("Enter", CONTROL, SHIFT, PAD)),
]


@pytest.mark.row("slicer-keys")
@pytest.mark.parametrize(("button", "keys"), KEYS)
def test_a_key_in_the_panel_presses_its_button(desk, window, pressed, button, keys):
    desk.type(0, "liver")
    desk.look_at(1)
    desk.ui.detailsCollapsibleButton.collapsed = False
    press(window, *keys)
    assert pressed == [], "the focus is elsewhere in the window"
    press(desk.ui.wordingsEdit, *keys)
    assert pressed == [button]


@pytest.mark.row("slicer-keys")
def test_escape_cancels_a_run_and_is_the_others_key_else(desk, window, pressed):
    desk.type(0, "liver")
    desk.ui.detailsCollapsibleButton.collapsed = False
    press(desk.ui.wordingsEdit, "Escape")
    assert pressed == []
    press(desk.ui.wordingsEdit, "Return", CONTROL, SHIFT)
    focus = desk.app.focusWidget()
    press(window, "Escape")
    assert pressed == ["segmentButton"]
    press(focus, "Escape")
    assert pressed == ["segmentButton", "cancelButton"]
    assert "Cancelled" in desk.ui.statusLabel.text
    assert not any(shortcut.enabled for shortcut in desk.panel._shortcuts["cancelButton"])


def test_the_tooltips_name_the_keys(desk):
    for name, keys in (
        ("previewButton", "Ctrl+Return"),
        ("segmentButton", "Ctrl+Shift+Return"),
        ("cancelButton", "Esc"),
        ("lessSureButton", "Ctrl+PgUp"),
        ("nextUnsureButton", "Ctrl+PgDown"),
    ):
        assert f"({keys})" in getattr(desk.ui, name).toolTip
