"""Other people's packages: what the library takes from them is there, here and with what each 3D Slicer ships."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from .slicer_versions import canonical, install_pins, read_table
from .third_party import LIBRARY, MODULE, OUTSIDE_SLICER, TOLD, absent, files_of, uses

REPOSITORY = Path(__file__).resolve().parents[2]
REQUIREMENTS = [
    Requirement(line)
    for line in (REPOSITORY / "MedCLIPSAM" / "Resources" / "requirements.txt").read_text("utf-8").splitlines()
    if not line.startswith("#")
]
SLICERS = read_table()


def dependencies() -> dict[str, Requirement]:
    """Those of pyproject.toml, by name."""
    text = (REPOSITORY / "pyproject.toml").read_text("utf-8")
    (listed,) = re.findall(r"^dependencies = \[\n(.*?)^\]", text, re.DOTALL | re.MULTILINE)
    found = map(Requirement, re.findall(r'^    "([^"]+)"', listed, re.MULTILINE))
    return {canonical(requirement.name): requirement for requirement in found}


@pytest.mark.parametrize("room", ["engine", "scene", "panel", "cli", "weak"])
def test_names_that_the_library_takes_are_there(room: str):
    """With the oldest versions that 3D Slicer ships, `make slicer-versions` does the same."""
    found = [use for file in files_of(room) for use in uses(file) if use.top != "pydensecrf"]  # which takes a compiler
    assert found
    assert not {line for use in found if (line := absent(use))}


@pytest.mark.parametrize("name", SLICERS)
def test_3d_slicer_has_or_gets_all_that_is_imported_there(name: str):
    """A package of the command line's alone would be missed in 3D Slicer only, and only when its line is reached."""
    modules = packages_distributions()
    there = {canonical(package) for package in (*SLICERS[name].packages, *(each.name for each in REQUIREMENTS))}
    used = {use.top: use for file in files_of("engine", "scene", "panel") for use in uses(file)}
    lacking = {top: use for top, use in used.items() if not there & set(map(canonical, modules.get(top, [])))}
    assert set(lacking) - TOLD <= OUTSIDE_SLICER, lacking


def test_what_is_not_in_3d_slicer_is_not_reached_there():
    """Of what the module and the engine's process import, at once, late, or by a name of a registry."""
    by_name = files_of("engine/clip", "engine/saliency", "engine/localize", "engine/sam")
    reached, new = set[Path](), {MODULE / "MedCLIPSAM.py", *files_of("panel", "engine/worker"), *by_name}
    while new:
        reached |= new
        new = {file for known in new for file in imported(known)} - reached
    assert {LIBRARY / "scene" / "run.py", LIBRARY / "engine" / "session" / "session.py"} <= reached
    outside = {file for file in reached if any(use.top in OUTSIDE_SLICER for use in uses(file))}
    # The extra `crf`, which says what to install, and the start of a 3D Slicer that is not running yet.
    assert outside == {LIBRARY / "engine" / "localize" / "crf.py", LIBRARY / "scene" / "host.py"}


def imported(file: Path) -> Iterator[Path]:
    """The library's files that a file imports."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").startswith("MedCLIPSAMLib")):
            start = file.parents[node.level - 1] if node.level else MODULE
            place = start.joinpath(*(node.module or "").split("."))
            places = [place, *(place / alias.name for alias in node.names)]
            yield from (path for at in places for path in (at.with_suffix(".py"), at / "__init__.py") if path.is_file())


@pytest.mark.parametrize("name", SLICERS)
def test_our_dependencies_allow_what_3d_slicer_ships(name: str):
    ours = dependencies()
    shipped = {canonical(package): version for package, version in SLICERS[name].packages.items()}
    assert {"numpy", "pydicom", "pillow", "scipy", "simpleitk"} <= set(shipped) & set(ours)
    refused = {package: version for package, version in shipped.items() if package in ours}
    refused = {package: version for package, version in refused.items() if version not in ours[package].specifier}
    assert not refused
    assert not {canonical(each.name) for each in REQUIREMENTS} & set(shipped), "3D Slicer's own are not installed"


@pytest.mark.row("slicer-oldest-packages")
@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("from pydicom.encaps import no_such_name", "pydicom.encaps.no_such_name: no_such_name is absent (pydicom "),
        ("import no_such_package.part", "no_such_package.part: cannot be imported: No module named 'no_such_package'"),
        ("def late():\n    from pydicom import nothing", "pydicom.nothing: nothing is absent (pydicom "),
        ("import pydicom\npydicom.encaps.no_such_name", "pydicom.encaps.no_such_name: no_such_name is absent"),
        ("import pydicom.uid as u\nu.UID.no_such", "pydicom.uid.UID.no_such: no_such is absent"),
        ("from pydicom import uid\nuid.UID('1.2').no_such_attribute_of_an_object", ""),
        ("try:\n    import no_such\nexcept ImportError:\n    from no_such_either import x", ""),
        ("import pydicom\nif hasattr(pydicom, 'new'):\n    pydicom.new()", ""),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import no_such", ""),
        ("import sys, psutil\npsutil.NO_SUCH if sys.platform == 'win32' else 10", ""),
        ("import numpy as np\ndef local(np):\n    np.no_such", ""),
        ("import email.no_such\nimport slicer.no_such\nfrom . import no_such", ""),
    ],
)
def test_a_name_that_is_absent_is_told(line: str, told: str, tmp_path: Path):
    file = tmp_path / "some.py"
    file.write_text(f"{line}\n")
    lines = [found for use in uses(file) if (found := absent(use))]
    assert bool(lines) == bool(told)
    assert all(told in found for found in lines)


def test_a_name_that_means_another_thing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As pydicom 2.4 says of JPEGLossless."""
    package = tmp_path / "changing_its_names.py"
    package.write_text(
        "import warnings\n"
        "def __getattr__(name):\n"
        "    warnings.warn(f'{name} will be another', DeprecationWarning if name == 'Old' else UserWarning)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "some.py"
    file.write_text("from changing_its_names import Old, JPEGLossless\n")
    told = [found for use in uses(file) if (found := absent(use))]
    assert told == ["some.py:1: changing_its_names.JPEGLossless: JPEGLossless will be another (no package)"]


@pytest.mark.parametrize(
    ("wheels", "installed"),
    [
        ({"a==1", "b==2"}, ["a==1", "b==2"]),
        ({"a==1", "b<2"}, ["a==1", "b<2"]),
        ({"a>1", "b==2"}, ["a>1", "b==2"]),
    ],
)
def test_where_a_version_has_no_wheel_another_is_taken(wheels: set[str], installed: list[str]):
    taken: list[str] = []

    def pip(lines: list[str]) -> bool:
        if there := set(lines) <= wheels:
            taken.extend(lines)
        return there

    install_pins(pip, {"a": "1", "b": "2"})
    assert taken == installed
    with pytest.raises(LookupError, match="No version of a can be installed"):
        install_pins(lambda lines: False, {"a": "1"})
