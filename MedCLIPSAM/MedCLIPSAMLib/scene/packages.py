"""The Python packages that 3D Slicer does not ship: which are missing, and installing them around its own."""

from __future__ import annotations

import importlib
import re
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path
from tempfile import TemporaryDirectory

import slicer


def missing_packages(requirements: str | Path) -> list[str]:
    """The lines of a requirements file, such as "timm>=1.0", whose package is not installed."""
    importlib.invalidate_caches()
    lines = Path(requirements).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#") and not _installed(line)]


def install_packages(requirements: list[str]) -> None:
    """Install packages; those that are there, 3D Slicer's among them, keep their version.

    PyTorch comes through 3D Slicer's PyTorch extension where that is installed, which picks the build for
    the graphics card.

    Raises:
        Exception: what pip or the PyTorch extension raises; its output is in the application log.
    """
    if any(_name(line) == "torch" for line in requirements):
        try:
            from PyTorchUtils import PyTorchUtilsLogic  # pyright: ignore[reportMissingImports]
        except ImportError:
            pass  # pip brings a build that runs anywhere
        else:
            PyTorchUtilsLogic().installTorch(askConfirmation=False)
    with TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text("".join(f"{package}\n" for package in _frozen()), encoding="utf-8")
        slicer.util.pip_install(["--constraint", str(constraints), *requirements])
    importlib.invalidate_caches()


def _frozen() -> list[str]:
    found = {package.metadata["Name"]: package.version for package in distributions()}
    return sorted(f"{name}=={version}" for name, version in found.items() if name)


def _installed(line: str) -> bool:
    try:
        return bool(version(_name(line)))
    except PackageNotFoundError:
        return False


def _name(line: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", line)
    return found.group() if found else line
