"""How unsure a segment is: voxel by voxel, and slice by slice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .entropy import binary_entropy


@dataclass(frozen=True)
class Uncertainty:
    """Of one segment.

    Attributes:
        probability: (K, J, I) float32 in 0..1 of belonging to the structure, the mean of what all variants draw;
            0 where none of them draws anything.
        slices: by number, `expected_loss` of the slices that the segment is on; not of those corrected by a person.
        wordings: what was asked for, the prompt itself left out.
        seeds: other seeds that were tried.
        masks: variants in the mean.
    """

    probability: np.ndarray
    slices: dict[int, float]
    wordings: tuple[str, ...]
    seeds: int
    masks: int

    def map(self) -> np.ndarray:
        """(K, J, I) float32: entropy of the probability, in bits; see `binary_entropy`."""
        bits = np.zeros_like(self.probability)
        for plane, probability in zip(bits, self.probability, strict=True):  # a whole volume would need several copies
            if probability.any():
                plane[:] = binary_entropy(probability)
        return bits

    def least_sure(self, count: int) -> list[int]:
        """Numbers of at most so many slices, the least sure first."""
        return sorted(self.slices, key=lambda index: (-self.slices[index], index))[:count]

    @property
    def summary(self) -> dict[str, Any]:
        """JSON-ready account, without map and slices."""
        return {"wordings": list(self.wordings), "seeds": self.seeds, "masks": self.masks}


def expected_loss(probability: np.ndarray, mask: np.ndarray) -> float:
    """1 - the Dice that a mask (H, W) may be expected to have, in 0..1, where the structure is as probable as it says.

    Sums stand for their expected values: 1 - 2 sum(p m) / (sum p + sum m).

    Args:
        mask: bool, not empty.
    """
    total = float(probability.sum(dtype=float) + np.count_nonzero(mask))
    return 1 - 2 * float(probability[mask].sum(dtype=float)) / total
