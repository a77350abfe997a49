"""What belongs together along the axis: components followed from slice to slice, steady boxes, no strays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from .components import label

_MINOR = 0.12  # a component smaller than this share of the largest is a stray
_STEADY_IOU = 0.6  # neighbouring boxes that overlap less than this are different things
_BESIDE = 2  # pixels around a component that was not chosen whose saliency does not count either
_NEAR_MM = 40.0  # a click further than this from every component means something that the text did not find


def _components(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, H, W) or (H, W) bool -> labels and sizes; ``sizes[0]``, the background, is 0."""
    labels, count = label(mask)
    sizes = _sizes(labels, count)
    sizes[0] = 0
    return labels, sizes


def _sizes(labels: np.ndarray, count: int, where: np.ndarray | None = None) -> np.ndarray:
    """(count + 1,) voxels of each label, in ``where`` or everywhere."""
    sizes = np.zeros(count + 1, int)
    # Plane by plane, because NumPy counts in integers four times as wide.
    for index, plane in enumerate(labels if labels.ndim == 3 else labels[None]):
        sizes += np.bincount(plane.ravel() if where is None else plane[where[index]], minlength=count + 1)
    return sizes


def _occupied(stack: np.ndarray) -> tuple[slice, ...]:
    """The smallest block of (N, H, W) bool that has everything: labels of a whole volume would take gigabytes."""
    along = [
        np.array([plane.any() for plane in stack]),
        np.any([plane.any(axis=1) for plane in stack], axis=0),
        np.any([plane.any(axis=0) for plane in stack], axis=0),
    ]
    filled = [np.flatnonzero(axis) for axis in along]
    return tuple(slice(int(axis[0]), int(axis[-1]) + 1) if len(axis) else slice(0, 0) for axis in filled)


def choose(
    candidates: np.ndarray,
    instances: int | None,
    spacing: Sequence[float],
    positive: np.ndarray,
    negative: np.ndarray,
) -> dict[int, np.ndarray]:
    """Clears the components of a stack that the prompt does not mean.

    With positive points the components under them, or the nearest within 40 mm, stay and no others; so one side of a
    pair is followed from the slice of the click outward. Without: the ``instances`` largest, or, if that is None, all
    that are not small beside the largest. What lies under a negative point goes, unless it is under a positive one too.

    Args:
        candidates: (N, H, W) bool, changed in place.
        spacing: mm between slices, rows and columns.
        positive, negative: (n, 3) float slice, row, column.

    Returns:
        What was cleared: (H, W) bool by the number of its plane.
    """
    block = _occupied(candidates)
    labels, sizes = _components(candidates[block])
    first = np.array([side.start for side in block])
    wanted = _labels_at(labels, positive - first, spacing, _NEAR_MM)
    unwanted = _labels_at(labels, negative - first, spacing, 0.0) - wanted
    sizes[list(unwanted)] = 0
    keep = np.zeros(len(sizes), bool)
    if len(positive):
        keep[list(wanted)] = True
    elif instances is not None:
        largest = np.argsort(sizes)[::-1][:instances]
        keep[largest] = sizes[largest] > 0
    else:
        keep = sizes > _MINOR * sizes.max()
    return _clear(candidates, block, labels, ~keep)


def _clear(
    stack: np.ndarray, block: tuple[slice, ...], labels: np.ndarray, unwanted: np.ndarray
) -> dict[int, np.ndarray]:
    """Clears what (count + 1,) bool ``unwanted`` says of the ``labels`` of a block; gives it by its plane as (H, W)."""
    cleared = {}
    for number, own in enumerate(labels, block[0].start):  # by planes: NumPy makes 64 bits of what it is indexed with
        gone = np.zeros(stack.shape[1:], bool)
        gone[block[1:]] = unwanted[own]
        gone &= stack[number]
        if gone.any():
            stack[number] &= ~gone
            cleared[number] = gone
    return cleared


def without(heat: np.ndarray, rejected: np.ndarray | None) -> np.ndarray:
    """(H, W) heat map without the components that were not chosen, and what lies close beside them."""
    return heat if rejected is None else np.where(ndimage.binary_dilation(rejected, iterations=_BESIDE), 0, heat)


def without_specks(plane: np.ndarray) -> np.ndarray:
    """Removes the components of (H, W) bool that are small beside the largest: each would cost a box and a mask."""
    labels, sizes = _components(plane)
    return (sizes > _MINOR * sizes.max())[labels] if sizes.any() else plane


def _labels_at(labels: np.ndarray, points: np.ndarray, spacing: Sequence[float], reach: float) -> set[int]:
    """Labels under the points, or the nearest on the point's slice within ``reach`` mm."""
    found: set[int] = set()
    for point in np.rint(points).astype(int):
        if not 0 <= point[0] < len(labels):
            continue
        plane = labels[point[0]]
        pixels = np.argwhere(plane)
        distances = np.linalg.norm((pixels - point[1:]) * spacing[1:], axis=1)
        if len(pixels) and distances.min() <= reach:
            found.add(int(plane[tuple(pixels[distances.argmin()])]))
    return found


def steady_boxes(boxes: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Smooths single boxes over their neighbours with weights 1, 2, 1.

    Args:
        boxes: one (B, 4) array for each slice in order; only slices with one box whose neighbour has one box in
            the same place (intersection over union above 0.6) are changed.
    """
    steady = [np.asarray(box, float) for box in boxes]
    for index, box in enumerate(boxes):
        if len(box) != 1:
            continue
        around = [boxes[n] for n in (index - 1, index + 1) if 0 <= n < len(boxes) and len(boxes[n]) == 1]
        same = [other for other in around if box_iou(box[0], other[0]) > _STEADY_IOU]
        if same:
            steady[index] = (2 * box + sum(same)) / (2 + len(same))
    return steady


def box_iou(first: np.ndarray, second: np.ndarray) -> float:
    """Intersection over union of two boxes (x0, y0, x1, y1)."""
    size = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
    shared = float(np.prod(np.maximum(size, 0)))
    total = float(np.prod(first[2:] - first[:2]) + np.prod(second[2:] - second[:2])) - shared
    return shared / total if total > 0 else 0.0


def remove_strays(mask: np.ndarray, seeds: np.ndarray, *, small_too: bool = False) -> None:
    """Clears the components of a mask that touch nothing of ``seeds``, and those that are small; (N, H, W) bool.

    Args:
        small_too: keep small ones that touch a seed, because somebody asked for each.
    """
    block = _occupied(mask)
    labels, sizes = _components(mask[block])
    keep = sizes > (0 if small_too else _MINOR * sizes.max())
    keep &= _sizes(labels, len(sizes) - 1, seeds[block]) > 0
    _clear(mask, block, labels, ~keep)
