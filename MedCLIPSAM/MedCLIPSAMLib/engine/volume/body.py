"""Where the body is in a volume, on a coarse grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.measure import label

_GRID = 128  # coarse pixels along the longer side of a slice: a few ms per volume, errors below the margin
_KEEP = 0.5  # a second part this large beside the largest is body too, such as the other leg


def coarse_steps(shape: Sequence[int], spacing: Sequence[float] | np.ndarray) -> tuple[int, ...]:
    """Steps per axis which thin (N, H, W) slices of `spacing` mm to an even grid of about 128 pixels."""
    cell = max(length * mm for length, mm in zip(shape[1:], spacing[1:], strict=True)) / _GRID
    return tuple(max(1, round(cell / mm)) for mm in spacing)


def body_mask(coarse: np.ndarray) -> np.ndarray:
    """What stands out from the background as one large body, without table, arms and noise.

    The cube root of the intensities is smoothed and split by Otsu's threshold: without the root, a dark body
    with one bright organ would be split between the two instead of at the skin.

    Args:
        coarse: (N, H, W) subsampled intensities; other than finite ones are background.

    Returns:
        (N, H, W) bool, holes on each slice filled; all False where nothing stands out.
    """
    values = coarse.astype(np.float32)
    finite = np.isfinite(values)
    if not finite.any():
        return finite
    low, high = np.percentile(values[finite], (0, 99.9))
    values = np.cbrt(np.clip(np.where(finite, values, low), low, high) - low)
    values = ndimage.gaussian_filter(values, (0, 1, 1))
    if values.min() == values.max():
        return np.zeros(coarse.shape, bool)
    in_plane = ndimage.generate_binary_structure(2, 1)[None]
    bright = ndimage.binary_opening(values > threshold_otsu(values.ravel()), in_plane, iterations=2)
    labels = label(bright, connectivity=1)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    body = (sizes >= max(1, _KEEP * sizes.max()))[labels]
    return np.stack([ndimage.binary_fill_holes(plane) for plane in body])
