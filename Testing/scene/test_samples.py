"""What the module offers in Sample Data."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from MedCLIPSAMLib.scene.samples import SAMPLES, register_samples


def test_samples_are_found_by_their_checksums(monkeypatch: pytest.MonkeyPatch):
    registered: list[dict[str, Any]] = []

    def register(*, category, sampleName, uris, fileNames, nodeNames, checksums, thumbnailFileName) -> None:
        assert Path(thumbnailFileName).is_file()
        registered.append({"category": category, "name": sampleName, "uri": uris, "checksum": checksums})

    module = ModuleType("SampleData")
    vars(module)["SampleDataLogic"] = SimpleNamespace(registerCustomSampleDataSource=register)
    monkeypatch.setitem(sys.modules, "SampleData", module)
    register_samples()
    assert [entry["name"] for entry in registered] == [sample.name for sample in SAMPLES]
    for entry in registered:
        kind, checksum = entry["checksum"].split(":")
        assert (kind, len(bytes.fromhex(checksum))) == ("SHA256", 32)
        assert entry["uri"] == f"https://github.com/Slicer/SlicerTestingData/releases/download/SHA256/{checksum}"
