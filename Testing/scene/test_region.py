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
    volume_node = grids.volume_node()
    stack = SliceStack(volume_from_node(volume_node, "CT"))
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
    region = region_of(node, volume_node)
    every = np.indices(stack.array.shape).reshape(3, -1).T
    inside = (np.abs((stack.slice_to_ras(every) - middle) @ turn) <= (4.65, 3.55, 5.85)).all(1)
    expected = inside.reshape(stack.array.shape)
    assert expected.any()
    assert all(np.array_equal(region.on_slice(stack, n), plane) for n, plane in enumerate(expected))


def test_the_region_in_a_bent_volume_holds_all_that_the_box_shows():
    volume_node = grids.volume_node()
    volume_node.SetAndObserveTransformNodeID(grids.warp_node().GetID())
    stack = SliceStack(volume_from_node(volume_node, "CT"))
    every = np.indices(stack.array.shape).reshape(3, -1).T
    in_world = np.empty((len(every), 3))
    for place, world in zip(stack.slice_to_ras(every), in_world, strict=True):
        to = [0.0, 0.0, 0.0]
        volume_node.TransformPointToWorld(place, to)
        world[:] = to
    centre = in_world.mean(0)
    region = region_of(roi_node(centre, (6, 7, 15)), volume_node)
    inside = (np.abs(in_world - centre) <= (3, 3.5, 7.5)).all(1).reshape(stack.array.shape)
    found = np.stack([region.on_slice(stack, number) for number in range(len(stack))])
    assert inside.any()
    assert found[inside].all()
    assert found.sum() < 1.5 * inside.sum() + 20


def test_a_region_without_extent_is_told():
    with pytest.raises(InputError, match="R has no extent"):
        region_of(roi_node((0, 0, 0), (5, 0, 5)), grids.volume_node())
