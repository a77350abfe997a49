"""The text report tells what the provenance knows."""

from __future__ import annotations

import numpy as np
import slicer

from MedCLIPSAMLib.engine.prompt.prompt import Point, Prompt
from MedCLIPSAMLib.scene.segmentation.provenance import ModelUse, Provenance
from MedCLIPSAMLib.scene.segmentation.report import report_of
from MedCLIPSAMLib.scene.segmentation.segments import create_segmentation, write_segment

from .. import grids


def test_every_segment_is_told():
    node = grids.volume_node()
    segmentation_node = create_segmentation(node, "S")
    mask = np.ones(node.GetImageData().GetDimensions()[::-1], bool)
    prompt = Prompt("liver", ("liver", "hepar"), ("spleen",), points=(Point((1, 2, 3)),))
    made = Provenance(
        prompt,
        found=True,
        slices_found=3,
        slices_searched=5,
        searched=(2, 6),
        edited=(4, 5),
        models=(ModelUse("clip", "quick", "ab" * 32),),
        settings={"layer": 7},
    )
    write_segment(segmentation_node, node, mask, "liver", provenance=made)
    absent = Provenance(Prompt("brain", ("brain",)), found=False)
    write_segment(segmentation_node, node, ~mask, "brain", provenance=absent)
    segmentation_node.GetSegmentation().AddEmptySegment("mine", "mine")
    report = report_of(segmentation_node)
    for told in (
        *("Segments of S", "prompt: liver; hepar", "not this: spleen", "points: 1", "slices searched: 2 to 6"),
        *("found: on 3 slices", "edited slices: 4, 5", f"clip: quick, SHA-256 {'ab' * 32}", '{"layer": 7}'),
        *("brain\n  prompt: brain\n  slices searched: none\n  found: no\n", "mine\n  not made by MedCLIP-SAM"),
    ):
        assert told in report
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 1
