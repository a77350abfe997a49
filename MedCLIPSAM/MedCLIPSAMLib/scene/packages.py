"""The Python packages that 3D Slicer does not ship: which are missing or too old; installed around its own."""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import slicer

if TYPE_CHECKING:
    from packaging.requirements import Requirement
else:
    try:
        from packaging.requirements import Requirement
    except ImportError:  # 3D Slicer always has pip, and pip a copy of its own
        from pip._vendor.packaging.requirements import Requirement


def missing_packages(requirements: str | Path) -> list[str]:
    """The lines of a requirements file, such as "timm>=1.0", whose package is not installed."""
    return [str(wanted) for wanted, there in _versions(requirements) if there is None]


def outdated_packages(requirements: str | Path) -> list[str]:
    """The packages of a requirements file that are there in a version it does not allow.

    They are told and not replaced: whoever installed them, such as another extension, may need that version.

    Returns:
        Texts such as "timm 0.9.16 (timm>=1.0 is needed)".
    """
    return [
        f"{wanted.name} {there} ({wanted} is needed)"
        for wanted, there in _versions(requirements)
        if there is not None and not wanted.specifier.contains(there, prereleases=True)
    ]


def install_packages(requirements: list[str]) -> None:
    """Install packages; those that are there, 3D Slicer's among them, keep their version.

    PyTorch comes through 3D Slicer's PyTorch extension where that is installed, which picks the build for
    the graphics card. Newer versions of 3D Slicer show progress and ask for a restart if one is needed.

    Raises:
        Exception: what pip or the PyTorch extension raises; its output is in the application log.
    """
    if any(Requirement(line).name == "torch" for line in requirements):
        try:
            from PyTorchUtils import PyTorchUtilsLogic  # pyright: ignore[reportMissingImports]
        except ImportError:
            pass  # pip brings a build that runs anywhere
        else:
            PyTorchUtilsLogic().installTorch(askConfirmation=False)
    with TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text("".join(f"{package}\n" for package in _frozen()), encoding="utf-8")
        try:
            from slicer.packaging import pip_ensure  # pyright: ignore[reportMissingImports]
        except ImportError:  # before 3D Slicer 5.11
            slicer.util.pip_install(["--constraint", str(constraints), *requirements])
        else:
            # The user has been asked by the button.
            pip_ensure(requirements, constraints=constraints, prompt_install=False, requester="MedCLIP-SAM")
    importlib.invalidate_caches()


def _frozen() -> list[str]:
    found = {package.metadata["Name"]: package.version for package in distributions()}
    return sorted(f"{name}=={version}" for name, version in found.items() if name)


def _versions(requirements: str | Path) -> list[tuple[Requirement, str | None]]:
    """What a requirements file asks for, and the version that is installed, None for none."""
    importlib.invalidate_caches()
    lines = Path(requirements).read_text(encoding="utf-8").splitlines()
    wanted = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return [(requirement, _installed(requirement.name)) for requirement in wanted]


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
