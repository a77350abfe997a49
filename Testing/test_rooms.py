"""Rooms have one job each: arrows between panel, scene and engine point one way, and none is too full."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
LIBRARY = REPOSITORY / "MedCLIPSAM" / "MedCLIPSAMLib"
FORBIDDEN = {
    "engine": {"slicer", "vtk", "vtkmodules", "qt", "ctk", "scene", "panel", "cli", "weak"},
    "scene": {"qt", "ctk", "panel", "cli", "weak"},
    "panel": {"vtk", "vtkmodules", "torch", "cli", "weak"},
    "weak": {"qt", "ctk", "panel", "cli"},
}


def imports(file: Path) -> Iterator[str]:
    """Packages that a file imports, those of the library by the name of their room."""
    place = file.relative_to(LIBRARY).parts
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names = (node.module or "").split(".") if node.module else []
            if node.level:
                names = [*place[: len(place) - node.level], *names]
            yield names[0] if names else ""


@pytest.mark.parametrize("room", FORBIDDEN)
def test_rooms_know_only_those_below(room):
    files = sorted((LIBRARY / room).rglob("*.py"))
    assert files
    wrong = {(file.name, name) for file in files for name in imports(file) if name in FORBIDDEN[room]}
    assert not wrong


@pytest.mark.parametrize("part", ["MedCLIPSAM", "Testing", "tools"])
def test_files_and_folders_have_one_job_each(part):
    files = list((REPOSITORY / part).rglob("*.py"))
    assert files
    assert not {file for file in files if len(file.read_text("utf-8").splitlines()) > 400}
    assert not {folder for folder, number in Counter(file.parent for file in files).items() if number > 15}
