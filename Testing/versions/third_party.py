"""Which names of other people's packages the library uses, and which of them the versions at hand do not have.

Run as `python -m Testing.versions.third_party engine scene panel`: imports every module of these rooms, looks up every
name that they take from a package, also where it is only imported within a function, and exits with 1 if one is absent.
"""

from __future__ import annotations

import ast
import sys
import warnings
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec
from inspect import isclass, ismodule
from pathlib import Path
from typing import Any, NamedTuple

import slicer

MODULE = Path(__file__).parents[2] / "MedCLIPSAM"
LIBRARY = MODULE / "MedCLIPSAMLib"
# 3D Slicer's own, whose versions no package stands for.
SLICERS_OWN = {"slicer", "vtk", "vtkmodules", "qt", "ctk", "SampleData"}
# For the command line, or for who installs them; the panel imports no file that uses them.
OUTSIDE_SLICER = {"nilearn", "pydensecrf", "surface_distance", "trame_slicer"}
# Of the extra `dicom`: where it is missing, as in 3D Slicer 5.10, a sentence says what to install.
TOLD = {"highdicom"}


class Use(NamedTuple):
    """A name that a file takes from a package.

    Attributes:
        file: that takes it.
        line: where, from 1.
        module: as it is imported, such as "pydicom.uid".
        names: what is asked of it, one after the other, such as ("UID", "name"); none for the module alone.
    """

    file: Path
    line: int
    module: str
    names: tuple[str, ...]

    @property
    def top(self) -> str:
        """Of the module's name, the first part."""
        return self.module.split(".")[0]


def files_of(*rooms: str) -> list[Path]:
    """The files of rooms of the library, such as "engine"."""
    return [file for room in rooms for file in sorted((LIBRARY / room).rglob("*.py"))]


def uses(file: Path) -> Iterator[Use]:
    """What a file takes from packages: its imports, and attributes of what it imported.

    Left out is what may be absent: what only type checkers or only some systems see, where ImportError is caught, and
    names that the file asks for by hasattr.
    """
    tree = ast.parse(file.read_text("utf-8"))
    optional = {inner for node in ast.walk(tree) for start in _optional(node) for inner in ast.walk(start)}
    nodes = [node for node in ast.walk(tree) if node not in optional]
    bound: dict[str, tuple[str, tuple[str, ...]]] = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in filter(lambda alias: _is_others(alias.name), node.names):
                yield Use(file, node.lineno, alias.name, ())
                top = alias.name.split(".")[0]
                bound[alias.asname or top] = (alias.name if alias.asname else top, ())
        elif isinstance(node, ast.ImportFrom) and not node.level and _is_others(node.module or ""):
            for alias in node.names:
                yield Use(file, node.lineno, node.module or "", (alias.name,))
                bound[alias.asname or alias.name] = (node.module or "", (alias.name,))
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    asked = {f"{of}.{name}" for function, of, name in map(_words, calls) if function == "hasattr"}
    else_given = {name for node in nodes for name in _given(node)}
    for node in nodes:
        if isinstance(node, ast.Attribute) and (words := ast.unparse(node)) not in asked:
            start, *names = words.split(".")
            if start in bound and start not in else_given and all(name.isidentifier() for name in names):
                module, before = bound[start]
                yield Use(file, node.lineno, module, (*before, *names))


def absent(use: Use) -> str:
    """What is wrong with a use in the versions at hand, as one line; "" if nothing is.

    Of instances nothing is known. A warning counts unless it says that a name will be gone one day: pydicom 2.4 warns
    that it means something else by a name than pydicom 3.
    """
    if use.top in TOLD and find_spec(use.top) is None:
        return ""
    try:
        found: Any = import_module(use.module)
    except Exception as error:  # a package that meets another in a version which it does not know can fail anyhow
        return _line(use, f"cannot be imported: {error}")
    for name in use.names:
        if not (ismodule(found) or isclass(found)):
            return ""
        try:
            found = _taken(found, name)
        except (AttributeError, ImportError):
            return _line(use, f"{name} is absent")
        except Warning as warning:
            return _line(use, str(warning))
    return ""


def _taken(owner: Any, name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for harmless in (DeprecationWarning, PendingDeprecationWarning, FutureWarning):
            warnings.simplefilter("ignore", harmless)
        try:
            return getattr(owner, name)
        except AttributeError:
            if not hasattr(owner, "__path__"):
                raise
    return import_module(f"{owner.__name__}.{name}")


def _optional(node: ast.AST) -> list[ast.stmt] | list[ast.expr]:
    """What of a node runs nowhere, not everywhere, or may fail."""
    if isinstance(node, ast.Try) and any(_words(handler.type)[0] == "ImportError" for handler in node.handlers):
        return [*node.body, *(statement for handler in node.handlers for statement in handler.body)]
    if isinstance(node, ast.IfExp) and "sys.platform" in ast.unparse(node.test):
        return [node.body, node.orelse]
    return node.body if isinstance(node, ast.If) and _words(node.test)[0] == "TYPE_CHECKING" else []


def _words(node: ast.AST | None) -> list[str]:
    """["hasattr", "a.b", "c"] of hasattr(a.b, "c"), ["", "", ""] of what is something else."""
    if isinstance(node, ast.Call) and len(node.args) == 2:
        return [ast.unparse(node.func), ast.unparse(node.args[0]), ast.unparse(node.args[1]).strip("'")]
    return [node.id if isinstance(node, ast.Name) else "", "", ""]


def _is_others(module: str) -> bool:
    top = module.split(".")[0]
    return top not in sys.stdlib_module_names and top not in {*SLICERS_OWN, LIBRARY.name}


def _given(node: ast.AST) -> tuple[str, ...]:
    """The name that becomes something else here than what was imported."""
    if isinstance(node, ast.arg):
        return (node.arg,)
    return (node.id,) if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load) else ()


def _line(use: Use, what: str) -> str:
    place = use.file.relative_to(MODULE) if use.file.is_relative_to(MODULE) else use.file.name
    owners = dict.fromkeys(packages_distributions().get(use.top, []))
    versions = ", ".join(f"{owner} {version(owner)}" for owner in owners) or "no package"
    return f"{place}:{use.line}: {'.'.join((use.module, *use.names))}: {what} ({versions})"


def _import(file: Path) -> str:
    """Why a file cannot be imported, "" if it can."""
    place = file.relative_to(MODULE)
    try:
        import_module(".".join(place.with_suffix("").parts).removesuffix(".__init__"))
    except ImportError as error:
        return f"{place}: {error}"
    return ""


def main(*rooms: str) -> int:
    """Import and look up all that runs in 3D Slicer, with the host's Qt; the number of names that are absent."""
    from ..host import modules

    modules.install()
    slicer.__path__.append(str(Path(__file__).parents[1] / "host" / "python"))
    sys.path.insert(0, str(MODULE))
    used = {file: list(uses(file)) for file in files_of(*rooms)}
    used = {file: names for file, names in used.items() if not OUTSIDE_SLICER & {name.top for name in names}}
    wrong = [fault for file in used if file.name != "__main__.py" and (fault := _import(file))]
    wrong += sorted({line for names in used.values() for use in names if (line := absent(use))})
    print(f"{len(used)} modules of {', '.join(rooms)} are imported; of what they take from packages is absent:")
    print("\n".join(wrong) or "nothing")
    return len(wrong)


if __name__ == "__main__":
    sys.exit(1 if main(*sys.argv[1:]) else 0)
