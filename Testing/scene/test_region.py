"""Regions of interest of the scene."""

from __future__ import annotations

import numpy as np
import pytest
import slicer

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.engine.volume import SliceStack
from MedCLIPSAMLib.scene.region import region_of
from MedCLIPSAMLib.scene.volumes import volume_from_node

from . import grids


def roi_node(centre, size):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "R")
    node.SetCenter(*centre)
    node.SetSize(*size)
    return node


@pytest.mark.parametrize("transform", [None, "rigid"])
def test_a_region_is_the_box_that_is_drawn(transform):
    stack = SliceStack(volume_from_node(grids.volume_node(), "CT"))
    middle = stack.slice_to_ras(np.array([np.array(stack.array.shape) // 2]))[0]
    node = roi_node((0, 0, 0), (9.3, 7.1, 11.7))
    if transform is None:
        node.SetCenter(*middle)
        turn = np.eye(3)
    else:
        moved = grids.transform_node(grids.TRANSFORMS[transform])
        node.SetAndObserveTransformNodeID(moved.GetID())
        node.SetCenterWorld(*middle)
        turn = grids.TRANSFORMS[transform][:3, :3]
    region = region_of(node)
    every = np.indices(stack.array.shape).reshape(3, -1).T
    inside = (np.abs((stack.slice_to_ras(every) - middle) @ turn) <= (4.65, 3.55, 5.85)).all(1)
    expected = inside.reshape(stack.array.shape)
    assert expected.any()
    assert all(np.array_equal(region.on_slice(stack, n), plane) for n, plane in enumerate(expected))


def test_a_region_without_extent_is_told():
    with pytest.raises(InputError, match="R has no extent"):
        region_of(roi_node((0, 0, 0), (5, 0, 5)))
