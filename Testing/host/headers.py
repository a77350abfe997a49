"""What PythonQt shows of classes of 3D Slicer and CTK, from their headers: `reachable.json`, which holds the host.

`python -m Testing.host.headers FOLDER...` writes it anew; the folders hold the sources of 3D Slicer and CTK.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TypedDict

TABLE = Path(__file__).with_name("reachable.json")
CLASSES = (
    *("ctkCheckBox", "ctkCheckablePushButton", "ctkCollapsibleButton", "ctkColorPickerButton", "ctkComboBox"),
    *("ctkDirectoryButton", "ctkDoubleRangeSlider", "ctkDoubleSlider", "ctkDoubleSpinBox", "ctkMenuButton"),
    *("ctkPathLineEdit", "ctkPushButton", "ctkRangeWidget", "ctkSliderWidget"),
    *("qMRMLNodeComboBox", "qMRMLRangeWidget", "qMRMLSegmentationShow3DButton", "qMRMLSegmentsTableView"),
    *("qMRMLSliderWidget", "qMRMLSpinBox", "qMRMLSubjectHierarchyComboBox", "qMRMLSubjectHierarchyTreeView"),
    *("qMRMLWidget", "qSlicerAbstractCoreModule", "qSlicerAbstractModule", "qSlicerAbstractModuleWidget"),
    *("qSlicerApplication", "qSlicerCoreApplication", "qSlicerLoadableModule", "qSlicerModuleManager"),
    *("qSlicerScriptedLoadableModule", "qSlicerScriptedLoadableModuleWidget", "qSlicerWidget"),
)
_CLASS = re.compile(r"^class\s+(?:\w+_EXPORT\s+)?(\w+)\s*:\s*public\s+([\w:]+)", re.MULTILINE)
_ACCESS = re.compile(r"^\s*(public|protected|private|signals|Q_SIGNALS)\s*(slots|Q_SLOTS)?\s*:", re.MULTILINE)
_PROPERTY = re.compile(r"Q_PROPERTY\(\s*[\w:<>,\s*]+?[\s*&]+(\w+)\s+READ")
_INVOKABLE = re.compile(r"Q_INVOKABLE[^;(]*?(\w+)\s*\(")
_METHOD = re.compile(r"(\w+)\s*\(")


class Reachable(TypedDict):
    """Of one class: what it is derived from, and the names that it adds; all other public methods are C++'s own."""

    base: str
    properties: list[str]
    signals: list[str]
    slots: list[str]
    invokables: list[str]


def read_table() -> dict[str, Reachable]:
    """By the names of the classes."""
    return json.loads(TABLE.read_text("utf-8"))


def reachable_in(header: str) -> dict[str, Reachable]:
    """The classes of a header that are QObjects."""
    text = re.sub(r"//[^\n]*|/\*.*?\*/", "", header, flags=re.DOTALL)
    bodies = {(start[1], start[2]): _body(text[start.end() :]) for start in _CLASS.finditer(text)}
    return {name: _reachable(base, body) for (name, base), body in bodies.items() if "Q_OBJECT" in body}


def _body(text: str) -> str:
    """Up to the brace that closes the class."""
    depth = 0
    for place, letter in enumerate(text):
        depth += (letter == "{") - (letter == "}")
        if letter == "}" and depth == 0:
            return text[:place]
    return text


def _reachable(base: str, body: str) -> Reachable:
    slots: set[str] = set()
    signals: set[str] = set()
    marks = [*_ACCESS.finditer(body)]
    for mark, end in zip(marks, [*(mark.start() for mark in marks[1:]), len(body)], strict=False):
        names = _methods(body[mark.end() : end])
        if mark[1] == "public" and mark[2]:
            slots |= names
        elif mark[1] in ("signals", "Q_SIGNALS"):
            signals |= names
    return {
        "base": base,
        "properties": sorted({*_PROPERTY.findall(body)}),
        "signals": sorted(signals),
        "slots": sorted(slots),
        "invokables": sorted({*_INVOKABLE.findall(body)}),
    }


def _methods(section: str) -> set[str]:
    declared = re.sub(r"\{[^{}]*\}", ";", section).split(";")
    found = [_METHOD.search(each) for each in declared if not each.strip().startswith(("#", "Q_"))]
    return {method[1] for method in found if method}


def main(folders: Iterable[str]) -> dict[str, Reachable]:
    """What the sources in ``folders`` say of `CLASSES`.

    Raises:
        KeyError: a class is in none of them.
    """
    found: dict[str, Reachable] = {}
    for folder in folders:
        for path in Path(folder).rglob("*.h"):
            if path.stem in CLASSES:
                found |= reachable_in(path.read_text("utf-8", errors="replace"))
    return {name: found[name] for name in CLASSES}


if __name__ == "__main__":
    lines = (f"{json.dumps(name)}: {json.dumps(content)}" for name, content in main(sys.argv[1:]).items())
    TABLE.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
