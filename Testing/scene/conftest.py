"""One headless 3D Slicer for all tests of the scene, with an empty scene for each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import slicer
import torch._dynamo  # noqa: F401  # brings triton: imported after Mesa has drawn something, it crashes

from MedCLIPSAMLib.scene import host


@pytest.fixture(scope="session")
def app() -> Any:
    return host.start()


@pytest.fixture(autouse=True)
def empty_scene(app: Any) -> Iterator[None]:
    slicer.mrmlScene.Clear()
    # In Slicer there always is one; here the first who asks makes it, which would look like a node left behind.
    slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    yield
    slicer.mrmlScene.Clear()
