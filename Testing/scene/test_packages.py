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
    assert f"simpleitk=={version('SimpleITK')}\n" in constraints


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages before all others."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return folder


def record(site: Path, name: str, version: str, module: str = "") -> None:
    """What pip leaves of an installed package."""
    folder = site / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    if module:
        (site / f"{module}.py").touch()
    (folder / "RECORD").write_text(f"{module}.py,,\n" if module else "")


@pytest.mark.row("slicer-two-copies")
def test_of_two_copies_the_one_that_is_imported_is_kept(pip, site: Path, monkeypatch: pytest.MonkeyPatch):
    """As of a package that the user has once more, in a folder of his own."""
    behind = site.with_name("behind")
    behind.mkdir()
    monkeypatch.syspath_prepend(str(behind))
    monkeypatch.syspath_prepend(str(site))
    record(behind, "two.copies", "1.5")
    record(site, "Two_Copies", "1.10")
    install_packages(["timm"])
    assert pip[0][1].count("two-copies") == 1
    assert "two-copies==1.10\n" in pip[0][1]
    file = site / "requirements.txt"
    file.write_text("two-copies>=1.6\n")
    assert missing_packages(file) == outdated_packages(file) == []


def test_what_pip_cannot_read_is_left_out(pip, site: Path):
    """A removal that Windows did not let happen, and a build without a version that is one."""
    record(site, "~umpy", "1.0")
    (site / "~umpy-1.0.dist-info" / "METADATA").write_text("Name: numpy\nVersion: 1.0\n")
    record(site, "unfinished", "local")
    install_packages(["timm"])
    assert f"numpy=={version('numpy')}\n" in pip[0][1]
    assert "unfinished" not in pip[0][1]


@pytest.mark.row("slicer-restart")
def test_packages_that_were_in_use_in_another_version_are_told(pip, site: Path, monkeypatch: pytest.MonkeyPatch):
    record(site, "in-use", "1.0", "in_use")
    record(site, "not-in-use", "1.0", "not_in_use")
    record(site, "kept", "1.0", "kept")
    for module in ("in_use", "once_there", "kept"):
        monkeypatch.setitem(sys.modules, module, ModuleType(module))

    def install(arguments: list[str]) -> None:
        for name in ("in_use", "not_in_use"):
            (site / f"{name}-1.0.dist-info").rename(site / f"{name}-2.0.dist-info")
            metadata = site / f"{name}-2.0.dist-info" / "METADATA"
            metadata.write_text(metadata.read_text().replace("1.0", "2.0"))
        record(site, "new", "1.0", "new")
        record(site, "once-there", "1.0", "once_there")
        monkeypatch.setitem(sys.modules, "new", ModuleType("new"))  # imported after it was installed

    monkeypatch.setattr(slicer.util, "pip_install", install)
    assert install_packages(["timm"]) == ["in-use", "once-there"]


@pytest.fixture
def pytorch_extension(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """What 3D Slicer's PyTorch extension is asked to do."""
    asked: list[dict[str, object]] = []

    def install(
        askConfirmation: bool = False,
        forceComputationBackend: str | None = None,
        torchVersionRequirement: str | None = None,
        torchvisionVersionRequirement: str | None = None,
    ) -> None:
        asked.append({key: value for key, value in locals().items() if key != "asked" and value is not None})

    extension = ModuleType("PyTorchUtils")
    vars(extension)["PyTorchUtilsLogic"] = lambda: SimpleNamespace(installTorch=install)
    monkeypatch.setitem(sys.modules, "PyTorchUtils", extension)
    return asked


def test_torch_comes_through_slicers_extension_in_the_version_that_is_needed(pip, pytorch_extension):
    install_packages(["timm"])
    assert pytorch_extension == []
    install_packages(["torch>=2.2", "torchvision>=0.17", "timm"])
    install_packages(["torch>=2.2", "timm"])
    both = {"torchVersionRequirement": ">=2.2", "torchvisionVersionRequirement": ">=0.17"}
    assert pytorch_extension == [
        {"askConfirmation": False, **both},
        {"askConfirmation": False, "torchVersionRequirement": ">=2.2"},
    ]


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

    def pip_ensure(
        requirements: list[str], constraints: Path, *, prompt_install: bool, prompt_restart: bool, requester: str
    ) -> None:
        asked.append((requirements, "numpy==" in constraints.read_text(), prompt_install, prompt_restart, requester))

    module = ModuleType("slicer.packaging")
    vars(module)["pip_ensure"] = pip_ensure
    monkeypatch.setitem(sys.modules, "slicer.packaging", module)
    install_packages(["timm>=1.0.17"])
    assert asked == [(["timm>=1.0.17"], True, False, False, "MedCLIP-SAM")]
    assert not pip
