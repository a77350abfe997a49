"""A mask shown while it is made: on the right voxels, in a node that nobody else meets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import slicer

from MedCLIPSAMLib.engine.volume import AXES, SliceStack
from MedCLIPSAMLib.scene.views.live_mask import LiveMask
from MedCLIPSAMLib.scene.volumes import volume_from_node

from .. import grids


def nodes() -> list[Any]:
    return slicer.util.getNodesByClass("vtkMRMLSegmentationNode")


@pytest.mark.parametrize("kind", grids.GRIDS)
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("first", [0, 2])
def test_slices_land_on_their_voxels(axis, kind, first):
    node = grids.volume_node(kind)
    node.SetAndObserveTransformNodeID(grids.transform_node(grids.TRANSFORMS["rigid"]).GetID())
    stack = SliceStack(volume_from_node(node, "CT"), axis)
    live = LiveMask()
    live.begin(node, stack, slices := range(first, len(stack)), (1, 0, 0))
    rng = np.random.default_rng(0)
    drawn = np.zeros(stack.array.shape, bool)
    for index in (slices[0], slices[-1]):
        drawn[index] = rng.random(stack.array.shape[1:]) > 0.5
        live.draw(index, drawn[index])
    live.show()
    (segmentation_node,) = nodes()
    shown = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation_node, "live", node)
    assert np.array_equal(shown.astype(bool), stack.restore(drawn))
    assert np.array_equal(live.mask, stack.restore(drawn))
    assert segmentation_node.GetHideFromEditors()
    assert not segmentation_node.GetSaveWithScene()


def test_views_are_told_when_it_is_shown():
    node = grids.volume_node()
    stack = SliceStack(volume_from_node(node, "CT"))
    live = LiveMask()
    live.begin(node, stack, range(len(stack)), (1, 0, 0))
    heard = []
    (segmentation_node,) = nodes()
    segmentation = segmentation_node.GetSegmentation()
    segmentation.AddObserver(segmentation.SegmentModified, lambda *_: heard.append(1))
    live.draw(0, np.ones(stack.array.shape[1:], bool))
    assert not heard
    live.show()
    assert heard


def test_it_comes_and_goes():
    node = grids.volume_node()
    stack = SliceStack(volume_from_node(node, "CT"))
    live = LiveMask()
    live.clear()
    live.begin(node, stack, range(len(stack)), (1, 0, 0))
    live.begin(node, stack, range(2), (0, 1, 0))
    assert len(nodes()) == 1
    live.clear()
    assert not nodes()
    live.begin(node, stack, range(2), (0, 1, 0))
    slicer.mrmlScene.Clear()
    live.draw(0, np.ones(stack.array.shape[1:], bool))
    live.show()
    live.clear()
