"""Numbers about uncertainty are those of the slices with a mask, near mask and label."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from MedCLIPSAMLib.engine.uncertainty.doubt import Uncertainty
from MedCLIPSAMLib.engine.uncertainty.spread import Spread

from .uncertainty import SPREADS, Measured


def test_a_slice_with_one_error_that_is_known_to_be_unsure() -> None:
    masks, probability = np.zeros((2, 40, 40), bool), np.zeros((2, 40, 40), np.float32)
    masks[1, 10:12, 10:20] = True
    truth = masks.copy()
    truth[1, 11, 19] = False
    probability[1][masks[1]] = 1
    probability[1, 11, 19] = 0.5
    parts = [SimpleNamespace(index=index, segmenter_score=0.75, score=0.5) for index in (0, 1)]
    stack: Any = SimpleNamespace(arrange=lambda kji: kji)
    measured = Measured()
    measured.add(
        SimpleNamespace(mask=masks, slices=parts),  # type: ignore[arg-type]
        Uncertainty(probability, {1: 0.125}, (), 0, 1),
        truth,
        SimpleNamespace(stack=stack),  # type: ignore[arg-type]
    )
    near = 2 * (20 + 18 + 16 + 14 + 12 + 10)  # rows of ten pixels and what is at most five steps away
    assert len(measured.truth[0]) == near
    voxels, chance, best, calibration, ours, segmenter, presence, mean, least = measured.numbers()
    assert voxels == best == pytest.approx(1 / near**2)
    assert chance == pytest.approx(1 / near)
    assert calibration == pytest.approx(0.5 / near)
    loss = 1 - 2 * 19 / (20 + 19)
    assert [ours, segmenter, presence, mean, least] == pytest.approx([loss] * 5)
    assert measured.doubt == [(0.125, 0.25, 0.5)]


def test_what_is_shipped_is_among_what_is_measured() -> None:
    assert Spread() in SPREADS.values()
