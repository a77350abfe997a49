"""A block is what a volume has, and gives it back."""

from __future__ import annotations

import numpy as np
import pytest

from MedCLIPSAMLib.engine.volume.block import Block


@pytest.mark.parametrize("filled", [[(2, 3, 4)], [(0, 0, 0), (4, 5, 6)], [(1, 5, 2), (3, 2, 2)], []])
def test_a_volume_comes_back_from_the_smallest_block_around_what_it_has(filled):
    whole = np.zeros((5, 6, 7), np.float32)
    for place in filled:
        whole[place] = 0.5
    block = Block.of(whole)
    assert np.array_equal(block.whole(), whole)
    assert block.whole().dtype == np.float32
    places = np.array(filled).reshape(-1, 3)
    assert block.array.shape == (tuple(np.ptp(places, 0) + 1) if filled else (0, 0, 0))
    assert not np.shares_memory(block.array, whole), "the volume can go"
