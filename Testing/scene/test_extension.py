"""The entry of the extensions' index, against its schema (version 1.0.1) and the build files."""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_entry_of_the_index_agrees_with_the_build_files():
    entry = json.loads((ROOT / "MedCLIPSAM.json").read_text("utf-8"))
    build = (ROOT / "CMakeLists.txt").read_text("utf-8")
    known = {"$schema", "build_dependencies", "build_subdirectory", "category", "enabled"}
    assert set(entry) <= known | {"scm_revision", "scm_type", "scm_url", "tier"}
    assert entry["$schema"].endswith("/slicer-extension-catalog-entry-schema-v1.0.1.json#")
    assert (entry["tier"], entry["scm_type"]) == (3, "git")
    assert "://" in entry["scm_url"]
    assert "slicer" in entry["scm_url"].rsplit("/", 1)[1].lower()
    assert "project(MedCLIPSAM)" in build
    assert f'set(EXTENSION_CATEGORY "{entry["category"]}")' in build
    (depends,) = re.findall(r'set\(EXTENSION_DEPENDS "([^"]*)"\)', build)
    assert entry["build_dependencies"] == depends.split(";")
