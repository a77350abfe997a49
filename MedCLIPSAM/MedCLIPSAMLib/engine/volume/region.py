"""A box in space outside of which nothing is looked for."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from ..errors import InputError
from . import SliceStack


@dataclass(frozen=True)
class Region:
    """A box in any orientation.

    Attributes:
        ras_to_box: four rows of a 4 x 4 matrix from RAS mm to coordinates of the box, in which it is -1 to 1.

    Raises:
        InputError: the matrix is not finite and invertible, as that of a box without extent is.
    """

    ras_to_box: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        matrix = np.array(self.ras_to_box, np.float64)
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or not np.linalg.matrix_rank(matrix) == 4:
            raise InputError("The region of interest has no extent; make it larger in all directions.")
        object.__setattr__(self, "ras_to_box", tuple(map(tuple, matrix.tolist())))

    def slices(self, stack: SliceStack) -> range:
        """Numbers of the slices that have a part in the box; empty if it lies beside the volume."""
        corners = np.array([[*corner, 1] for corner in product((-1.0, 1.0), repeat=3)])
        ras = corners @ np.linalg.inv(self.ras_to_box).T
        numbers = stack.ras_to_slice(ras[:, :3])[:, 0]
        return range(max(0, int(np.ceil(numbers.min()))), min(len(stack), int(np.floor(numbers.max())) + 1))

    def on_slice(self, stack: SliceStack, index: int) -> np.ndarray:
        """(H, W) bool: the pixels of slice ``index`` whose centres are in the box."""
        matrix = np.array(self.ras_to_box) @ stack.slice_to_ras_matrix
        height, width = stack.array.shape[1:]
        row, column = np.arange(height)[:, None, None], np.arange(width)[:, None]
        box = matrix[:3, 0] * index + matrix[:3, 1] * row + matrix[:3, 2] * column + matrix[:3, 3]
        return (np.abs(box) <= 1 + 1e-9).all(axis=-1)
