"""What all tests share: the package on the path, and the optional folder of larger test data."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent

if find_spec("MedCLIPSAMLib") is None:
    sys.path.insert(0, str(REPOSITORY / "MedCLIPSAM"))


@pytest.fixture(scope="session")
def shared() -> Path | None:
    """Clinical volumes and reference cases: $MEDCLIPSAM_SHARED, or the folder beside the repository."""
    folder = Path(os.environ.get("MEDCLIPSAM_SHARED", REPOSITORY.parent / "shared"))
    return folder if folder.is_dir() else None


@pytest.fixture(autouse=True)
def model_store(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store of models, whatever this computer has."""
    folder = tmp_path_factory.mktemp("models")
    monkeypatch.setenv("MEDCLIPSAM_MODELS", str(folder))
    return folder
