"""What is missing is named, and is installed without touching what is there."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import slicer

from MedCLIPSAMLib.engine.files.resources import resource
from MedCLIPSAMLib.scene import packages
from MedCLIPSAMLib.scene.packages import install_packages, missing_packages, outdated_packages

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What pip is asked to do; the constraints file replaced by its lines."""
    asked: list[list[str]] = []

    def install(arguments: list[str]) -> None:
        option, constraints, *rest = arguments
        asked.append([option, Path(constraints).read_text(), *rest])

    monkeypatch.setattr(slicer.util, "pip_install", install)
    return asked


def test_missing_packages_are_named(tmp_path: Path):
    file = tmp_path / "requirements.txt"
    file.write_text("# a comment\n\nnumpy>=1.26\nno-such-package-xyz>=2\nscikit-image\n")
    assert missing_packages(file) == ["no-such-package-xyz>=2"]


def test_packages_which_are_too_old_are_told_and_not_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    there = {"timm": "0.9.16", "torch": "2.4.0+cu121", "scikit-image": "0.22.0"}
    monkeypatch.setattr(packages, "version", there.__getitem__)
    file = tmp_path / "requirements.txt"
    file.write_text("timm>=1.0.17\ntorch>=2.4\nscikit-image\n")
    assert outdated_packages(file) == ["timm 0.9.16 (timm>=1.0.17 is needed)"]
    assert missing_packages(file) == []


def test_installed_packages_keep_their_version(pip):
    install_packages(["timm>=1.0"])
    ((option, constraints, *rest),) = pip
    assert (option, rest) == ("--constraint", ["timm>=1.0"])
    assert f"numpy=={version('numpy')}\n" in constraints
    assert f"SimpleITK=={version('SimpleITK')}\n".casefold() in constraints.casefold()


def test_torch_comes_through_slicers_extension_where_it_is(pip, monkeypatch: pytest.MonkeyPatch):
    asked = []
    extension = ModuleType("PyTorchUtils")
    logic = SimpleNamespace(installTorch=lambda **options: asked.append(options))
    monkeypatch.setattr(extension, "PyTorchUtilsLogic", lambda: logic, raising=False)
    monkeypatch.setitem(sys.modules, "PyTorchUtils", extension)
    install_packages(["timm"])
    assert asked == []
    install_packages(["torch>=2.4", "timm"])
    assert asked == [{"askConfirmation": False}]


def test_requirements_are_those_of_the_project():
    lines = resource("requirements.txt").read_text().splitlines()
    wanted = [line for line in lines if not line.startswith("#")]
    project = (REPOSITORY / "pyproject.toml").read_text()
    assert wanted
    assert [line for line in wanted if f'"{line}"' not in project] == []
    assert missing_packages(resource("requirements.txt")) == []
    assert outdated_packages(resource("requirements.txt")) == []


def test_newer_versions_of_slicer_have_their_own_way(pip, monkeypatch: pytest.MonkeyPatch):
    asked = []

    def pip_ensure(requirements: list[str], constraints: Path, *, prompt_install: bool, requester: str) -> None:
        asked.append((requirements, "numpy==" in constraints.read_text(), prompt_install, requester))

    module = ModuleType("slicer.packaging")
    vars(module)["pip_ensure"] = pip_ensure
    monkeypatch.setitem(sys.modules, "slicer.packaging", module)
    install_packages(["timm>=1.0.17"])
    assert asked == [(["timm>=1.0.17"], True, False, "MedCLIP-SAM")]
    assert not pip
