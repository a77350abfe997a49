"""What a promptable segmenter is shown of a coarse mask: boxes and points."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .components import label


def bounding_boxes(mask: np.ndarray, each: bool = False) -> np.ndarray:
    """Boxes round a coarse mask, in the published convention.

    Args:
        mask: (H, W) bool.
        each: one box for each component, from left to right, instead of one round all of them. A component in
            the hole of another has none of its own.

    Returns:
        (B, 4) int x0, y0, x1, y1 in pixels; x1 and y1 are one past the last pixel, but at most W - 1 and
        H - 1. An empty mask has no box.
    """
    regions = label(ndimage.binary_fill_holes(mask))[0] if each else mask.astype(np.int32)
    height, width = mask.shape
    boxes = [
        (columns.start, rows.start, min(columns.stop, width - 1), min(rows.stop, height - 1))
        for rows, columns in ndimage.find_objects(regions)
    ]
    return np.array(sorted(boxes), int).reshape(-1, 4)


def sample_points(mask: np.ndarray, n: int, seed: int = 0) -> np.ndarray:
    """`n` different pixels of (H, W) bool at random, or all if there are fewer -> (n, 2) float x, y."""
    pixels = np.argwhere(mask)[:, ::-1]
    chosen = np.random.default_rng(seed).permutation(len(pixels))[:n]
    return pixels[chosen].astype(float)
