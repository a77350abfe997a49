"""The box that points stand for, with a segmenter that understands boxes alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..errors import InputError

_MARGIN = 0.05  # a box a little too wide costs nothing, one too narrow cuts the mask
_SIDES = 0.04 * 1.5 ** np.arange(8)  # of the boxes tried round points, as parts of the picture's longer side
_OUTWARD = np.array([-1, -1, 1, 1])


@dataclass(frozen=True)
class BoxSearch:
    """Finds the box whose mask agrees with points on a picture, integers at pixel centres.

    Attributes:
        answer: (B, 4) boxes -> (B, H, W) bool masks and (B,) scores.
        shape: (H, W) of the picture.
        wanted: (n, 2) x, y that the mask must have.
        unwanted: (m, 2) x, y that it must not have.
    """

    answer: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    shape: tuple[int, int]
    wanted: np.ndarray
    unwanted: np.ndarray

    def correct(self, box: np.ndarray) -> np.ndarray:
        """`box` (4,) if its mask agrees with the points, else another near it or, for wanted points, round them."""
        box = _hull(np.vstack([box.reshape(2, 2), self.wanted]))
        if len(self.wanted) and not self._has(box, self.wanted).all():
            box = self._best(np.vstack([box, self._sizes()]))
        return self._without_unwanted(box)

    def find(self) -> np.ndarray:
        """A box (4,) from points alone.

        Raises:
            InputError: none of them is wanted.
        """
        if not len(self.wanted):
            raise InputError("A point off the structure finds nothing by itself: give a box or a point on it.")
        return self._without_unwanted(self._best(self._sizes()))

    def _without_unwanted(self, box: np.ndarray) -> np.ndarray:
        for point in self.unwanted:
            if self._has(box, point[None]).any():
                box = self._best(np.vstack([box, _cuts(box, point)]))
        return box

    def _best(self, boxes: np.ndarray) -> np.ndarray:
        """Of (B, 4) boxes, the one whose mask agrees with most points; among equals, has the highest score."""
        masks, scores = self.answer(boxes)
        agreed = _at(masks, self.wanted).sum(1) + (~_at(masks, self.unwanted)).sum(1)
        return boxes[np.lexsort((scores, agreed))[-1]]

    def _has(self, box: np.ndarray, points: np.ndarray) -> np.ndarray:
        return _at(self.answer(box[None])[0], points)

    def _sizes(self) -> np.ndarray:
        """(8, 4) boxes found from several sizes round the wanted points.

        They are those of the masks that such boxes give, which reach further where the structure does.
        """
        height, width = self.shape
        first, last = np.full(4, -0.5), np.array([width, height, width, height]) - 0.5
        margins = _SIDES[:, None] / 2 * max(self.shape) * _OUTWARD
        boxes = np.clip(_hull(self.wanted) + margins, first, last)
        masks, _ = self.answer(boxes)
        own = [self._own_box(mask, box) for mask, box in zip(masks, boxes, strict=True)]
        return np.clip(own, first, last)

    def _own_box(self, mask: np.ndarray, box: np.ndarray) -> np.ndarray:
        """The box, with a margin, of the components of a mask (H, W) that have a wanted point; else `box`."""
        components, _ = ndimage.label(mask)
        rows, columns = np.nonzero(np.isin(components, np.setdiff1d(_at(components, self.wanted), 0)))
        if not len(rows):
            return box
        own = np.array([columns.min(), rows.min(), columns.max(), rows.max()]) + 0.5 * _OUTWARD
        return own + _MARGIN * np.tile(own[2:] - own[:2], 2) * _OUTWARD


def _hull(points: np.ndarray) -> np.ndarray:
    """(4,) the smallest box with (n, 2) points."""
    return np.concatenate([points.min(0), points.max(0)])


def _cuts(box: np.ndarray, point: np.ndarray) -> np.ndarray:
    """(up to 4, 4) boxes: `box` with one side moved to the near or the far edge of the pixel at `point`."""
    cuts = np.where(np.eye(4, dtype=bool), np.tile(point, 2) - 0.5 * _OUTWARD, box)
    return cuts[(cuts[:, 2:] - cuts[:, :2] >= 1).all(1)]


def _at(values: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(..., n) values (..., H, W) of the pixels nearest to (n, 2) points."""
    x, y = np.clip(np.rint(points).astype(int), 0, np.array(values.shape[:-3:-1]) - 1).T
    return values[..., y, x]
