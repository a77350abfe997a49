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
    """An outline with its holes, each on a way from the nearest corner of the outline, around the hole, and back."""
    tree, ways = cKDTree(outer), []
    for hole in holes:
        distances, places = tree.query(hole)
        start = int(distances.argmin())
        around = np.roll(hole, -start, axis=0)
        place = int(places[start])
        ways.append((place, np.concatenate([around, around[:1], outer[place : place + 1]])))
    parts, passed = [], 0
    for place, way in sorted(ways, key=lambda pair: pair[0]):
        parts += [outer[passed : place + 1], way]
        passed = place + 1
    return np.concatenate([*parts, outer[passed:]])
