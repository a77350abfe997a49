"""Connected components of masks.

SciPy labels them: cc3d 4.1.1 gives wrong numbers to, or refuses, small and narrow masks of type bool.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage


def label(mask: np.ndarray, *, corners: bool = True) -> tuple[np.ndarray, int]:
    """Bool of any number of dimensions -> int of its shape with 1 to n for each component, and n.

    Args:
        corners: voxels that touch at a corner or an edge are connected, too, not only those that share a face.
    """
    return ndimage.label(mask, ndimage.generate_binary_structure(mask.ndim, mask.ndim if corners else 1))


def keep_largest(mask: np.ndarray, n: int) -> np.ndarray:
    """The `n` largest components of (H, W) bool; all of those that tie for the last place, as published."""
    labels, count = label(mask)
    if count <= n:
        return mask.copy()
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return (sizes >= np.sort(sizes)[-n])[labels]
