from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from MedCLIPSAMLib.engine.errors import MedCLIPSAMError
from MedCLIPSAMLib.engine.files import resources

REPOSITORY = Path(__file__).resolve().parents[3]


def test_resources_lie_beside_the_package_in_slicer() -> None:
    assert resources.resource(".") == REPOSITORY / "MedCLIPSAM" / "Resources"


def test_a_missing_file_is_named() -> None:
    with pytest.raises(MedCLIPSAMError, match=r"Resources/dragon\.bin is missing"):
        resources.resource("dragon.bin")


def test_a_wheel_carries_code_and_resources(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(REPOSITORY / "MedCLIPSAM", source / "MedCLIPSAM", ignore=shutil.ignore_patterns("*.egg-info"))
    for file in ("pyproject.toml", "setup.py", "LICENSE"):
        shutil.copy(REPOSITORY / file, source)
    (source / "README.md").touch()
    prompts = source / "MedCLIPSAM" / "Resources" / "Prompts"
    prompts.mkdir(parents=True, exist_ok=True)
    (prompts / "test.json").write_text("{}")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
    ]
    subprocess.run([*pip, str(tmp_path), str(source)], check=True)
    with ZipFile(next(tmp_path.glob("medclipsam-*.whl"))) as wheel:
        wheel.extractall(tmp_path / "site")
    find = "from MedCLIPSAMLib.engine.files.resources import resource; print(resource('Prompts/test.json'))"
    found = subprocess.run(
        [sys.executable, "-P", "-c", find] if sys.version_info >= (3, 11) else [sys.executable, "-c", find],
        env={"PYTHONPATH": str(tmp_path / "site")},
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    assert Path(found.stdout.strip()) == tmp_path / "site" / "MedCLIPSAMLib" / "Resources" / "Prompts" / "test.json"
