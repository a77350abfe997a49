"""One volume, its models and what they have already worked out: the object that runs the chain."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import ndimage

from .clip.base import ImageTextModel
from .continuity import choose, steady_boxes, without_strays
from .errors import Cancelled, InputError
from .evidence import Progress, SegmentEvidence, SliceEvidence, SliceSummary
from .localize import binarizer
from .locating import Locator
from .looking import Looker, Viewer, memory_budget
from .masking import Masker
from .presence import HIGH, present, score
from .prompt import Prompt
from .sam.base import PromptableSegmenter
from .settings import Settings
from .volume import SliceStack, Volume

_SLICES_AT_ONCE = 8  # between two looks at the cancel flag, where a slice takes a moment
# What the segmenter expects of its mask; with LiteMedSAM on a CT, 95 % of true boxes gave more than 0.69, and boxes
# beside an organ or on a slice without it 0.4 to 0.8.
_CONFIRMED = 0.5

ReportProgress = Callable[[Progress], None]
IsCancelled = Callable[[], bool]


@dataclass(frozen=True)
class _Run:
    """What the stages of one run over the volume share; ``positive`` and ``negative`` are (n, 3) slice, row, column."""

    prompt: Prompt
    indices: list[int]
    positive: np.ndarray
    negative: np.ndarray
    report: ReportProgress
    cancelled: IsCancelled | None
    seconds: dict[str, float] = field(default_factory=dict)

    def batches(self, stage: str, rows: Sequence[int], size: int) -> Iterator[Sequence[int]]:
        """Hands out ``rows`` by ``size``, asks before each batch whether to stop, and reports after it."""
        for start in range(0, len(rows), size):
            if self.cancelled is not None and self.cancelled():
                raise Cancelled("The run was cancelled.")
            batch = rows[start : start + size]
            yield batch
            self.report(Progress(self.prompt.name, stage, start + len(batch), len(rows)))


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
        self._locator = Locator(
            viewer,
            self._binarize,
            stretched=self.settings.slicewise or not self._looker.method.absolute,
            slicewise=self.settings.slicewise,
        )
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
        heat = self._locator.heat(saliency)
        boxes, coarse = np.empty((0, 4)), np.zeros(self.stack.array.shape[1:], bool)
        if found:
            with _timed(seconds, "localisation"):
                coarse = self._locator.coarse(index, heat, prompt.instances)
                here = [points - (index, 0, 0) for points in (positive, negative)]
                coarse = choose(coarse[None], prompt.instances, self.stack.spacing, *here)[0]
                boxes = self._locator.boxes(coarse)
        with _timed(seconds, "mask"):
            mask, scores = self._masker.mask(index, boxes, coarse, prompt, positive, negative, self._trusted(heat))
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
            progress: told after every few slices, after each with a method that takes seconds for one.
            cancelled: asked as often, and between the steps of such a method.

        Raises:
            InputError: there is no such slice.
            Cancelled: ``cancelled`` said so; nothing is kept of the run but what makes the next one faster.
        """
        indices = list(range(len(self.stack)) if slices is None else slices)
        self._check(indices)
        run = _Run(prompt, indices, *self._points(prompt), progress or (lambda _: None), cancelled)
        maps, clues = self._look(run)
        scores = np.array([score(clue) for clue in clues])
        with _timed(run.seconds, "localisation"):
            coarse = self._candidates(run, maps, self._presence(run, scores))
            boxes = [self._locator.boxes(plane) for plane in coarse]
            if not self.settings.slicewise:
                boxes = steady_boxes(boxes)
        masks, trust = self._masks(run, boxes, coarse, maps)
        with _timed(run.seconds, "cleaning"):
            if not self.settings.slicewise:
                masks[self._doubted(run, scores, trust)] = False
                masks = without_strays(masks, coarse)
        return self._conclude(run, scores, clues, boxes, masks, trust)

    def _look(self, run: _Run) -> tuple[np.ndarray, list[dict[str, float]]]:
        """Saliency of all slices, (N, S, S) float16, and their clues."""
        size = self.clip.image_size
        maps, clues = np.empty((len(run.indices), size, size), np.float16), []
        at_once = _SLICES_AT_ONCE if self._looker.method.absolute else 1
        with _timed(run.seconds, "saliency"):
            for rows in run.batches("saliency", range(len(run.indices)), at_once):
                batch, found = self._looker.look(run.prompt, [run.indices[row] for row in rows], run.cancelled)
                maps[rows[0] : rows[-1] + 1] = batch.maps.cpu().numpy()
                clues += found
        return maps, clues

    def _presence(self, run: _Run, scores: np.ndarray) -> np.ndarray:
        """(N,) bool: on which slices the structure is; a slice that was clicked has it."""
        if self.settings.slicewise:
            return np.ones(len(run.indices), bool)
        return present(scores, self.stack.spacing[0]) | np.isin(run.indices, np.rint(run.positive[:, 0]))

    def _candidates(self, run: _Run, maps: np.ndarray, found: np.ndarray) -> np.ndarray:
        """(N, H, W) bool: the components of the saliency that the prompt means."""
        coarse = np.zeros((len(run.indices), *self.stack.array.shape[1:]), bool)
        for row in np.flatnonzero(found):
            coarse[row] = self._locator.coarse(run.indices[row], self._locator.heat(maps[row]), run.prompt.instances)
        if self.settings.slicewise:
            return coarse
        shift = np.array([run.indices[0] if run.indices else 0, 0, 0])
        points = (run.positive - shift, run.negative - shift)
        return choose(coarse, run.prompt.instances, self.stack.spacing, *points)

    def _masks(
        self, run: _Run, boxes: list[np.ndarray], coarse: np.ndarray, maps: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """(N, H, W) bool masks from the segmenter, and (N,) its mean score on each slice, NaN where it did not run."""
        masks, trust = np.zeros(coarse.shape, bool), np.full(len(coarse), np.nan)
        for rows in run.batches("mask", [row for row, box in enumerate(boxes) if len(box)], _SLICES_AT_ONCE):
            with _timed(run.seconds, "embedding"):
                self._masker.embed([run.indices[row] for row in rows])
            with _timed(run.seconds, "mask"):
                for row in rows:
                    heat = self._trusted(self._locator.heat(maps[row]))
                    place = (run.indices[row], boxes[row], coarse[row])
                    masks[row], answers = self._masker.mask(*place, run.prompt, run.positive, run.negative, heat)
                    trust[row] = answers.mean()
        return masks, trust

    def _doubted(self, run: _Run, scores: np.ndarray, trust: np.ndarray) -> np.ndarray:
        """(N,) bool: slices at the ends of the structure that only continue it and that the segmenter does not confirm.

        Between two slices that are sure the structure goes on.
        """
        ran = ~np.isnan(trust)
        clicked = np.isin(run.indices, np.rint(run.positive[:, 0]))
        sure = ran & ((scores >= HIGH) | (np.nan_to_num(trust) >= _CONFIRMED) | clicked)
        return ran & ~ndimage.binary_fill_holes(sure)

    def _conclude(
        self,
        run: _Run,
        scores: np.ndarray,
        clues: list[dict[str, float]],
        boxes: list[np.ndarray],
        masks: np.ndarray,
        trust: np.ndarray,
    ) -> SegmentEvidence:
        """Corrections by hand go over what was found."""
        summaries = []
        for row, index in enumerate(run.indices):
            correction = self._corrections.get((run.prompt.name, index))
            if correction:
                masks[row] = correction.mask
            summaries.append(
                SliceSummary(
                    index,
                    float(scores[row]),
                    clues[row],
                    bool(masks[row].any()),
                    correction.boxes if correction else boxes[row],
                    None if np.isnan(trust[row]) else float(trust[row]),
                    correction is not None,
                )
            )
        whole = np.zeros(self.stack.array.shape, bool)
        whole[run.indices] = masks
        return SegmentEvidence(
            run.prompt.name,
            self.stack.restore(whole),
            tuple(summaries),
            self._looker.method.name,
            self._binarize.name,
            run.seconds,
        )

    def _trusted(self, heat: np.ndarray) -> np.ndarray | None:
        """The heat map, if it is a probability and not only relative."""
        return None if self._locator.stretched else heat

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


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    try:
        yield
    finally:
        seconds[stage] = seconds.get(stage, 0.0) + time.perf_counter() - start
