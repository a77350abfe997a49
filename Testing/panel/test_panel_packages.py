"""Python packages that are missing: told, installed by a click, and a restart offered where one is needed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from Testing.host import application

from .desk import MODULE


@pytest.fixture
def lacking() -> SimpleNamespace:
    """What the module finds of packages."""
    return SimpleNamespace(missing=["timm>=1.0.17"], outdated=[])


@pytest.fixture
def open_module(app: Any, lacking: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    def open_it(install: Callable[[], list[str]] | None = None) -> Any:
        application.load_module(MODULE)
        logic = sys.modules["MedCLIPSAM"].MedCLIPSAMLogic
        monkeypatch.setattr(logic, "missingPackages", lambda self: lacking.missing)
        monkeypatch.setattr(logic, "outdatedPackages", lambda self: lacking.outdated)
        monkeypatch.setattr(logic, "installPackages", lambda self: install() if install else pytest.fail("installed"))
        return application.select_module("MedCLIPSAM")

    return open_it


@pytest.fixture
def restarts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked before 3D Slicer is restarted, and "restarted" where it is."""
    import slicer

    heard: list[str] = []
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda text: heard.append(text) or len(heard) > 1)
    monkeypatch.setattr(slicer.util, "restart", lambda: heard.append("restarted"))
    return heard


def test_missing_packages_are_installed_by_a_click(open_module, lacking):
    def install() -> list[str]:
        lacking.missing = []
        return []

    widget = open_module(install)
    ui = widget.ui
    assert "have to be installed once: timm>=1.0.17." in ui.packagesLabel.text
    assert ui.installButton.visible
    assert ui.installButton.enabled
    assert not ui.restartSlicerButton.visible
    assert not ui.inputsCollapsibleButton.enabled
    assert widget.panel is None
    ui.installButton.click()
    assert ui.statusLabel.text == "The Python packages are installed."
    assert ui.packagesLabel.text == "Python packages: ready"
    assert not ui.installButton.visible
    assert not ui.restartSlicerButton.visible
    assert ui.inputsCollapsibleButton.enabled
    assert widget.panel is not None


def test_what_pip_raises_is_told(open_module, caplog):
    def install() -> list[str]:
        raise RuntimeError("no network")

    widget = open_module(install)
    widget.ui.installButton.click()
    assert widget.ui.statusLabel.text == "The Python packages could not be installed; see the error log."
    assert "no network" in caplog.text
    assert widget.ui.installButton.enabled
    assert widget.panel is None


@pytest.mark.row("slicer-restart")
def test_a_restart_is_offered_where_another_version_is_in_use(open_module, lacking, restarts):
    def install() -> list[str]:
        lacking.missing = []
        return ["filelock", "tqdm"]

    widget = open_module(install)
    widget.ui.installButton.click()
    assert "has to be restarted before they can be used: filelock, tqdm" in widget.ui.packagesLabel.text
    assert widget.ui.restartSlicerButton.visible
    assert not widget.ui.installButton.visible
    assert widget.panel is None
    widget.ui.restartSlicerButton.click()
    assert restarts == ["3D Slicer is restarted now. What is not saved is lost."], "the answer was Cancel"
    widget.ui.restartSlicerButton.click()
    assert restarts[2:] == ["restarted"]


@pytest.mark.row("slicer-restart")
def test_a_restart_is_offered_where_a_package_cannot_be_imported(open_module, lacking, monkeypatch):
    lacking.missing = []
    monkeypatch.setitem(sys.modules, "MedCLIPSAMLib.panel.panel", None)
    widget = open_module()
    assert (
        "has to be restarted before they can be used: import of MedCLIPSAMLib.panel.panel"
        in widget.ui.packagesLabel.text
    )
    assert widget.ui.restartSlicerButton.visible
    assert not widget.ui.inputsCollapsibleButton.enabled
    assert widget.panel is None


def test_packages_that_are_too_old_are_not_replaced(open_module, lacking):
    lacking.missing, lacking.outdated = [], ["timm 0.9.16 (timm>=1.0.17 is needed)"]
    widget = open_module()
    assert "too old: timm 0.9.16 (timm>=1.0.17 is needed)." in widget.ui.packagesLabel.text
    assert not widget.ui.installButton.enabled
