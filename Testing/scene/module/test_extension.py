"""The entry of the extensions' index, against its schema (version 1.0.1) and the build files."""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


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


# How names in the scene begin that a module of 3D Slicer makes usable: registers, displays, lists or gives a logic to.
MODULES = {
    "Markups": r"vtkMRMLMarkups",
    "Segmentations": r"vtkMRMLSegmentation|vtkSegment|modules\.segmentations",
    "Sequences": r"vtkMRMLSequence",
    "SubjectHierarchy": r"vtkMRMLSubjectHierarchy|qMRMLSubjectHierarchy",
    "Terminologies": r"vtkSlicerTerminolog|modules\.terminologies",
    "Volumes": r"vtkMRMLScalarVolume|vtkMRMLVectorVolume|vtkMRMLLabelMapVolume",
    "Models": r"vtkMRMLModel",
    "Tables": r"vtkMRMLTable",
    "Plots": r"vtkMRMLPlot",
    "VolumeRendering": r"vtkMRMLVolumeRendering",
    "SegmentEditor": r"vtkMRMLSegmentEditor|qMRMLSegmentEditor",
    "DICOM": r"import DICOMLib|slicer\.dicomDatabase",
}


def test_the_module_depends_on_all_modules_that_it_uses():
    folder = ROOT / "MedCLIPSAM"
    sources = "".join(path.read_text("utf-8") for path in folder.rglob("*.py"))
    sources += (folder / "Resources" / "UI" / "MedCLIPSAM.ui").read_text("utf-8")
    (listed,) = re.findall(r"parent\.dependencies = \[(.*?)\]", sources, flags=re.DOTALL)
    used = {name for name, pattern in MODULES.items() if re.search(pattern, sources)}
    assert set(re.findall(r'"(\w+)"', listed)) == used
    others = set(re.findall(r"slicer\.modules\.(\w+)", sources)) - {name.lower() for name in used}
    assert others <= {"dicomPlugins"}, "it is looked for and not needed"
