"""The square a model looks at: true proportions, and the exact way back to the pixels of the slice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from .body import body_mask, coarse_steps
from .stack import SliceStack
from .window import Window

_MARGIN = 0.05


@dataclass(frozen=True)
class Frame:
    """A square on a slice, in millimetres, so that anatomy keeps its proportions.

    Positions are in pixels with integers at pixel centres; a slice of width W reaches from -0.5 to W - 0.5,
    and so does a frame resampled to W pixels. The square may reach beyond the slice.

    Attributes:
        centre: (row, column) of the middle of the square, in pixels of the slice.
        side: edge length in mm.
        spacing: (row, column) mm per pixel of the slice.
    """

    centre: tuple[float, float]
    side: float
    spacing: tuple[float, float]

    @classmethod
    def whole(cls, shape: Sequence[int], spacing: Sequence[float]) -> Frame:
        """The smallest square around a slice of `shape` (H, W) and `spacing` (row, column) mm, centred."""
        height, width = shape
        row_mm, column_mm = spacing
        return cls(
            ((height - 1) / 2, (width - 1) / 2),
            max(height * row_mm, width * column_mm),
            (float(row_mm), float(column_mm)),
        )

    @classmethod
    def around(cls, stack: SliceStack, window: Window) -> Frame:
        """The square around the body on all slices of `stack`, with a margin of 5 % on each side.

        Air, table and what else is apart from the body are left out. Where nothing stands out in `window`,
        the whole slice is taken; the square is never larger than that.
        """
        whole = cls.whole(stack.array.shape[1:], stack.spacing[1:])
        steps = coarse_steps(stack.array.shape, stack.spacing)
        body = body_mask(window.to_uint8(stack.array[tuple(slice(None, None, step) for step in steps)]))
        if not body.any():
            return whole
        edges = np.array(
            [
                _edges(np.flatnonzero(body.any(axis=(0, 2))), steps[1]),
                _edges(np.flatnonzero(body.any(axis=(0, 1))), steps[2]),
            ]
        )
        extent = (np.ptp(edges, axis=1) * whole.spacing).max()
        side = min(float(extent) * (1 + 2 * _MARGIN), whole.side)
        # Anatomy beside the body tells a model more than the void beyond the slice: stay inside `whole`.
        play = (whole.side - side) / 2 / np.array(whole.spacing)
        row, column = np.clip(edges.mean(axis=1), whole.centre - play, whole.centre + play)
        return cls((float(row), float(column)), side, whole.spacing)

    def crop(self, image: np.ndarray, size: int, outside: float = 0.0) -> np.ndarray:
        """The frame as a picture: bilinear, with a triangle filter as wide as a new pixel when shrinking.

        Args:
            image: (H, W) or (H, W, C) slice, finite.
            size: pixels per side of the result.
            outside: value where the frame reaches beyond the slice.

        Returns:
            (size, size) or (size, size, C); uint8 stays uint8 (rounded), all else becomes float32.
        """
        step = self.side / size / np.array(self.spacing)  # slice pixels per new pixel, row and column
        offset = (np.arange(size) + 0.5 - size / 2)[:, None] * step + self.centre
        picture = _resample(image, offset[:, 0], offset[:, 1], step, outside)
        return np.rint(picture).astype(np.uint8) if image.dtype == np.uint8 else picture

    def restore(self, values: np.ndarray, shape: Sequence[int], outside: float = 0.0) -> np.ndarray:
        """A map on the frame back on the pixels of the slice, bilinear; the way back of `crop`.

        Args:
            values: (s, s) map, finite.
            shape: (H, W) of the slice.
            outside: value of the pixels that the frame does not cover.

        Returns:
            (H, W) float32.
        """
        step = len(values) * np.array(self.spacing) / self.side  # map pixels per slice pixel
        rows, columns = (
            (np.arange(length) - centre) * per_pixel + (len(values) - 1) / 2
            for length, centre, per_pixel in zip(shape, self.centre, step, strict=True)
        )
        return _resample(values, rows, columns, step, outside)

    def points_to_frame(self, xy: np.ndarray, size: int) -> np.ndarray:
        """(n, 2) slice pixels (x = column, y = row) to (n, 2) pixels (x, y) of a frame of `size` pixels."""
        scale = size * np.array(self.spacing[::-1]) / self.side
        return (np.asarray(xy, np.float64) - self.centre[::-1]) * scale + (size - 1) / 2

    def points_to_slice(self, xy: np.ndarray, size: int) -> np.ndarray:
        """(n, 2) pixels (x, y) of a frame of `size` pixels to (n, 2) slice pixels (x = column, y = row)."""
        scale = self.side / size / np.array(self.spacing[::-1])
        return (np.asarray(xy, np.float64) - (size - 1) / 2) * scale + self.centre[::-1]


def _edges(occupied: np.ndarray, step: int) -> tuple[float, float]:
    """Outer edges, in full pixels, of the occupied positions on an axis which was thinned by `step`."""
    first, last = occupied[[0, -1]] * step
    return float(first - step / 2), float(last + step / 2)


def _resample(image: np.ndarray, rows: np.ndarray, columns: np.ndarray, step: np.ndarray, outside: float) -> np.ndarray:
    """Values of `image` (H, W[, C]) on the grid of row and column positions, float32.

    An axis-parallel grid is separable: one sparse matrix per direction, which stays exact for any fraction
    of a pixel and is quicker than a general warp.
    """
    height, width, *channels = image.shape
    vertical, rows_in = _weights(rows, height, step[0])
    horizontal, columns_in = _weights(columns, width, step[1])
    values = image.swapaxes(0, 1).astype(np.float32, order="C").reshape(width, -1)
    values = (horizontal @ values).reshape(len(columns), height, -1).swapaxes(0, 1).reshape(height, -1)
    values = (vertical @ values).reshape(len(rows), len(columns), *channels)
    if outside:
        values[~(rows_in[:, None] & columns_in)] = outside
    return values


def _weights(positions: np.ndarray, length: int, step: float) -> tuple[csr_array, np.ndarray]:
    """(n, length) matrix which interpolates at `positions`, and (n,) whether each lies on the image.

    The kernel is a triangle of half width max(1, step), normalised at the border; rows beyond it are zero.
    """
    half_width = max(1.0, step)
    taps = int(np.ceil(2 * half_width))
    first = np.floor(positions - half_width).astype(int) + 1
    index = first[:, None] + np.arange(taps)
    weight = np.maximum(0, 1 - np.abs(index - positions[:, None]) / half_width)
    inside = (positions >= -0.5) & (positions <= length - 0.5)
    weight *= (index >= 0) & (index < length) & inside[:, None]
    total = weight.sum(axis=1, keepdims=True)
    weight = np.divide(weight, total, out=weight, where=total > 0).astype(np.float32)
    starts = np.arange(len(positions) + 1) * taps
    matrix = csr_array((weight.ravel(), np.clip(index, 0, length - 1).ravel(), starts), shape=(len(positions), length))
    return matrix, inside
