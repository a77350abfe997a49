"""One host for all tests of the panel; what slots and observers raise fails the test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from Testing.host import application, connections

from .desk import Desk, ct, slice_views


@pytest.fixture(scope="session")
def app() -> Any:
    return application.start()


@pytest.fixture(autouse=True)
def clean(app: Any) -> Iterator[None]:
    import slicer

    connections.errors.clear()
    slicer.mrmlScene.Clear()
    yield
    application.unload_modules()
    slicer.mrmlScene.Clear()
    app.processEvents()
    errors = list(connections.errors)
    connections.errors.clear()
    assert not errors, "".join(errors)


@pytest.fixture
def desk(app) -> Iterator[Desk]:
    import slicer

    views = slice_views()
    yield Desk(app, ct())
    application.unload_modules()
    for view in views:  # closing the scene leaves them
        slicer.mrmlScene.RemoveNode(view)


@pytest.fixture
def window(desk) -> Iterator[Any]:
    """3D Slicer's window, in short: the panel, and a field of another module beside it."""
    from PySide6.QtTest import QTest
    from PySide6.QtWidgets import QLineEdit, QWidget

    panel = desk.widget.parent
    top = QWidget()
    beside = QLineEdit(top)
    panel.setParent(top)
    panel.show()
    top.show()
    top.activateWindow()
    assert QTest.qWaitForWindowActive(top)
    yield beside
    panel.setParent(None)
    top.close()
