"""Connected components of a coarse mask; pixels that touch at a corner are connected."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

_EIGHT = np.ones((3, 3), bool)


def label(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """(H, W) bool -> (H, W) int with 1 to n for each component, and n."""
    return ndimage.label(mask, _EIGHT)


def keep_largest(mask: np.ndarray, n: int) -> np.ndarray:
    """The `n` largest components of (H, W) bool; all of those that tie for the last place, as published."""
    labels, count = label(mask)
    if count <= n:
        return mask.copy()
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return (sizes >= np.sort(sizes)[-n])[labels]
