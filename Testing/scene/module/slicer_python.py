"""The least of 3D Slicer's Python files that lets the module run without Qt: its logic and self-test."""

from __future__ import annotations

import importlib.util
import sys
import unittest
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import slicer

MODULE = Path(__file__).resolve().parents[3] / "MedCLIPSAM" / "MedCLIPSAM.py"


class _Module:
    def __init__(self, parent: Any) -> None:
        self.parent = parent


class _Widget:
    pass


class _Logic:
    def getParameterNode(self) -> Any:
        return slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")


class _Test(unittest.TestCase):
    messages: list[str]

    def delayDisplay(self, message: str) -> None:
        self.messages = [*getattr(self, "messages", []), message]


def _translated(*texts: str) -> str:
    return texts[-1]


def load_module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """MedCLIPSAM.py as 3D Slicer would import it."""
    stand_ins: dict[str, dict[str, Any]] = {
        "slicer.ScriptedLoadableModule": {
            "ScriptedLoadableModule": _Module,
            "ScriptedLoadableModuleWidget": _Widget,
            "ScriptedLoadableModuleLogic": _Logic,
            "ScriptedLoadableModuleTest": _Test,
        },
        "slicer.i18n": {"tr": _translated, "translate": _translated},
        "slicer.parameterNodeWrapper": {
            "parameterNodeWrapper": lambda described: described,
            "WithinRange": lambda low, high: (low, high),
        },
    }
    for name, content in stand_ins.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    spec = importlib.util.spec_from_file_location(MODULE.stem, MODULE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, MODULE.stem, module)
    spec.loader.exec_module(module)
    return module


def make_parent() -> SimpleNamespace:
    """What 3D Slicer hands to a module to fill in."""
    return SimpleNamespace(path=str(MODULE))
