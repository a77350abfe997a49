"""From boxes and clicks to a mask of a slice, with the slice's embedding kept for the next change of a box."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..localize import sample_points
from ..localize.components import label
from ..machine.cache import TensorCache, Tensors
from ..machine.device import Placed
from ..machine.precision import NumberFormat
from ..prompt.prompt import Prompt
from ..sam.base import ImageEmbeddings, PromptableSegmenter
from ..sam.voting import combine
from .looking import Viewer

_INSIDE = 0.5  # a pixel belongs to the structure above this probability
_MERGED_INSIDE = 0.45  # saliency fades towards the edge of what it shows
_SAMPLED_POINTS = 5  # per component, where the prompt shows points instead of a box
_PINHOLE = 0.02  # of the area of a mask: a smaller hole in it is a vessel or noise
_AGREES = 0.5  # share of a person's boxes that the saliency in them must span to count; a wrong text spans less
_HEAT_ERROR = 0.15  # best of 0.15 to 0.25 on a CT and a T1 head: 1 - the score at which both answers count the same


@dataclass(frozen=True)
class _Clicks:
    """Clicks on one slice: (n, 2) x, y in slice pixels and (n,) bool."""

    xy: np.ndarray
    positive: np.ndarray

    @classmethod
    def on(cls, index: int, positive: np.ndarray, negative: np.ndarray) -> _Clicks:
        sides = [points[np.rint(points[:, 0]) == index] for points in (positive, negative)]
        xy = np.concatenate(sides)[:, :0:-1]
        return cls(xy, np.arange(len(xy)) < len(sides[0]))

    def kept_by(self, mask: np.ndarray) -> int:
        """How many clicks agree with (H, W) bool."""
        limit = np.array(mask.shape[::-1]) - 1
        x, y = np.clip(np.rint(self.xy).astype(int), 0, limit).T
        return int((mask[y, x] == self.positive).sum())


class Masker:
    """Runs a segmenter on slices; image embeddings are computed once per slice.

    Attributes:
        format: in which images are embedded; masks are decoded in float32.
    """

    def __init__(
        self, viewer: Viewer, segmenter: PromptableSegmenter, voting: str | None, precision: str, cache: TensorCache
    ) -> None:
        self._viewer = viewer
        self._placed = Placed(segmenter)
        self._voting = voting
        self.format = NumberFormat(f"The image encoder of {segmenter.name}", precision)
        self._cache = cache

    @property
    def segmenter(self) -> PromptableSegmenter:
        """On the device where it is now."""
        return self._placed.model

    def embed(self, indices: Sequence[int]) -> list[ImageEmbeddings]:
        """The embeddings of the slices in ``indices``; those that are missing are computed in one batch.

        Raises:
            DeviceError: there is too little memory, even for one slice on the CPU.
        """
        size = self.segmenter.image_size

        def make(missing: list[int]) -> list[Tensors]:
            pictures = self._viewer.pictures([indices[position] for position in missing], size)

            def work() -> list[Tensors]:
                return [{"features": features} for features in self.segmenter.embed(pictures).features]

            return self.format.run(self.segmenter.device, work)

        keys = [f"embedding {index}" for index in indices]
        kept = self._placed.run(lambda: self._cache.each(keys, make))
        return [ImageEmbeddings(embedding["features"][None], (size, size)) for embedding in kept]

    def mask(
        self,
        index: int,
        boxes: np.ndarray,
        coarse: np.ndarray,
        prompt: Prompt,
        positive: np.ndarray,
        negative: np.ndarray,
        heat: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The mask that the chain gives: from boxes, from points sampled in the coarse mask, or both, and clicks.

        Clicks count only where the mask without them disagrees with them, and only a mask that agrees with more of
        them replaces it: a click on a right result changes nothing.

        Args:
            boxes: (B, 4) in slice pixels.
            coarse: (H, W) bool that the boxes are drawn around.
            positive, negative: (n, 3) slice, row, column.
            heat: (H, W) saliency in 0..1 that says by itself where the structure is; see `merge`.

        Returns:
            (H, W) bool, and (B,) scores of the segmenter.
        """
        clicks = _Clicks.on(index, positive, negative)
        mask, scores = np.zeros(coarse.shape, bool), np.zeros(0)
        if len(boxes):
            sampled = None if prompt.visual == "box" else _sampled(coarse, boxes)
            probability, scores = self._run(index, None if prompt.visual == "points" else boxes, sampled, None)
            mask = _decided(probability, scores, heat)
        mask, scores = self._corrected(index, boxes, clicks, mask, scores)
        return self._viewer.within(index, mask), scores

    def probabilities(
        self,
        index: int,
        boxes: Sequence[np.ndarray],
        coarse: np.ndarray,
        prompt: Prompt,
        positive: np.ndarray,
        negative: np.ndarray,
        heat: np.ndarray | None = None,
        *,
        proposals: bool = False,
    ) -> tuple[np.ndarray, np.ndarray]:
        """What `mask` would draw for several sets of boxes, each as a probability that is above one half in its mask.

        Args:
            boxes: sets of as many boxes, (B, 4) each.
            coarse, prompt, positive, negative, heat: as of `mask`.
            proposals: each of the three masks that the segmenter proposes counts as a set of its own.

        Returns:
            (sets, H, W) float32, and (sets,) mean scores of the segmenter, NaN where there are no boxes.
        """
        clicks = _Clicks.on(index, positive, negative)
        each, many = len(boxes[0]), 3 if proposals else 1
        drawn = np.zeros((len(boxes) * many, *coarse.shape), np.float32)
        scores = np.full((len(drawn), max(1, each)), np.nan)
        if each:
            sampled = None if prompt.visual == "box" else np.concatenate([_sampled(coarse, some) for some in boxes])
            asked = None if prompt.visual == "points" else np.concatenate(boxes)
            answers = self._answers(index, asked, sampled, None, proposals or self._voting is not None)
            for number, (masks, quality) in enumerate(answers):
                one, box = divmod(number, each)
                if not proposals:
                    masks, quality = self._one(masks, quality)[None], quality.max(keepdims=True)
                own = slice(one * many, (one + 1) * many)
                drawn[own] = np.maximum(drawn[own], masks)
                scores[own, box] = quality
            if heat is not None:
                for number, quality in enumerate(scores):
                    drawn[number] = _even(_merged(drawn[number], quality, heat))
        for number in range(len(drawn)):
            mask = drawn[number] > _INSIDE
            if clicks.kept_by(mask) < len(clicks.xy):
                drawn[number] = self._corrected(index, boxes[0], clicks, mask, np.zeros(0))[0]
        return self._viewer.within(index, drawn), scores.mean(1)

    def decode(
        self,
        index: int,
        boxes: np.ndarray,
        points: Sequence[tuple[float, float, bool]],
        before: tuple[np.ndarray, np.ndarray] | None = None,
        heat: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The mask for boxes and points (x, y, positive) as a person gave them.

        Args:
            before: mask and scores that stay if they agree with the points; None for boxes that are new.
            heat: as of `mask`; it counts inside of the boxes, and only if it fills them: a person may well have drawn
                them because it is wrong.
        """
        clicks = _Clicks(
            np.array([point[:2] for point in points], float).reshape(-1, 2),
            np.array([point[2] for point in points], bool),
        )
        if before is None:
            before = np.zeros(self._viewer.stack.array.shape[1:], bool), np.zeros(0)
            if len(boxes):
                probability, scores = self._run(index, boxes, None, None)
                trusted = None if heat is None else _within_boxes(heat, boxes)
                before = _decided(probability, scores, trusted), scores
        mask, scores = self._corrected(index, boxes, clicks, *before)
        return self._viewer.within(index, mask), scores

    def _corrected(
        self, index: int, boxes: np.ndarray, clicks: _Clicks, mask: np.ndarray, scores: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """``mask`` and its scores, or those that agree with more of the clicks."""
        if clicks.kept_by(mask) == len(clicks.xy):
            return mask, scores
        corrected, corrected_scores = self._with_clicks(index, boxes, clicks)
        better = clicks.kept_by(corrected) > clicks.kept_by(mask)
        return (corrected, corrected_scores) if better else (mask, scores)

    def _with_clicks(self, index: int, boxes: np.ndarray, clicks: _Clicks) -> tuple[np.ndarray, np.ndarray]:
        if not len(boxes) and not clicks.positive.any():
            return np.zeros(self._viewer.stack.array.shape[1:], bool), np.zeros(0)
        probability, scores = self._run(index, *_points_by_box(boxes, clicks))
        return probability > _INSIDE, scores

    def _run(
        self, index: int, boxes: np.ndarray | None, points: np.ndarray | None, labels: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """One decoder call: (H, W) probability of being in any of the masks, and (B,) scores; see `_answers`."""
        union = np.zeros(self._viewer.stack.array.shape[1:], np.float32)
        best = []
        for masks, scores in self._answers(index, boxes, points, labels, self._voting is not None):
            union = np.maximum(union, self._one(masks, scores))
            best.append(scores.max())
        return union, np.array(best)

    def _answers(
        self,
        index: int,
        boxes: np.ndarray | None,
        points: np.ndarray | None,
        labels: np.ndarray | None,
        multimask: bool,
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """One decoder call, for each prompt in turn (M, H, W) probabilities on the slice, and (M,) scores.

        Boxes (B, 4) and points (B, P, 2) are in slice pixels; labels (B, P), or None for all positive.
        """
        shape = self._viewer.stack.array.shape[1:]
        (embedding,) = self.embed([index])
        size, frame = self.segmenter.image_size, self._viewer.frame
        if boxes is not None:  # their numbers count pixel edges, all other positions pixel centres
            boxes = frame.points_to_frame(boxes.reshape(-1, 2) - 0.5, size).reshape(-1, 4)
        if points is not None:
            labels = np.ones(points.shape[:2], int) if labels is None else labels
            points = frame.points_to_frame(points.reshape(-1, 2), size).reshape(points.shape)
        made = self._placed.run(lambda: self.segmenter.decode(embedding, boxes, points, labels, multimask))
        for masks, scores in zip(made.masks, made.scores, strict=True):
            yield np.stack([frame.restore(mask, shape) for mask in masks]), scores

    def _one(self, masks: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """(M, H, W) proposals of one box -> (H, W) by vote, or the only one."""
        return masks[0] if self._voting is None else combine(masks, scores, self._voting)


def _decided(probability: np.ndarray, scores: np.ndarray, heat: np.ndarray | None) -> np.ndarray:
    """(H, W) bool by the segmenter alone, or together with the saliency."""
    return probability > _INSIDE if heat is None else without_pinholes(merge(probability, scores, heat))


def _within_boxes(heat: np.ndarray, boxes: np.ndarray) -> np.ndarray | None:
    """(H, W) saliency with zeros outside of (B, 4) boxes; None if it does not fill them."""
    inside = np.zeros(heat.shape, bool)
    spanned = 0
    for box in boxes:
        x0, y0, x1, y1 = np.clip(np.rint(box), 0, [*heat.shape[::-1]] * 2).astype(int)
        inside[y0:y1, x0:x1] = True
        rows, columns = np.nonzero(heat[y0:y1, x0:x1] > _INSIDE)
        spanned += (np.ptp(rows) + 1) * (np.ptp(columns) + 1) if len(rows) else 0
    return heat * inside if spanned >= _AGREES * inside.sum() else None


def merge(probability: np.ndarray, scores: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """(H, W) bool from two answers about a pixel, each weighted by the inverse of its squared expected error.

    A segmenter that draws part of what fills its box says so itself: its expected intersection over union is low, and
    the saliency counts for more. The error of the saliency is a constant, measured on labelled volumes.

    Args:
        probability: (H, W) of the segmenter; scores: (B,) what it expects of its masks.
        heat: (H, W) probability by the saliency.
    """
    return _merged(probability, scores, heat) > _MERGED_INSIDE


def _merged(probability: np.ndarray, scores: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """(H, W) in 0..1, see `merge`."""
    error = (1 - float(np.clip(scores.mean(), 0, 1))) ** 2
    share = error / (error + _HEAT_ERROR**2)
    return (1 - share) * probability + share * heat


def _even(merged: np.ndarray) -> np.ndarray:
    """(H, W) `_merged` -> the same in two straight lines, which bring its threshold to one half."""
    low, high = _INSIDE / _MERGED_INSIDE, (1 - _INSIDE) / (1 - _MERGED_INSIDE)
    return np.where(merged < _MERGED_INSIDE, low * merged, 1 - high * (1 - merged))


def without_pinholes(mask: np.ndarray) -> np.ndarray:
    """Fills the holes of (H, W) bool that are smaller than 2 % of it."""
    holes, _ = label(~mask, corners=False)
    sizes = np.bincount(holes.ravel())
    return mask | (sizes < int(_PINHOLE * sizes[0]))[holes]  # sizes[0] is the mask's own


def _sampled(coarse: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(B, P, 2) points in the component that each box is drawn around; P is the same for all boxes."""
    labels, _ = label(coarse)
    rows = []
    for x0, y0, x1, y1 in np.rint(boxes).astype(int):
        inside = labels[y0 : y1 + 1, x0 : x1 + 1]
        largest = np.bincount(inside[inside > 0]).argmax() if inside.any() else 0
        points = sample_points(inside == largest, _SAMPLED_POINTS) + np.array([x0, y0])
        rows.append(np.resize(points, (_SAMPLED_POINTS, 2)))  # a component of few pixels repeats them
    return np.stack(rows)


def _points_by_box(
    boxes: np.ndarray, clicks: _Clicks
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """Gives every box the positive clicks that lie in it or nearest to it, and all negative ones.

    All boxes of one call must have as many points: those with fewer are filled up with points labelled -1.
    """
    if not len(clicks.xy):
        return boxes, None, None
    if not len(boxes):
        return None, clicks.xy[None], clicks.positive[None].astype(int)
    outside = np.maximum(boxes[None, :, :2] - clicks.xy[:, None], clicks.xy[:, None] - boxes[None, :, 2:])
    owner = np.linalg.norm(np.maximum(outside, 0), axis=2).argmin(1)
    mine = (owner == np.arange(len(boxes))[:, None]) | ~clicks.positive
    labels = np.where(mine, clicks.positive.astype(int), -1)
    return boxes, np.broadcast_to(clicks.xy, (len(boxes), *clicks.xy.shape)), labels
