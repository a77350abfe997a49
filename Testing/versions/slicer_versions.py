"""The packages of each 3D Slicer in an environment of its own, and our tests in it: `make slicer-versions`.

An environment has, in this order: what that 3D Slicer ships (slicer_versions.toml); what the panel's button installs
around it; PyTorch, VTK and 3D Slicer's own libraries, as links to those of the environment of this program. There all
of the library is imported but the command line. Then the rest of this program's environment comes behind, which the
command line and the tests need, and the tests run.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pyright: ignore[reportMissingImports]  # pytest brings it

REPOSITORY = Path(__file__).parents[2]
TABLE = Path(__file__).with_name("slicer_versions.toml")
ENVIRONMENTS = REPOSITORY / ".slicer"
_MODULE = REPOSITORY / "MedCLIPSAM"
_REQUIREMENTS, _CONSTRAINTS = _MODULE / "Resources" / "requirements.txt", REPOSITORY / "constraints.txt"
_SITE = Path(sysconfig.get_path("purelib"))
# Of gigabytes, or in one build only; no 3D Slicer says which it ships.
_SHARED = re.compile(r"torch|torchvision|triton|nvidia-.*|cuda-.*|vtk|slicer-.*|pyside6-.*|shiboken6")
_BEHIND = "MEDCLIPSAM_BEHIND"  # environment variable: a folder of packages that come last

ALL = (["Testing/scene"], ["Testing/panel"])
# Where versions show: what reads files and installs packages, and of the panel one way through all of it, by a preview,
# an edit, a run, undo, and files. The rest of its suite is about people and faults, the same with all versions.
QUICK = (
    ["Testing/scene/dicom", "Testing/scene/files", "Testing/scene/test_volumes.py", "Testing/scene/test_packages.py"],
    ["Testing/panel/test_panel.py", "-k", "from_a_typed_word or saved_and_reopened or exported or library"],
)


@dataclass(frozen=True)
class Slicer:
    """A row of the table.

    Attributes:
        release, source: its number, and where its build files are.
        python, vtk: versions that it ships and that an environment here does not have.
        packages: version by name.
    """

    release: str
    source: str
    python: str
    vtk: str
    packages: dict[str, str]


def read_table() -> dict[str, Slicer]:
    """Each 3D Slicer by the name that it has in the table, the oldest first."""
    table, found = tomllib.loads(TABLE.read_text("utf-8")), {}
    for name, row in table.items():
        files = table[row.get("packages_as", name)]["packages"].values()
        packages = {package: version for file in files for package, version in file.items()}
        found[name] = Slicer(row["release"], row["source"], row["python"], row["vtk"], packages)
    return found


def canonical(name: str) -> str:
    """A package's name as pip compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def install_pins(pip: Callable[[list[str]], bool], packages: dict[str, str]) -> None:
    """Install packages; of one that has no wheel for this Python, the nearest older version that has, or a newer one.

    Args:
        pip: installs what lines such as "numpy==2.0.2" say, or returns False.
        packages: version by name.

    Raises:
        LookupError: if no version of a package can be installed.
    """
    if pip([f"{name}=={version}" for name, version in packages.items()]):
        return
    for name, version in packages.items():
        if not any(pip([f"{name}{sign}{version}"]) for sign in ("==", "<", ">")):
            raise LookupError(f"No version of {name} can be installed.")


class Environment:
    """A virtual environment with the packages of one 3D Slicer, in a folder of ENVIRONMENTS of its name."""

    def __init__(self, name: str, slicer: Slicer) -> None:
        self.folder, self.slicer = ENVIRONMENTS / name, slicer

    def make(self) -> None:
        """Make it, unless it is there already as it would be made now.

        Raises:
            LookupError, subprocess.CalledProcessError: if something cannot be installed.
        """
        made_of = self.folder / "made_of.txt"
        texts = (
            sys.version,
            str(self.slicer.packages),
            *(file.read_text("utf-8") for file in (_REQUIREMENTS, _CONSTRAINTS)),
        )
        if made_of.exists() and made_of.read_text("utf-8") == "\n".join(texts):
            return
        venv.create(self.folder, clear=True, symlinks=True, with_pip=True)
        install_pins(self._pip, self.slicer.packages)
        (site,) = self.folder.glob("lib/python*/site-packages")
        shared, library = self.folder / "shared", self.folder / "library"
        _link_shared(shared)
        (site / "zz1.pth").write_text(f"{shared}\n")
        (site / "zz2.pth").write_text(f"import os, sys; sys.path += filter(None, [os.environ.get({_BEHIND!r})])\n")
        (self.folder / "bin" / "PythonSlicer").symlink_to("python")  # the name by which 3D Slicer's own Python runs pip
        # Else a new release of some package would be tried with each run, and fail it one day without a change here.
        ours = self.folder / "constraints.txt"
        ours.write_text("".join(f"{line}\n" for line in _lines_without(_CONSTRAINTS, self.slicer.packages)))
        library.mkdir()  # alone, without the record of its installation, of whose needs pip would warn
        (library / "MedCLIPSAMLib").symlink_to(_MODULE / "MedCLIPSAMLib")
        variables = {"PYTHONPATH": str(library), "PIP_CONSTRAINT": str(ours), "PIP_QUIET": "2"}
        self.run(["-m", "Testing.versions.installed", "install", str(_REQUIREMENTS)], variables)
        made_of.write_text("\n".join(texts), "utf-8")

    def run(self, arguments: list[str], variables: dict[str, str] | None = None) -> None:
        """Run its Python in the repository with some environment variables more.

        Raises:
            subprocess.CalledProcessError: if it fails.
        """
        print("+ python", *arguments, flush=True)
        environment = {**os.environ, "PYTHONPATH": str(_MODULE), **(variables or {})}
        subprocess.run([self.folder / "bin" / "python", *arguments], check=True, cwd=REPOSITORY, env=environment)

    def _pip(self, lines: list[str]) -> bool:
        command = [self.folder / "bin" / "python", "-m", "pip", "install", "-qq", "--no-deps", "--only-binary", ":all:"]
        return subprocess.run([*command, *lines], check=False).returncode == 0


def _link_shared(folder: Path) -> None:
    """Links to the large packages of the environment that runs this."""
    folder.mkdir()
    for package in distributions(path=[str(_SITE)]):
        if _SHARED.fullmatch(canonical(package.metadata["Name"])):
            for name in {file.parts[0] for file in package.files or ()} - {"..", "__pycache__"}:
                if not (folder / name).exists():
                    (folder / name).symlink_to(_SITE / name)


def _lines_without(constraints: Path, packages: Iterable[str]) -> list[str]:
    """The lines of a constraints file that are about other packages."""
    left_out = set(map(canonical, packages))
    lines = constraints.read_text("utf-8").splitlines()
    return [line for line in lines if canonical(re.split("[=<> ;#]", line)[0]) not in left_out]


def try_all(name: str, slicer: Slicer, tests: Iterable[list[str]]) -> list[str]:
    """Imports and tests with the packages of one 3D Slicer; what failed."""
    here = platform.python_version()
    print(f"\n=== 3D Slicer {slicer.release} ({slicer.source})", flush=True)
    print(f"Python {slicer.python} there, {here} here; VTK {slicer.vtk} there, that of slicer-core here. What differs")
    print("between these, and 3D Slicer's own compiled parts, only 3D Slicer itself can show.", flush=True)
    environment, failed, behind = Environment(name, slicer), [], {_BEHIND: str(_SITE)}
    environment.make()
    steps: list[tuple[list[str], dict[str, str]]] = [
        (["-m", "Testing.versions.third_party", "engine", "scene", "panel"], {}),
        (["-m", "Testing.versions.third_party", "cli"], behind),
        (["-m", "Testing.versions.installed", "show", *map("==".join, slicer.packages.items())], behind),
        *((["-m", "pytest", "-q", "-p", "no:cacheprovider", *paths], behind) for paths in tests),
    ]
    for arguments, variables in steps:
        try:
            environment.run(arguments, variables)
        except subprocess.CalledProcessError as error:
            failed.append(f"{name}: python {' '.join(arguments[:3])} ... ended with {error.returncode}")
    return failed


def main() -> int:
    """Try the versions that are asked for; the number of steps that failed."""
    table = read_table()
    parser = argparse.ArgumentParser(description="Our tests with the packages of each 3D Slicer.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(table)}; all if none is given")
    parser.add_argument("--quick", action="store_true", help="only those tests in which versions show")
    options = parser.parse_args()
    failed, tried = [], {}
    for name in options.names or table:
        packages = str(table[name].packages)
        if packages in tried:
            print(f"\n=== 3D Slicer {table[name].release} has the packages of {tried[packages]}, which were tried.")
        else:
            failed += try_all(name, table[name], QUICK if options.quick else ALL)
            tried[packages] = table[name].release
    print("\n".join(failed) or f"Nothing failed with the packages of 3D Slicer {', '.join(tried.values())}.")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
