"""Networks trained with boxes alone (MedSAM, LiteMedSAM): clicks choose the box."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..errors import InputError
from .base import ImageEmbeddings, MaskBatch, check_prompts
from .network import SamNetwork

_INSIDE = 0.5
_MARGIN = 0.05  # a box a little too wide costs nothing, one too narrow cuts the mask
_SIDES = 0.04 * 1.5 ** np.arange(8)  # of the boxes tried round a click, as parts of the picture's longer side


class BoxTrainedNetwork(SamNetwork):
    """Answers points without showing them to the network, whose point embeddings were never trained.

    Measured with LiteMedSAM on six structures of an abdominal CT (Dice): the true box 0.90, the true box and a
    point in the middle of the structure, both shown, 0.84; that point alone, shown, 0.02, and as here, 0.84.
    """

    def decode(
        self,
        embedding: ImageEmbeddings,
        boxes: np.ndarray | None = None,
        points: np.ndarray | None = None,
        point_labels: np.ndarray | None = None,
        multimask: bool = False,
    ) -> MaskBatch:
        """See `PromptableSegmenter.decode`.

        Points without a box choose one of several sizes. With a box, those outside widen it where they are
        positive, and one in the mask cuts it off at the best side where it is negative.

        Raises:
            InputError: as there, or negative points without a box or a positive point.
        """
        count = check_prompts(boxes, points, point_labels)
        if points is not None and point_labels is not None:
            given = [None] * count if boxes is None else boxes
            sets = zip(given, points, point_labels, strict=True)
            boxes = np.stack([self._box(embedding, box, xy[at == 1], xy[at == 0]) for box, xy, at in sets])
        return super().decode(embedding, boxes, multimask=multimask)

    def _box(
        self, embedding: ImageEmbeddings, box: np.ndarray | None, wanted: np.ndarray, unwanted: np.ndarray
    ) -> np.ndarray:
        """(4,) box for the mask that has the points `wanted` (n, 2) and not the points `unwanted` (m, 2)."""
        if box is not None:
            box = _around(np.vstack([box.reshape(2, 2), wanted]))
        elif len(wanted):
            box = self._search(embedding, wanted)
        else:
            raise InputError("A point that is not on the structure finds nothing: give a box or a point on it.")
        for point in unwanted:
            box = self._cut(embedding, box, wanted, point)
        return box

    def _search(self, embedding: ImageEmbeddings, wanted: np.ndarray) -> np.ndarray:
        """The box of the mask with the highest score, of those found from boxes of several sizes round points.

        Each mask's own box is tried in a second round, which finds structures that reach further to one side.
        """
        height, width = embedding.shape
        margins = _SIDES[:, None] * max(height, width) / 2 * np.array([-1, -1, 1, 1])
        limits = np.array([-0.5, -0.5, width - 0.5, height - 0.5])
        inner, outer = limits[[0, 1, 0, 1]], limits[[2, 3, 2, 3]]
        boxes = np.clip(_around(wanted) + margins, inner, outer)
        masks, _ = self._try(embedding, boxes)
        boxes = np.array([_own_box(mask, wanted, box) for mask, box in zip(masks, boxes, strict=True)])
        boxes = np.clip(boxes, inner, outer)
        masks, scores = self._try(embedding, boxes)
        return boxes[np.lexsort((scores, _kept(masks, wanted)))[-1]]

    def _cut(self, embedding: ImageEmbeddings, box: np.ndarray, wanted: np.ndarray, point: np.ndarray) -> np.ndarray:
        """The box with one side moved to beyond `point`, where its mask has the point; the best of four."""
        mask, _ = self._try(embedding, box[None])
        if not _kept(mask, point[None])[0]:
            return box
        cuts = np.repeat(box[None], 4, 0)
        cuts[[0, 1, 2, 3], [0, 1, 2, 3]] = np.concatenate([point + 0.5, point - 0.5])
        cuts = cuts[(cuts[:, :2] + 1 < cuts[:, 2:]).all(1)]
        cuts = cuts[[bool(((wanted >= cut[:2]) & (wanted <= cut[2:])).all()) for cut in cuts]]
        if not len(cuts):
            return box
        masks, scores = self._try(embedding, cuts)
        return cuts[np.lexsort((scores, -_kept(masks, point[None])))[-1]]

    def _try(self, embedding: ImageEmbeddings, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(B, H, W) bool masks of boxes and their (B,) scores."""
        made = super().decode(embedding, boxes)
        return made.masks[:, 0] > _INSIDE, made.scores[:, 0]


def _around(points: np.ndarray) -> np.ndarray:
    """(4,) box around (n, 2) points."""
    return np.concatenate([points.min(0), points.max(0)])


def _own_box(mask: np.ndarray, points: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The box, with a margin, of the components of a mask (H, W) that have one of the points; else `box`."""
    labels, _ = ndimage.label(mask)
    x, y = _pixels(points, mask.shape)
    rows, columns = np.nonzero(np.isin(labels, np.setdiff1d(labels[y, x], 0)))
    if not len(rows):
        return box
    own = np.array([columns.min() - 0.5, rows.min() - 0.5, columns.max() + 0.5, rows.max() + 0.5])
    margin = _MARGIN * (own[2:] - own[:2])
    return own + np.concatenate([-margin, margin])


def _kept(masks: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(B,) how many of (n, 2) points lie in each mask (B, H, W)."""
    x, y = _pixels(points, masks.shape[1:])
    return np.count_nonzero(masks[:, y, x], axis=1)


def _pixels(points: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(2, n) x and y of the pixels of a picture (H, W) that are nearest to (n, 2) points."""
    return np.clip(np.rint(points).astype(int), 0, np.array(shape[::-1]) - 1).T
