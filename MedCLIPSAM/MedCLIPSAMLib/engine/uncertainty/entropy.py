"""Uncertainty of one voxel as the entropy of "belongs to it or not"."""

from __future__ import annotations

import numpy as np
from scipy.special import xlogy


def binary_entropy(probability: np.ndarray) -> np.ndarray:
    """Probabilities in 0..1 of any shape -> bits of the same shape, float32: 0 where it is certain, 1 at one half.

    0 log 0 is 0, its limit.
    """
    other = 1 - probability
    bits = -(xlogy(probability, probability) + xlogy(other, other)) / np.log(2)
    return bits.clip(0, 1).astype(np.float32)
