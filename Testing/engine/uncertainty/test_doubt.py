"""Numbers of a map: bits, and the Dice that a slice may be expected to lack."""

from __future__ import annotations

import numpy as np
import pytest

from MedCLIPSAMLib.engine.uncertainty.doubt import Uncertainty, expected_loss


def test_a_mask_that_is_certain_loses_nothing_and_one_of_halves_a_third():
    mask = np.zeros((4, 4), bool)
    mask[1:3, 1:3] = True
    assert expected_loss(mask.astype(np.float32), mask) == 0
    assert expected_loss(mask * 0.5, mask) == pytest.approx(1 - 2 * 2 / (2 + 4))
    assert expected_loss(np.zeros((4, 4)), mask) == 1
    assert expected_loss(np.eye(4) * 0 + mask + (~mask) / 12, mask) == pytest.approx(1 - 2 * 4 / (5 + 4))


def test_the_map_is_in_bits_and_slices_are_ranked():
    probability = np.zeros((3, 2, 2), np.float32)
    probability[1] = [[0.5, 1], [0, 0.25]]
    doubt = Uncertainty(probability, {4: 0.1, 2: 0.3, 7: 0.3}, (), 0, 5)
    bits = doubt.map()
    assert bits.dtype == np.float32
    assert bits[1].ravel() == pytest.approx([1, 0, 0, 0.8112781])
    assert not bits[[0, 2]].any()
    assert doubt.least_sure(2) == [2, 7]
