"""Where the slices of a stack are: their order, the grid they lie on, and the even one where theirs is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...engine.errors import InputError
from .headers import number_of
from .slices import FAR, Slice

# Slice positions are written with few decimals. Beyond this fraction of the slice distance it is no rounding.
_TOLERANCE = 0.02
_SAME = 0.01  # mm; closer slices are at one place
_USUAL = 25  # percentile of the distances between slices
_MOST = 8  # times as many slices as there are: what an even grid may have, as after all but every eighth one is lost
_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])  # DICOM's axes point to the left and to the back


@dataclass(frozen=True)
class Grid:
    """Where slices are.

    Attributes:
        order: (n,) of the slices that were given, along the normal, so that IJK is right-handed.
        ijk_to_ras: (4, 4) float64 of the volume; sheared where the gantry was tilted.
        places: (n,) float64, k of each slice in the order of ``order``; 0, 1, 2, ... where they lie evenly.
        step: mm between the slices of the volume, along their normal.
        distances: the smallest and the largest in mm between the slices that are there.
    """

    order: np.ndarray
    ijk_to_ras: np.ndarray
    places: np.ndarray
    step: float
    distances: tuple[float, float]

    @property
    def count(self) -> int:
        """How many slices the volume has."""
        return round(self.places[-1]) + 1

    @property
    def kept(self) -> int:
        """How many of them are slices that are there."""
        return int(np.count_nonzero(self.places == np.rint(self.places)))

    @property
    def is_even(self) -> bool:
        """Whether each slice is one of the volume."""
        return np.array_equal(self.places, np.arange(len(self.places)))

    @property
    def is_tilted(self) -> bool:
        """Whether the slices are stacked at another angle than a right one."""
        axes = self.ijk_to_ras[:3, :3] / np.linalg.norm(self.ijk_to_ras[:3, :3], axis=0)
        return bool(np.abs(axes.T @ axes - np.eye(3)).max() > 1e-4)


def place_of(slices: Sequence[Slice]) -> np.ndarray:
    """(n,) int: which place along the normal of the first slice each of them is at, from 0."""
    distances = _distances(slices)
    order = np.argsort(distances, kind="stable")
    places = np.empty(len(slices), int)
    places[order] = np.cumsum(np.diff(distances[order], prepend=distances[order[0]]) > _SAME)
    return places


def are_even(slices: Sequence[Slice]) -> bool:
    """Whether they are one at a place, at distances that differ by no more than rounding."""
    steps = np.diff(np.sort(_distances(slices)))
    return not len(steps) or bool(steps.min() > _SAME and _is_rounding(steps))


def do_overlap(groups: Sequence[Sequence[Slice]]) -> bool:
    """Whether stacks of slices are at one place, by more than half of each."""
    normal = _axes(groups[0][0])[2]
    ends = [
        (min(depths), max(depths)) for depths in ([slice_.position @ normal for slice_ in group] for group in groups)
    ]
    shared = min(high for _, high in ends) - max(low for low, _ in ends)
    return bool(shared > max(high - low for low, high in ends) / 2)


def grid_of(what: str, slices: Sequence[Slice]) -> Grid:
    """The grid of slices of one direction and size, one at a place.

    Args:
        what: the series, as a message begins.

    Raises:
        InputError: they are shifted against each other as no scanner does it, or gaps are larger than what is there.
    """
    across, along, normal = _axes(slices[0])
    distances = _distances(slices)
    order = np.argsort(distances, kind="stable")
    positions, distances = np.array([slices[index].position for index in order]), distances[order]
    first, depths = positions[0], distances - distances[0]
    row_mm, column_mm = _spacing(slices[0])
    step, places, limits = _steps(slices[0], depths)
    if places[-1] > _MOST * len(slices):
        raise InputError(
            f"{what} has gaps of up to {limits[1]:.2f} mm between its slices; leave one part in the folder."
        )
    lean = _lean(what, positions - first - depths[:, None] * normal, depths, min(row_mm, column_mm) / 2)
    lps = np.eye(4)
    lps[:3] = np.column_stack([across * column_mm, along * row_mm, (normal + lean) * step, first])
    return Grid(order, _TO_RAS @ lps, places, step, limits)


def _axes(slice_: Slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit vectors along the rows, along the columns, and of the normal."""
    across, along = (vector / np.linalg.norm(vector) for vector in np.split(slice_.orientation, 2))
    normal = np.cross(across, along)
    return across, along, normal / np.linalg.norm(normal)


def _distances(slices: Sequence[Slice]) -> np.ndarray:
    return np.array([slice_.position for slice_ in slices]) @ _axes(slices[0])[2]


def _spacing(slice_: Slice) -> tuple[float, float]:
    """mm between rows and between columns; 1 where nothing says so, as in 3D Slicer."""
    row_mm, column_mm = (mm if 0 < mm < FAR else 1.0 for mm in map(float, slice_.spacing))
    return row_mm, column_mm


def _is_rounding(steps: np.ndarray) -> bool:
    return bool(np.abs(steps - np.median(steps)).max() <= _TOLERANCE * np.median(steps))


def _steps(slice_: Slice, depths: np.ndarray) -> tuple[float, np.ndarray, tuple[float, float]]:
    """mm between the slices of the volume, k of each slice in it, and the smallest and largest distance.

    Uneven slices get a grid as fine as the smallest distance that is usual among them: dcm2niix takes the smallest of
    all, so that two slices that nearly meet make a volume many times as large.
    """
    if len(depths) == 1:
        thickness = number_of(slice_.header, "SliceThickness")
        step = thickness if 0 < thickness < FAR else 1.0
        return step, np.zeros(1), (step, step)
    steps, span = np.diff(depths), depths[-1]
    limits = float(steps.min()), float(steps.max())
    if _is_rounding(steps):
        return float(span / len(steps)), np.arange(len(depths), dtype=float), limits
    step = float(np.percentile(steps, _USUAL, method="lower"))
    places = depths / step
    whole = np.rint(places)
    return step, np.where(np.abs(places - whole) <= _TOLERANCE, whole, places), limits


def _lean(what: str, shifts: np.ndarray, depths: np.ndarray, tolerance: float) -> np.ndarray:
    """(3,) by how much a stack moves within the plane of its slices for each mm along their normal.

    Args:
        shifts: (n, 3) mm of each slice within the plane against the first.
    """
    if np.linalg.norm(shifts, axis=1).max() <= tolerance:
        return np.zeros(3)
    lean = shifts[-1] / depths[-1]
    if np.linalg.norm(shifts - depths[:, None] * lean, axis=1).max() > tolerance:
        raise InputError(
            f"{what} has slices that are shifted against each other; load it in 3D Slicer, save it as NRRD."
        )
    return lean
