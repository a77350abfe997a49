"""How the segmenter's mask and the saliency become one mask."""

from __future__ import annotations

import numpy as np

from MedCLIPSAMLib.engine.session.masking import merge, without_pinholes


def test_small_holes_are_filled_and_large_ones_and_bays_stay():
    mask = np.zeros((50, 60), bool)
    mask[5:45, 5:55] = True
    mask[10:13, 10:13] = mask[20:30, 20:30] = mask[40:45, 30:32] = False
    filled = without_pinholes(mask)
    assert filled[10:13, 10:13].all()
    assert (filled != mask).sum() == 9


def test_there_is_nothing_to_fill_in_an_empty_or_full_mask():
    assert not without_pinholes(np.zeros((5, 6), bool)).any()
    assert without_pinholes(np.ones((5, 6), bool)).all()


def test_a_segmenter_that_is_sure_decides_and_one_that_is_not_is_overruled():
    drawn = np.array([[1.0, 1.0, 0.0, 0.0]])
    heat = np.array([[0.9, 0.1, 0.9, 0.1]])
    assert merge(drawn, np.array([0.98]), heat).tolist() == [[True, True, False, False]]
    assert merge(drawn, np.array([0.2]), heat).tolist() == [[True, False, True, False]]
