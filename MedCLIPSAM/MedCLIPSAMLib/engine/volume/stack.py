"""The slices of a volume along one axis, turned to radiological display without copying a voxel."""

from __future__ import annotations

from itertools import permutations
from typing import Literal, get_args

import numpy as np

from ..errors import InputError
from .volume import Volume

Plane = Literal["axial", "coronal", "sagittal"]
Axis = Literal["auto", "axial", "coronal", "sagittal", "acquisition"]
AXES: tuple[Axis, ...] = get_args(Axis)
AxisReason = Literal["asked", "trained", "thick", "single"]

# From this through-plane over in-plane spacing on, only the slices as they were acquired look like anatomy.
_THICK = 2.0

# Per plane, for slice, row and column: the RAS axis (0 R, 1 A, 2 S) and the direction in which the index
# rises on the display. Slices keep the direction of the array, so that numbers are those 3D Slicer shows.
_DISPLAY: dict[Plane, tuple[tuple[int, int], ...]] = {
    "axial": ((2, 0), (1, -1), (0, -1)),  # rows A to P, columns R to L
    "coronal": ((1, 0), (2, -1), (0, -1)),  # rows S to I, columns R to L
    "sagittal": ((0, 0), (2, -1), (1, -1)),  # rows S to I, columns A to P
}


class SliceStack:
    """The slices of `volume` along `axis`, as a radiologist looks at them.

    An anatomical axis stands for the array axis nearest to it, so that voxels are never resampled:
    slices of an oblique volume are oblique too. "acquisition" is the first array axis, displayed as the
    anatomical plane nearest to its slices. "auto" is axial, which the models know best, unless the volume has a single
    slice, or slices that are more than twice as far apart as its pixels: then it is as these lie, however the file
    stores them.

    Attributes:
        reason: why `plane` was taken: it was "asked" for; the models were "trained" on axial slices; slices are
            "thick"; or there is a "single" one.
        array: (N, H, W) view of `volume.array`. Axial slices have rows from A to P and columns from R to L,
            coronal ones rows from S to I and columns from R to L, sagittal ones rows from S to I and
            columns from A to P. Slices are numbered as in the array.
        spacing: mm between slices, rows and columns.
        plane: the anatomical plane nearest to the slices.
        slice_to_ijk_matrix: (4, 4) float64, (slice, row, column, 1) to (i, j, k, 1), whole numbers.
        slice_to_ras_matrix: (4, 4) float64, (slice, row, column, 1) to RAS mm.

    Raises:
        InputError: `axis` is not one of `AXES`.
    """

    def __init__(self, volume: Volume, axis: Axis = "auto") -> None:
        if axis not in AXES:
            raise InputError(f"The axis {axis!r} is unknown; use one of {', '.join(AXES)}.")
        self.volume = volume
        direction = volume.ijk_to_ras[:3, :3] / volume.spacing
        nearest = _nearest_axes(direction)
        self.reason: AxisReason = "asked"
        if axis == "auto":
            self.plane, self.reason = _automatic_plane(volume, nearest)
        else:
            self.plane: Plane = _plane_of(nearest.index(2)) if axis == "acquisition" else axis
        display = _DISPLAY[self.plane]
        ijk_axes = [nearest[ras] for ras, _ in display]
        self._transpose = tuple(2 - axis for axis in ijk_axes)  # the array is stored as K, J, I
        self._flips = tuple(
            slice(None, None, -1 if sign * direction[ras, ijk] < 0 else 1)
            for (ras, sign), ijk in zip(display, ijk_axes, strict=True)
        )
        self.array = self.arrange(volume.array)
        slice_mm, row_mm, column_mm = (float(volume.spacing[ijk]) for ijk in ijk_axes)
        self.spacing: tuple[float, float, float] = (slice_mm, row_mm, column_mm)
        self.slice_to_ijk_matrix = self._slice_to_ijk(ijk_axes)
        self.slice_to_ras_matrix = volume.ijk_to_ras @ self.slice_to_ijk_matrix
        self._ras_to_slice_matrix = np.linalg.inv(self.slice_to_ras_matrix)

    def __len__(self) -> int:
        return self.array.shape[0]

    def arrange(self, kji: np.ndarray) -> np.ndarray:
        """(K, J, I) of the volume, or of a block of it, to an (N, H, W) view in display order."""
        return kji.transpose(self._transpose)[self._flips]

    def restore(self, nhw: np.ndarray) -> np.ndarray:
        """(N, H, W) in display order to a (K, J, I) view in the order of the volume: `arrange` reversed."""
        return nhw[self._flips].transpose(np.argsort(self._transpose))

    def slice_to_ras(self, points: np.ndarray) -> np.ndarray:
        """(n, 3) positions (slice, row, column), fractions allowed, to (n, 3) RAS mm."""
        return _apply(self.slice_to_ras_matrix, points)

    def ras_to_slice(self, points: np.ndarray) -> np.ndarray:
        """(n, 3) RAS mm to (n, 3) positions (slice, row, column); integers are pixel centres."""
        return _apply(self._ras_to_slice_matrix, points)

    def _slice_to_ijk(self, ijk_axes: list[int]) -> np.ndarray:
        """(4, 4) matrix from (slice, row, column, 1) to (i, j, k, 1)."""
        matrix = np.zeros((4, 4))
        matrix[3, 3] = 1
        for position, (ijk, flip) in enumerate(zip(ijk_axes, self._flips, strict=True)):
            matrix[ijk, position] = flip.step
            if flip.step < 0:
                matrix[ijk, 3] = self.array.shape[position] - 1
        return matrix


def _nearest_axes(direction: np.ndarray) -> tuple[int, ...]:
    """For R, A and S the array axis (0 i, 1 j, 2 k) nearest to it, each used once.

    The largest product of cosines is never zero for an invertible matrix, so every axis has a sign.
    """
    return max(permutations(range(3)), key=lambda ijk: float(np.prod(np.abs(direction[range(3), ijk]))))


def _automatic_plane(volume: Volume, nearest: tuple[int, ...]) -> tuple[Plane, AxisReason]:
    """By what does not change when the same voxels are stored in another order."""
    single = [ijk for ijk in range(3) if volume.array.shape[2 - ijk] == 1]
    if len(single) == 1:
        return _plane_of(nearest.index(single[0])), "single"
    *_, within, through = np.argsort(volume.spacing, kind="stable").tolist()
    if volume.spacing[through] > _THICK * volume.spacing[within]:
        return _plane_of(nearest.index(through)), "thick"
    return "axial", "trained"


def _plane_of(ras_axis: int) -> Plane:
    return next(plane for plane, display in _DISPLAY.items() if display[0][0] == ras_axis)


def _apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    return np.asarray(points, np.float64) @ matrix[:3, :3].T + matrix[:3, 3]
