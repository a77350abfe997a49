"""One volume, its models and what they have already worked out: the object that runs the chain."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from .clip.base import ImageTextModel
from .continuity import choose, steady_boxes, without_specks, without_strays
from .errors import Cancelled, InputError
from .evidence import Progress, SegmentEvidence, SliceEvidence, SliceSummary
from .localize import binarizer, bounding_boxes, keep_largest
from .looking import Looker, Viewer, memory_budget
from .masking import Masker
from .presence import HIGH, present, score
from .prompt import Prompt
from .sam.base import PromptableSegmenter
from .settings import Settings
from .volume import SliceStack, Volume

_CHUNK = 8  # slices between two looks at the cancel flag

ReportProgress = Callable[[Progress], None]
IsCancelled = Callable[[], bool]


class Session:
    """MedCLIP-SAMv2's chain (Koleilat et al., arXiv:2409.19483) on one volume: text -> saliency -> box -> SAM.

    Attributes:
        stack: the slices, in the order in which their numbers are given.
        window: the intensities that the models are shown.

    Raises:
        InputError: a choice in ``settings`` does not exist or does not go with the model.
    """

    def __init__(
        self,
        volume: Volume,
        clip: ImageTextModel,
        segmenter: PromptableSegmenter,
        settings: Settings | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self.clip = clip
        self.segmenter = segmenter
        self.stack = SliceStack(volume, self.settings.axis)
        viewer = Viewer(self.stack, self.settings.window, whole=self.settings.exact)
        self.window = viewer.window
        budget = memory_budget()
        self._looker = Looker(viewer, clip, self.settings, budget // 2)
        self._masker = Masker(viewer, segmenter, self.settings.voting, budget // 2)
        name = self.settings.localize or ("kmeans" if self.settings.exact else self._looker.method.localizer)
        self._binarize = binarizer(name)
        self._viewer = viewer
        self._corrections: dict[tuple[str, int], SliceEvidence] = {}

    def preview(self, index: int, prompt: Prompt, cancelled: IsCancelled | None = None) -> SliceEvidence:
        """The whole chain on slice ``index``, without its neighbours.

        Raises:
            InputError: there is no such slice.
            Cancelled: ``cancelled`` said so.
        """
        self._check([index])
        seconds: dict[str, float] = {}
        with _timed(seconds, "saliency"):
            batch, clues = self._looker.look(prompt, [index], cancelled)
        saliency = batch.maps[0].cpu().numpy()
        value = score(clues[0])
        positive, negative = self._points(prompt)
        clicked = bool((np.rint(positive[:, 0]) == index).any())
        found = self.settings.slicewise or clicked or value >= HIGH
        boxes, coarse = np.empty((0, 4)), np.zeros(self.stack.array.shape[1:], bool)
        if found:
            with _timed(seconds, "localisation"):
                coarse = self._coarse(index, saliency, prompt)
                here = [points - (index, 0, 0) for points in (positive, negative)]
                coarse = choose(coarse[None], prompt.instances, self.stack.spacing, *here)[0]
                boxes = self._boxes(coarse)
        with _timed(seconds, "mask"):
            mask, scores = self._masker.mask(index, boxes, coarse, prompt, positive, negative, self._heat(saliency))
        return SliceEvidence(
            index, saliency, self._viewer.frame, value, clues[0], found, boxes, mask, scores, seconds=seconds
        )

    def edit(
        self,
        index: int,
        prompt: Prompt,
        boxes: np.ndarray | None = None,
        points: Sequence[tuple[float, float, bool]] = (),
    ) -> SliceEvidence:
        """Runs only the mask decoder again, with boxes or points from a person; later runs keep the result.

        Args:
            boxes: (B, 4) x0, y0, x1, y1 in pixels of the slice; None keeps those of the last look.
            points: x, y in pixels of the slice, and whether the structure is there.

        Raises:
            InputError: there is no such slice, or a box has no area.
        """
        before = self._corrections.get((prompt.name, index)) or self.preview(index, prompt)
        chosen = before.boxes if boxes is None else np.asarray(boxes, float).reshape(-1, 4)
        if (chosen[:, 2:] <= chosen[:, :2]).any():
            raise InputError(f"A box on slice {index} has no area; give x0 < x1 and y0 < y1.")
        seconds: dict[str, float] = {}
        with _timed(seconds, "mask"):
            mask, scores = self._masker.decode(index, chosen, points)
        evidence = replace(
            before,
            boxes=chosen,
            mask=mask,
            segmenter_scores=scores,
            found=bool(mask.any()),
            edited=True,
            seconds=seconds,
        )
        self._corrections[prompt.name, index] = evidence
        return evidence

    def forget_edits(self, prompt: Prompt) -> None:
        """Drops what was corrected by hand for ``prompt``."""
        self._corrections = {key: value for key, value in self._corrections.items() if key[0] != prompt.name}

    def segment(
        self,
        prompt: Prompt,
        slices: Sequence[int] | None = None,
        progress: ReportProgress | None = None,
        cancelled: IsCancelled | None = None,
    ) -> SegmentEvidence:
        """The chain over the volume, with presence and boxes decided along the axis.

        Args:
            slices: numbers of neighbouring slices in order; all if not given.
            progress: told after every few slices.
            cancelled: asked every few slices.

        Raises:
            InputError: there is no such slice.
            Cancelled: ``cancelled`` said so; nothing is kept of the run but what makes the next one faster.
        """
        indices = list(range(len(self.stack)) if slices is None else slices)
        self._check(indices)
        seconds: dict[str, float] = {}
        report = progress or (lambda _: None)
        positive, negative = self._points(prompt)

        maps, clues = self._look(indices, prompt, seconds, report, cancelled)
        scores = np.array([score(clue) for clue in clues])
        with _timed(seconds, "localisation"):
            found = self._presence(scores, indices, positive)
            coarse = self._candidates(indices, maps, found, prompt, positive, negative)
            boxes = [self._boxes(plane) for plane in coarse]
            if not self.settings.slicewise:
                boxes = steady_boxes(boxes)
        masks = self._masks(indices, boxes, coarse, maps, prompt, positive, negative, seconds, report, cancelled)
        return self._conclude(prompt, indices, scores, clues, boxes, coarse, masks, seconds)

    def _look(self, indices, prompt, seconds, report, cancelled) -> tuple[np.ndarray, list[dict[str, float]]]:
        """Saliency of all slices, (N, S, S) float16, and their clues."""
        size = self.clip.image_size
        maps, clues = np.empty((len(indices), size, size), np.float16), []
        with _timed(seconds, "saliency"):
            for start in range(0, len(indices), _CHUNK):
                _stop_if(cancelled)
                chunk = indices[start : start + _CHUNK]
                batch, found = self._looker.look(prompt, chunk, cancelled)
                maps[start : start + len(chunk)] = batch.maps.cpu().numpy()
                clues += found
                report(Progress(prompt.name, "saliency", start + len(chunk), len(indices)))
        return maps, clues

    def _presence(self, scores: np.ndarray, indices: Sequence[int], positive: np.ndarray) -> np.ndarray:
        """(N,) bool: on which slices the structure is; a slice that was clicked has it."""
        if self.settings.slicewise:
            return np.ones(len(indices), bool)
        return present(scores, self.stack.spacing[0]) | np.isin(indices, np.rint(positive[:, 0]))

    def _candidates(self, indices, maps, found, prompt, positive, negative) -> np.ndarray:
        """(N, H, W) bool: the components of the saliency that the prompt means."""
        coarse = np.zeros((len(indices), *self.stack.array.shape[1:]), bool)
        for row in np.flatnonzero(found):
            coarse[row] = self._coarse(indices[row], maps[row].astype(np.float32), prompt)
        if self.settings.slicewise:
            return coarse
        shift = np.array([indices[0] if indices else 0, 0, 0])
        return choose(coarse, prompt.instances, self.stack.spacing, positive - shift, negative - shift)

    def _masks(
        self, indices, boxes, coarse, maps, prompt, positive, negative, seconds, report, cancelled
    ) -> np.ndarray:
        """(N, H, W) bool masks from the segmenter."""
        masks = np.zeros(coarse.shape, bool)
        rows = [row for row, box in enumerate(boxes) if len(box)]
        for start in range(0, len(rows), _CHUNK):
            _stop_if(cancelled)
            chunk = rows[start : start + _CHUNK]
            with _timed(seconds, "embedding"):
                self._masker.embed([indices[row] for row in chunk])
            with _timed(seconds, "mask"):
                for row in chunk:
                    heat = self._heat(maps[row].astype(np.float32))
                    masks[row], _ = self._masker.mask(
                        indices[row], boxes[row], coarse[row], prompt, positive, negative, heat
                    )
            report(Progress(prompt.name, "mask", start + len(chunk), len(rows)))
        return masks

    def _conclude(self, prompt, indices, scores, clues, boxes, coarse, masks, seconds) -> SegmentEvidence:
        with _timed(seconds, "cleaning"):
            if not self.settings.slicewise:
                masks = without_strays(masks, coarse)
            summaries = []
            for row, index in enumerate(indices):
                correction = self._corrections.get((prompt.name, index))
                if correction:
                    masks[row] = correction.mask
                summaries.append(
                    SliceSummary(
                        index,
                        float(scores[row]),
                        clues[row],
                        bool(masks[row].any()),
                        correction.boxes if correction else boxes[row],
                        correction is not None,
                    )
                )
            whole = np.zeros(self.stack.array.shape, bool)
            whole[indices] = masks
        return SegmentEvidence(
            prompt.name,
            self.stack.restore(whole),
            tuple(summaries),
            self._looker.method.name,
            self._binarize.name,
            seconds,
        )

    def _coarse(self, index: int, saliency: np.ndarray, prompt: Prompt) -> np.ndarray:
        """(S, S) saliency -> (H, W) bool on the slice."""
        slicewise = self.settings.slicewise or not self._looker.method.absolute
        if slicewise:  # as published: the largest value of every slice is 1
            low, high = float(saliency.min()), float(saliency.max())
            saliency = (saliency - low) / (high - low) if high > low else np.zeros_like(saliency)
        heat = self._viewer.frame.restore(saliency, self.stack.array.shape[1:])
        coarse = self._binarize(heat, self._viewer.slice_uint8(index))
        return keep_largest(coarse, prompt.instances or 1) if slicewise else coarse

    def _heat(self, saliency: np.ndarray) -> np.ndarray | None:
        """(S, S) saliency -> (H, W) on the slice, if it says by itself where the structure is."""
        if self.settings.slicewise or not self._looker.method.absolute:
            return None
        return self._viewer.frame.restore(saliency, self.stack.array.shape[1:])

    def _boxes(self, coarse: np.ndarray) -> np.ndarray:
        if self.settings.slicewise:
            height, width = coarse.shape
            # As published: where nothing stands out, the box is the whole slice.
            boxes = bounding_boxes(coarse) if coarse.any() else np.array([[0, 0, width - 1, height - 1]])
        else:
            boxes = bounding_boxes(without_specks(coarse), each=True)
        return boxes[(boxes[:, 2:] > boxes[:, :2]).all(1)].astype(float)

    def _points(self, prompt: Prompt) -> tuple[np.ndarray, np.ndarray]:
        """Positive and negative points, each (n, 3) float slice, row, column."""
        sides = ([point.ras for point in prompt.points if point.positive is side] for side in (True, False))
        positive, negative = (self.stack.ras_to_slice(np.array(side, float).reshape(-1, 3)) for side in sides)
        shape = np.array(self.stack.array.shape)
        for point in np.rint(np.concatenate([positive, negative])):
            if ((point < 0) | (point >= shape)).any():
                raise InputError(f"A point of the prompt {prompt.name!r} is outside of the volume; move or remove it.")
        return positive, negative

    def _check(self, indices: Sequence[int]) -> None:
        last = len(self.stack) - 1
        for index in indices:
            if not 0 <= index <= last:
                raise InputError(f"Slice {index} does not exist; choose from 0 to {last}.")


def _stop_if(cancelled: IsCancelled | None) -> None:
    if cancelled is not None and cancelled():
        raise Cancelled("The run was cancelled.")


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    try:
        yield
    finally:
        seconds[stage] = seconds.get(stage, 0.0) + time.perf_counter() - start
