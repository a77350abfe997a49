"""The same voxels in another order, as files have them."""

from __future__ import annotations

from itertools import permutations

import numpy as np

# (3, 3) whole numbers, the RAS directions of i, j and k: all 48 axis-parallel orders, half of them left-handed.
ORDERS = [
    np.eye(3)[:, order] * signs
    for order in map(list, permutations(range(3)))
    for signs in np.array(np.meshgrid(*[(1, -1)] * 3)).reshape(3, -1).T
]


def stored(ras_voxels: np.ndarray, directions: np.ndarray, ras_affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Voxels (R, A, S) as (K, J, I) along other directions, and their IJK-to-RAS matrix.

    Args:
        directions: of `ORDERS`.
        ras_affine: (4, 4), a diagonal one with an origin, of the voxels as they are given.
    """
    to_ras = np.eye(4)
    to_ras[:3, :3] = directions
    flipped = directions.sum(1) < 0
    to_ras[:3, 3] = np.where(flipped, np.array(ras_voxels.shape) - 1, 0)
    order = np.abs(directions).argmax(0)  # the RAS axis of i, j and k
    flips = tuple(slice(None, None, -1 if flipped[axis] else 1) for axis in order)
    return np.ascontiguousarray(ras_voxels.transpose(order)[flips].T), ras_affine @ to_ras
