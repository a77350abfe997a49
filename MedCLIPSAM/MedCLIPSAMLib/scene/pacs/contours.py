"""The outlines of a mask as closed polygons, holes by the keyhole technique (DICOM PS3.3 C.8.8.6.3)."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import find_objects, label
from scipy.spatial import cKDTree
from skimage.measure import find_contours


def outlines(mask: np.ndarray) -> list[np.ndarray]:
    """One polygon for each part of a mask, without a point twice at its end.

    Corners lie half-way between a pixel that is inside and its neighbour outside, so that exactly the centres of pixels
    inside are within. Parts are of pixels that share an edge. A hole is joined with the outline by a channel of no
    width, there and back: readers that unite polygons and those that count crossings see the same.

    Args:
        mask: (rows, columns) bool.

    Returns:
        (n, 2) row, column, with whole numbers at the centres of pixels.
    """
    parts, count = label(mask)
    boxes = find_objects(parts)
    return [_outline(parts[box] == number, box) for number, box in zip(range(1, count + 1), boxes, strict=True)]


def _outline(part: np.ndarray, box: tuple[slice, slice]) -> np.ndarray:
    rings = [_corners(ring[:-1] - 1) for ring in find_contours(np.pad(part, 1).astype(np.uint8), 0.5)]
    rings.sort(key=lambda ring: np.ptp(ring[:, 0]) * np.ptp(ring[:, 1]))
    outer = rings.pop()
    return _with_holes(outer, rings) + np.array([box[0].start, box[1].start])


def _corners(ring: np.ndarray) -> np.ndarray:
    """A closed ring without the points that lie on the way between those beside them."""
    before, after = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
    turns = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    return ring[turns != 0]


def _with_holes(outer: np.ndarray, holes: list[np.ndarray]) -> np.ndarray:
    """An outline with all holes, the nearest one first, each joined where it is nearest."""
    holes = list(holes)
    while holes:
        found = [cKDTree(outer).query(hole) for hole in holes]
        nearest = min(range(len(holes)), key=lambda index: found[index][0].min())
        distances, places = found[nearest]
        start = int(distances.argmin())
        place, hole = int(places[start]), holes.pop(nearest)
        hole = np.roll(hole, -start, axis=0)
        outer = np.concatenate([outer[: place + 1], hole, hole[:1], outer[place:]])
    return outer
