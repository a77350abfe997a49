"""Where a segment is not sure lies on its voxels, and leaves the slices that a person has corrected."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer

from MedCLIPSAMLib.engine.volume.block import Block
from MedCLIPSAMLib.scene.geometry import ijk_to_ras
from MedCLIPSAMLib.scene.views.doubt_map import DoubtMap, clear_slice

from .. import grids
from .test_heat_map import node_ids, shown, views  # noqa: F401  -- a fixture
from .test_slice_views import EVERY_GRID, moved_volume, own_stack


def doubt() -> np.ndarray:
    """(K, J, I) uint8 of a volume of `grids`, with a box in it that touches no side."""
    whole = np.zeros(grids.voxels().shape, np.uint8)
    inside = whole[2:-3, 3:-2, 1:-2]
    inside[:] = np.random.default_rng(1).integers(30, 256, inside.shape)
    return whole


@EVERY_GRID
def test_it_lies_on_the_voxels_of_the_volume(kind: str, axis: Any, transform: str | None, views: list[Any]):  # noqa: F811
    volume, doubts, before = moved_volume(kind, transform), DoubtMap(), node_ids()
    doubts.show(volume, Block.of(doubt()), 0.3)
    node = shown(views[0])
    assert node.GetTransformNodeID() == volume.GetTransformNodeID()
    array, to_volume = slicer.util.arrayFromVolume(node), np.linalg.solve(ijk_to_ras(volume), ijk_to_ras(node))
    for kji in np.argwhere(array == array.max()):
        i, j, k = np.rint((to_volume @ [*kji[::-1], 1])[:3]).astype(int)
        assert doubt()[k, j, i] == array[tuple(kji)]
    assert np.count_nonzero(array) == np.count_nonzero(doubt())
    assert array.dtype == np.uint8
    assert not any(slicer.mrmlScene.GetNodeByID(name).GetSaveWithScene() for name in node_ids() - before)
    doubts.hide()
    assert node_ids() == before


@EVERY_GRID
def test_a_slice_is_cleared_along_any_axis(kind: str, axis: Any, transform: str | None):
    stack = own_stack(moved_volume(kind, transform), axis)
    for index in range(len(stack)):
        bits, expected = Block.of(doubt()), doubt()
        clear_slice(bits, stack, index)
        stack.arrange(expected)[index] = 0
        assert np.array_equal(bits.whole(), expected)


def test_where_nothing_is_in_doubt_nothing_is_shown(views: list[Any]):  # noqa: F811
    empty = Block.of(np.zeros(grids.voxels().shape, np.uint8))
    volume, doubts, before = grids.volume_node("axial"), DoubtMap(), node_ids()
    doubts.show(volume, Block.of(doubt()), 0.3)
    doubts.show(volume, empty, 0.3)
    assert [shown(view) for view in views] == [None, None]
    assert node_ids() == before
    clear_slice(empty, own_stack(volume), 0)
