"""The part of a volume that has anything in it: what is kept, and sent, of a map or a mask that is small."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Block:
    """A box of voxels; outside of it all are 0.

    Attributes:
        array: (k, j, i) of any type.
        corner: where its first voxel is in the volume, (K, J, I).
        shape: of the volume.
    """

    array: np.ndarray
    corner: tuple[int, ...]
    shape: tuple[int, ...]

    @classmethod
    def of(cls, whole: np.ndarray) -> Block:
        """The smallest block with all of (K, J, I) that is not 0; a copy. Where all is 0, one without voxels."""
        ranges = []
        for axis in range(3):
            used = np.flatnonzero(whole.any(tuple(other for other in range(3) if other != axis)))
            ranges.append(slice(int(used[0]), int(used[-1]) + 1) if len(used) else slice(0, 0))
        return cls(whole[tuple(ranges)].copy(), tuple(part.start for part in ranges), whole.shape)

    def whole(self) -> np.ndarray:
        """(K, J, I): the volume."""
        whole = np.zeros(self.shape, self.array.dtype)
        box = zip(self.corner, self.array.shape, strict=True)
        whole[tuple(slice(first, first + length) for first, length in box)] = self.array
        return whole
