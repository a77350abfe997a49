"""The Python packages that 3D Slicer does not ship: which are missing or too old; installed around its own."""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import PackageNotFoundError, distributions, packages_distributions, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import slicer

if TYPE_CHECKING:
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name
else:
    try:
        from packaging.requirements import InvalidRequirement, Requirement
        from packaging.utils import canonicalize_name
    except ImportError:  # 3D Slicer always has pip, and pip a copy of its own
        from pip._vendor.packaging.requirements import InvalidRequirement, Requirement
        from pip._vendor.packaging.utils import canonicalize_name

_PYTORCH = ("torch", "torchvision")


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


def install_packages(requirements: list[str]) -> list[str]:
    """Install packages; those that are there, 3D Slicer's among them, keep their version.

    PyTorch comes through 3D Slicer's PyTorch extension where that is installed, which picks the build for
    the graphics card. Newer versions of 3D Slicer show progress.

    Returns:
        Packages whose modules were loaded before, from another version: they stay so until 3D Slicer is restarted.

    Raises:
        Exception: what pip or the PyTorch extension raises; its output is in the application log.
    """
    before, loaded = _there(), set(sys.modules)
    wanted = {requirement.name: requirement.specifier for requirement in map(Requirement, requirements)}
    if "torch" in wanted:
        try:
            from PyTorchUtils import PyTorchUtilsLogic  # pyright: ignore[reportMissingImports]
        except ImportError:
            pass  # pip brings a build that runs anywhere
        else:
            needed = {f"{name}VersionRequirement": str(wanted[name]) for name in _PYTORCH if name in wanted}
            PyTorchUtilsLogic().installTorch(askConfirmation=False, **needed)
    with TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text("".join(f"{line}\n" for line in _pins(_there())), encoding="utf-8")
        try:
            from slicer.packaging import pip_ensure  # pyright: ignore[reportMissingImports]
        except ImportError:  # before 3D Slicer 5.11
            slicer.util.pip_install(["--constraint", str(constraints), *requirements])
        else:
            # The user has been asked by the button, and is asked to restart by the panel, after PyTorch, too.
            asked = {"prompt_install": False, "prompt_restart": False}
            pip_ensure(requirements, constraints=constraints, requester="MedCLIP-SAM", **asked)
    return _replaced(before, _there(), loaded)


def _there() -> dict[str, str]:
    """The version of each package by name; of two copies that of the first on sys.path, which is imported."""
    importlib.invalidate_caches()
    names = {canonicalize_name(name) for package in distributions() if (name := package.metadata["Name"])}
    return {name: there for name in sorted(names) if (there := _installed(name))}


def _pins(there: dict[str, str]) -> list[str]:
    """Lines for pip, less those of versions that are none, such as of a broken build: pip would refuse all lines."""
    pins = []
    for name, found in there.items():
        try:
            pins.append(str(Requirement(f"{name}=={found}")))
        except InvalidRequirement:
            continue
    return pins


def _replaced(before: dict[str, str], after: dict[str, str], loaded: set[str]) -> list[str]:
    """Packages of another version, or installed anew, of which modules had been loaded."""
    changed = {name for name, found in after.items() if before.get(name) != found}
    owners = [names for module, names in packages_distributions().items() if module in loaded]
    return sorted(changed & {canonicalize_name(name) for names in owners for name in names})


def _versions(requirements: str | Path) -> list[tuple[Requirement, str | None]]:
    """What a requirements file asks for, and the version that is installed, None for none."""
    importlib.invalidate_caches()
    lines = Path(requirements).read_text(encoding="utf-8").splitlines()
    wanted = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return [(requirement, _installed(requirement.name)) for requirement in wanted]


def _installed(name: str) -> str | None:
    """The version of the first copy on sys.path; None where a removed package left a broken record."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
