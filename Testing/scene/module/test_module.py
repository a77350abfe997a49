"""The module as far as it goes without Qt: it loads, its logic and self-test run, its .ui file fits it."""

from __future__ import annotations

import ast
import gc
import re
import subprocess
import sys
import typing
import weakref
import xml.etree.ElementTree as ET
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import slicer
from PIL import Image

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.engine.prompt.prompt import Prompt, PromptSet
from MedCLIPSAMLib.scene.segmentation.segments import create_segmentation

from ...engine.fakes import GreyClip, GreySegmenter
from .. import grids
from .slicer_python import MODULE, load_module, make_parent

RESOURCES = MODULE.parent / "Resources"
SCRIPTS = [MODULE, *(MODULE.parent / "MedCLIPSAMLib" / "panel").glob("*.py")]


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module with stand-in models: "bright" means the brightest grey."""
    loaded = load_module(monkeypatch)
    monkeypatch.setattr(loaded.MedCLIPSAMLogic, "_loadModels", lambda self: (GreyClip(), GreySegmenter()))
    return loaded


@pytest.fixture
def node() -> Any:
    array = np.zeros((12, 64, 64), np.int16)
    array[:, 6:58, 6:58] = 80
    array[3:9, 20:40, 16:36] = 200
    return slicer.util.addVolumeFromArray(array, np.diag([-2.0, -2, 3, 1]), "bar")


def test_module_describes_itself(module, monkeypatch):
    parent = make_parent()
    monkeypatch.setattr(slicer, "app", SimpleNamespace(connect=lambda *_: None), raising=False)
    module.MedCLIPSAM(parent)
    assert parent.title == "MedCLIP-SAM"
    assert parent.categories == ["Segmentation"]
    assert parent.contributors
    for cited in ("MedCLIP-SAMv2", "BiomedCLIP", "M2IB", "Segment Anything", "MedSAM"):
        assert cited in parent.acknowledgementText


def test_self_test_passes(module):
    test = module.MedCLIPSAMTest()
    test.runTest()
    assert test.messages == [
        "The segment covers the voxels of its mask.",
        "The chain ran from prompt to segment.",
    ]


def test_self_test_says_what_it_lacks(module, monkeypatch):
    monkeypatch.setattr(module.MedCLIPSAMLogic, "missingPackages", lambda self: ["timm>=1.0"])
    test = module.MedCLIPSAMTest()
    test.runTest()
    assert test.messages == ["Not tested: install these Python packages first: timm>=1.0."] * 2


def test_logic_segments(module, node):
    logic = module.MedCLIPSAMLogic()
    segmentation_node = create_segmentation(node)
    heard = []
    (result,) = logic.process(node, "bright", segmentation_node, progress=heard.append)
    assert result.found
    assert heard
    assert segmentation_node.GetSegmentation().GetNumberOfSegments() == 1
    logic.process(node, PromptSet((Prompt.parse("mid"), Prompt.parse("bright"))), segmentation_node)
    assert segmentation_node.GetSegmentation().GetNumberOfSegments() == 2
    with pytest.raises(InputError, match="empty"):
        logic.process(node, "  ", segmentation_node)
    with pytest.raises(InputError, match="no image data"):
        logic.process(None, "bright", segmentation_node)


def test_logic_looks_again_only_when_the_volume_changed(module, node):
    logic = module.MedCLIPSAMLogic()
    sessions = [logic._openSession(node) for _ in range(2)]
    slicer.util.arrayFromVolume(node)[0] = 0
    slicer.util.arrayFromVolumeModified(node)
    sessions.append(logic._openSession(node))
    node.SetAndObserveTransformNodeID(grids.transform_node(grids.TRANSFORMS["rigid"]).GetID())
    sessions.append(logic._openSession(node))
    assert [sessions.index(session) for session in sessions] == [0, 0, 2, 3]


def test_logic_lets_go_of_a_volume_that_is_removed(module, node):
    other = grids.volume_node()
    logic = module.MedCLIPSAMLogic()
    opened = weakref.ref(logic._openSession(node))
    slicer.mrmlScene.RemoveNode(other)
    assert logic._openSession(node) is opened(), "only its own volume closes a session"
    slicer.mrmlScene.RemoveNode(node)
    gc.collect()
    assert opened() is None
    assert logic._removalObserver is None


def test_module_is_imported_before_its_packages_are_installed(module):
    """3D Slicer has to show the Install button while torch and the others are missing."""
    missing = ["torch", "skimage", "sklearn", "timm", "open_clip", "tokenizers", "safetensors"]
    code = f"""
import sys
for name in {missing!r}:
    sys.modules[name] = None
import pytest
sys.path[:0] = [{str(MODULE.parent)!r}, {str(MODULE.parents[1])!r}]
from Testing.scene.module.slicer_python import load_module
module = load_module(pytest.MonkeyPatch())
assert module.MedCLIPSAMLogic().missingPackages() == []
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_ui_file_names_what_the_module_uses(module):
    tree = ET.parse(RESOURCES / "UI" / "MedCLIPSAM.ui")
    names = [widget.get("name") for widget in tree.iter("widget")]
    assert len(names) == len(set(names))
    used = re.findall(r"\bui\.(\w+)", "".join(file.read_text() for file in SCRIPTS))
    assert set(used) - {"py"} <= set(names)
    classes = {widget.get("class") for widget in tree.iter("widget")}
    declared = {element.findtext("class") for element in tree.iter("customwidget")}
    assert {name for name in classes if name and not name.startswith("Q")} == declared


def test_ui_file_is_bound_to_the_parameter_node(module):
    tree = ET.parse(RESOURCES / "UI" / "MedCLIPSAM.ui")
    bound = {
        element.findtext("string") for element in tree.iter("property") if element.get("name") == "SlicerParameterName"
    }
    assert bound < set(typing.get_type_hints(module.MedCLIPSAMParameterNode)), "the others are kept by the panel"
    selectors = {w.get("name") for w in tree.iter("widget") if w.get("class") == "qMRMLNodeComboBox"}
    connected = {element.findtext("receiver") for element in tree.iter("connection")}
    assert selectors <= connected


def test_every_text_of_the_panel_is_translated():
    """No text reaches a label but through `_()`, by way of a name, or as an error's own sentence."""
    for script in SCRIPTS:
        for statement in ast.walk(ast.parse(script.read_text())):
            if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]).endswith(".text"):
                assert not isinstance(statement.value, ast.Constant | ast.JoinedStr) or not statement.value.value  # type: ignore[union-attr]


def test_files_that_slicer_needs_are_there():
    icon = Image.open(RESOURCES / "Icons" / "MedCLIPSAM.png")
    assert icon.size == (128, 128)
    assert icon.mode == "RGBA"
    extension = (MODULE.parents[1] / "CMakeLists.txt").read_text()
    for name in ("HOMEPAGE", "CATEGORY", "CONTRIBUTORS", "DESCRIPTION", "ICONURL", "SCREENSHOTURLS", "DEPENDS"):
        assert f"set(EXTENSION_{name} " in extension
    assert "add_subdirectory(MedCLIPSAM)" in extension
