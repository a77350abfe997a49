"""A person at the panel, for tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from Testing.host import application

from ..samples import ABDOMEN_MM, abdomen_slice

MODULE = Path(__file__).parents[2] / "MedCLIPSAM" / "MedCLIPSAM.py"
GRID = np.diag([-ABDOMEN_MM, -ABDOMEN_MM, 3, 1])  # of `ct`: I, J, K to RAS
TEXT, NAME, STATE = 2, 3, 4  # columns of the prompt table


class Desk:
    """A person at the panel: a volume, and hands on the widgets."""

    def __init__(self, app: Any, volume: Any) -> None:
        self.app, self.volume, self.longest = app, volume, 0.0
        self.open()

    def open(self) -> None:
        application.load_module(MODULE)
        self.widget = application.select_module("MedCLIPSAM")
        self.ui = self.widget.ui

    @property
    def panel(self) -> Any:
        return self.widget.panel

    @property
    def parameters(self) -> Any:
        return self.widget._parameters

    def type(self, row: int, text: str) -> None:
        while self.ui.promptTable.rowCount <= row:
            self.ui.addButton.click()
        self.ui.promptTable.item(row, TEXT).setText(text)
        self.ui.promptTable.setCurrentCell(row, TEXT)

    def state(self, row: int) -> str:
        return self.ui.promptTable.item(row, STATE).text()

    def look_at(self, index: int) -> None:
        from MedCLIPSAMLib.engine.volume import SliceStack
        from MedCLIPSAMLib.scene.views.slice_views import jump_to_slice
        from MedCLIPSAMLib.scene.volumes import volume_from_node

        jump_to_slice(SliceStack(volume_from_node(self.volume)), self.volume, index)

    def wait(self, until: Callable[[], Any], seconds: float = 120) -> None:
        last, end = time.perf_counter(), time.monotonic() + seconds
        while not until():
            self.app.processEvents()
            now = time.perf_counter()
            self.longest, last = max(self.longest, now - last), now
            assert time.monotonic() < end, (self.ui.statusLabel.text, self.ui.previewLabel.text)
            time.sleep(0.002)

    def preview(self) -> Any:
        self.ui.previewButton.click()
        self.wait(lambda: not self.panel.preview.busy)
        return self.evidence

    @property
    def evidence(self) -> Any:
        """What the preview shows."""
        shown = self.panel.preview.shown
        return None if shown is None else shown.evidence

    def segment(self) -> None:
        self.ui.segmentButton.click()
        self.wait(lambda: not self.panel.run.running)

    def voxels(self, row: int) -> np.ndarray:
        """(K, J, I) bool of the segment that has the name of a row."""
        from MedCLIPSAMLib.scene.segmentation.segments import read_segment

        segmentation = self.parameters.segmentation.GetSegmentation()
        segment_id = segmentation.GetSegmentIdBySegmentName(self.ui.promptTable.item(row, NAME).text())
        return read_segment(self.parameters.segmentation, self.volume, segment_id)

    @property
    def segments(self) -> int:
        node = self.parameters.segmentation
        return 0 if node is None else node.GetSegmentation().GetNumberOfSegments()

    def nodes(self, name: str) -> list[Any]:
        import slicer

        return slicer.util.getNodesByClass(name)


def slice_views() -> list[Any]:
    """The nodes of three slice views, which nothing draws."""
    import slicer

    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(slicer.mrmlScene)
    nodes = []
    for name, orientation in (("Red", "Axial"), ("Green", "Coronal"), ("Yellow", "Sagittal")):
        view = slicer.vtkMRMLSliceNode()
        view.SetLayoutName(name)
        view = slicer.mrmlScene.AddNode(view)
        view.SetOrientation(orientation)
        view.SetMappedInLayout(True)
        composite = slicer.vtkMRMLSliceCompositeNode()
        composite.SetLayoutName(name)
        nodes += [view, slicer.mrmlScene.AddNode(composite)]
    return nodes


def ct() -> Any:
    """A node with six slices of a real CT: four with the liver, then two of air."""
    import slicer

    plane = abdomen_slice()
    array = np.stack([plane] * 4 + [np.full_like(plane, -1000)] * 2)
    return slicer.util.addVolumeFromArray(array, GRID, "CT")
