"""One volume, its models and what they have already worked out: the object that runs the chain."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import pairwise
from typing import Any

import numpy as np

from ..clip.base import ImageTextModel
from ..errors import InputError
from ..localize.continuity import choose, remove_strays, without
from ..machine.cache import TensorCache, default_budget
from ..machine.precision import pick_precision
from ..presence import HIGH
from ..presence.presence import SECOND_LOOK, doubted, score
from ..prompt.prompt import Prompt
from ..sam.base import PromptableSegmenter
from ..sam.voting import check_voting
from ..uncertainty.doubt import Uncertainty
from ..uncertainty.spread import Spread
from ..volume import SliceStack, Volume
from ..volume.region import Region
from .again import SecondLooker, which_look
from .concluding import summarise
from .contrast import show
from .doubting import Doubter
from .evidence import SegmentEvidence, SliceEvidence, SliceSummary
from .locating import Locator, each_counts
from .looking import Looker
from .masking import Masker
from .pointing import points_seen
from .run import IsCancelled, ReportProgress, Run, ShowMask, timed
from .settings import Settings
from .stages import Stages


class Session:
    """MedCLIP-SAMv2's chain (Koleilat et al., arXiv:2409.19483) on one volume: text -> saliency -> box -> SAM.

    Args:
        memory: bytes that may be kept of what was computed, see `cache.default_budget`; the rest is kept on disk.

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
        memory: int | None = None,
    ) -> None:
        self.settings = settings or Settings()
        check_voting(self.settings.voting)
        self.stack = SliceStack(volume, self.settings.axis)
        cache = TensorCache(default_budget() if memory is None else memory)
        # The published results are those of float32.
        precision = "fp32" if self.settings.exact and self.settings.precision == "auto" else self.settings.precision
        for model in (clip, segmenter):
            pick_precision(precision, model.device)  # one that is unknown, or not for that device, is refused now
        saliency, twice = which_look(self.settings, clip, segmenter)
        viewer = self._viewer = show(self.stack, self.settings, clip, segmenter, twice, precision)
        self.window = viewer.window
        self._looker = Looker(viewer, clip, saliency, self.settings, precision, cache)
        self._masker = Masker(viewer, segmenter, self.settings.voting, precision, cache)
        self._again = SecondLooker(self._looker, self._masker, twice, precision, cache) if twice else None
        self._locator = Locator(
            viewer,
            self.settings.localize or ("kmeans" if self.settings.exact else self._looker.method.localizer),
            stretched=self.settings.slicewise or not self._looker.method.absolute,
            slicewise=self.settings.slicewise,
        )
        self._stages = Stages(
            self.stack, self._looker, self._again, self._locator, self._masker, self.settings.judges_presence
        )
        first, chosen = self._looker, self.settings  # a session that knew itself would outlive its user

        @functools.cache
        def reseeded(number: int) -> Looker:
            return Looker(viewer, first.model, saliency, replace(chosen, seed=chosen.seed + number), precision, cache)

        self._doubter = Doubter(self._stages, reseeded)
        self._corrections: dict[tuple[str, int], SliceEvidence] = {}
        self._looks: dict[tuple[Prompt, int], SliceEvidence] = {}  # what the corrections started from
        self._last_look: tuple[tuple[Prompt, int], SliceEvidence] | None = None

    @property
    def clip(self) -> ImageTextModel:
        """On the device where it is now: on the CPU, where its own failed."""
        return self._looker.model

    @property
    def segmenter(self) -> PromptableSegmenter:
        """On the device where it is now, likewise."""
        return self._masker.segmenter

    @property
    def models(self) -> tuple[tuple[str, str, str], ...]:
        """(role, name, checksum) of each model, for provenance."""
        models: dict[str, Any] = {"clip": self.clip, "segmenter": self.segmenter}
        if self._again:
            models["second look"] = self._again.about
        return tuple((role, model.name, model.checksum) for role, model in models.items())

    @property
    def vocabulary(self) -> tuple[str, ...] | None:
        """The terms that the models were taught, in both looks; None for a model of free text."""
        first = self.clip.vocabulary
        if first is None or self._again is None:
            return None if first is None else first.terms
        return (*first.terms, *sorted(self._again.about.answers.keys() - set(first.terms)))

    @property
    def choices(self) -> dict[str, Any]:
        """What a run does, chosen by a person or by the models; values that JSON can hold."""
        method = self._looker.method
        return self.settings.as_dict() | {
            "axis": self.stack.plane,
            "axis_because": self.stack.reason,
            "saliency": method.name,
            **method.choices,
            "localize": self._locator.localize,
            "window": asdict(self.window),
            "window_because": self._viewer.reason,
            "precision": {
                "clip": self._looker.format.on(self.clip.device),
                "segmenter": self._masker.format.on(self.segmenter.device),
            },
        }

    def preview(
        self, index: int, prompt: Prompt, cancelled: IsCancelled | None = None, *, quick: bool = False
    ) -> SliceEvidence:
        """The whole chain on slice ``index``, without its neighbours.

        Args:
            quick: by the saliency method that stands in for that of a run where it is slow.

        Raises:
            InputError: there is no such slice, or a point is outside of what the models see.
            Cancelled: ``cancelled`` said so.
        """
        self._check([index])
        seconds: dict[str, float] = {}
        with timed(seconds, "saliency"):
            method = self._looker.quick if quick else self._looker.method
            asked = self._stages.knowing(prompt)
            (saliency,), clues = asked.look(prompt, [index], cancelled, quick=quick)
            if better := self._stages.better(asked, prompt, [index], clues):
                asked = better
                (saliency,), clues = asked.look(prompt, [index], cancelled)
        saliency = saliency.astype(np.float32)
        positive, negative = self._points(prompt)
        clicked = bool((np.rint(positive[:, 0]) == index).any())
        sure = asked is self._looker and not clicked and score(clues[0], prompt.sensitivity) >= HIGH
        if sure and (doubt := self._stages.doubt(prompt, [index])) is not None:
            clues[0][SECOND_LOOK] = doubt
        value = score(clues[0], prompt.sensitivity)
        looked_for = not self.settings.judges_presence or clicked or value >= HIGH
        heat = self._locator.heat(index, saliency, prompt)
        boxes, coarse, rejected = np.empty((0, 4)), np.zeros(self.stack.array.shape[1:], bool), {}
        if looked_for:
            with timed(seconds, "localisation"):
                coarse = self._locator.coarse(index, heat, prompt)
                if not self.settings.slicewise:
                    here = [points[np.rint(points[:, 0]) == index] * (0, 1, 1) for points in (positive, negative)]
                    rejected = choose(coarse[None], prompt.instances, self.stack.spacing, *here)
                boxes = self._locator.boxes(coarse, prompt)
        with timed(seconds, "mask"):
            trusted = None if self._locator.stretched else without(heat, rejected.get(0))
            mask, scores = self._masker.mask(index, boxes, coarse, prompt, positive, negative, trusted)
        found, meaning = bool(mask.any()), asked.meaning(prompt)
        evidence = SliceEvidence(
            index,
            saliency,
            self._viewer.frame,
            value,
            clues[0],
            found,
            boxes,
            mask,
            scores,
            meaning,
            method.name,
            method.absolute,
            self.settings.judges_presence,
            reliability=self._reliability(meaning),
            seconds=seconds,
        )
        self._last_look = (prompt, index), evidence
        return evidence

    def heat_map(self, index: int, prompt: Prompt) -> np.ndarray | None:
        """(H, W) float32 in 0..1: what a run saw on a slice; None where it did not look, or it is no longer kept."""
        return self._stages.asked(prompt).seen(prompt, index)

    def edit(
        self,
        index: int,
        prompt: Prompt,
        boxes: np.ndarray | None = None,
        points: Sequence[tuple[float, float, bool]] = (),
    ) -> SliceEvidence:
        """Runs only the mask decoder again, with boxes or points from a person; later runs keep the result.

        It starts from the last preview of the slice, or makes a quick one.

        Args:
            boxes: (B, 4) x0, y0, x1, y1 in pixels of the slice; None keeps those of the last look. Where they are those
                of the preview, its mask stays if the points agree with it.
            points: x, y in pixels of the slice, and whether the structure is there; all of them, beside those of the
                prompt: an edit replaces the one before it.

        Raises:
            InputError: there is no such slice, or a box has no area.
        """
        # Kept, because a saliency method may take seconds and a drag asks again and again.
        of_last, last = self._last_look or (None, None)
        looked = last if of_last == (prompt, index) else self._looks.get((prompt, index))
        if looked is None:
            looked = self.preview(index, prompt, quick=True)
        self._looks[prompt, index] = looked
        before = self._corrections.get(_key(prompt, index), looked)
        chosen = before.boxes if boxes is None else np.asarray(boxes, float).reshape(-1, 4)
        if (chosen[:, 2:] <= chosen[:, :2]).any():
            raise InputError(f"A box on slice {index} has no area; give x0 < x1 and y0 < y1.")
        seconds: dict[str, float] = {}
        sides = zip(self._points(prompt), (True, False), strict=True)
        own = [(x, y, side) for given, side in sides for slice_, y, x in given if round(slice_) == index]
        kept = (looked.mask, looked.segmenter_scores) if np.array_equal(chosen, looked.boxes) else None
        with timed(seconds, "mask"):
            trusted = self._locator.trusted(index, looked.saliency, prompt)
            mask, scores = self._masker.decode(index, chosen, [*own, *points], kept, trusted)
        evidence = replace(
            looked,
            boxes=chosen,
            mask=mask,
            segmenter_scores=scores,
            found=bool(mask.any()),
            judged=True,  # by whoever drew it
            edited=True,
            seconds=seconds,
        )
        self._corrections[_key(prompt, index)] = evidence
        return evidence

    def draw(self, index: int, boxes: np.ndarray) -> np.ndarray:
        """(H, W) bool: what the segmenter alone draws in (B, 4) boxes, in pixels of slice ``index``.

        Raises:
            InputError: there is no such slice.
        """
        self._check([index])
        return self._masker.decode(index, boxes, ())[0]

    def limit(self, region: Region | None) -> None:
        """Looks for nothing outside of ``region`` from now on; None is the whole volume."""
        if region != self._viewer.region:
            self._viewer.region, self._last_look, self._looks = region, None, {}

    def forget_edits(self, prompt: Prompt) -> None:
        """Drops what was corrected by hand for ``prompt``."""
        name = _key(prompt, 0)[0]
        self._looks = {key: value for key, value in self._looks.items() if _key(*key)[0] != name}
        self._corrections = {key: value for key, value in self._corrections.items() if key[0] != name}

    def segment(
        self,
        prompt: Prompt,
        slices: Sequence[int] | None = None,
        progress: ReportProgress | None = None,
        cancelled: IsCancelled | None = None,
        drawn: ShowMask | None = None,
    ) -> SegmentEvidence:
        """The chain over the volume, with presence and boxes decided along the axis.

        Args:
            slices: numbers of neighbouring slices in order; all if not given.
            progress: told after every few slices, after each where one takes seconds.
            cancelled: asked as often, and between the steps of a slow method.
            drawn: shown the mask of each slice as soon as there is one; at the end some parts may be taken away again.

        Raises:
            InputError: there is no such slice, the slices are not neighbours in order, or a point of the prompt is
                outside of them or of what the models see.
            Cancelled: ``cancelled`` said so; nothing is kept of the run but what makes the next one faster.
        """
        run = self._run(prompt, slices, progress, cancelled, drawn)
        maps, clues, found = self._stages.look(run)
        scores = np.array([score(clue, prompt.sensitivity) for clue in clues])
        with timed(run.seconds, "localisation"):
            boxes, coarse, rejected = self._stages.boxes(run, maps, found)
        masks, trust = self._stages.masks(run, boxes, coarse, rejected, maps)
        with timed(run.seconds, "cleaning"):
            if not self.settings.slicewise:
                if self.settings.judges_presence:
                    masks[doubted(scores, trust, run.clicked)] = False
                run.add_clicks(coarse)
                remove_strays(masks, coarse, small_too=each_counts(prompt))
        summaries = summarise(
            run,
            scores,
            clues,
            boxes,
            masks,
            trust,
            lambda index: self._corrections.get(_key(prompt, index)),
            judged=self.settings.judges_presence,
        )
        whole = masks
        if len(masks) < len(self.stack):
            whole = np.zeros(self.stack.array.shape, bool)
            whole[run.indices] = masks
        meaning = self._stages.asked(prompt).meaning(prompt)
        return SegmentEvidence(
            prompt.name,
            self.stack.restore(whole),
            summaries,
            meaning,
            self._looker.method.name,
            self._locator.binarizer_name(prompt),
            run.seconds,
            self._reliability(meaning),
        )

    def uncertainty(
        self,
        prompt: Prompt,
        mask: np.ndarray,
        slices: Sequence[SliceSummary],
        progress: ReportProgress | None = None,
        cancelled: IsCancelled | None = None,
        spread: Spread = Spread(),  # noqa: B008 -- it is frozen
    ) -> Uncertainty:
        """How sure the chain is of a segment: the spread of its answer over wordings, seeds and shaken boxes.

        Args:
            mask: (K, J, I) bool of the segment, in the order of the volume's array.
            slices: as `segment` gave them with it.
            progress, cancelled: as of `segment`.
            spread: how much is varied.

        Raises:
            InputError: the segment is empty, or as of `segment`.
            Cancelled: ``cancelled`` said so.
        """
        if not mask.any():
            raise InputError(
                f"The segment {prompt.name!r} is empty; only of what was found is it known how sure it is."
            )
        run = self._run(prompt, [part.index for part in slices], progress, cancelled)
        edited = {part.index for part in slices if part.edited}
        return self._doubter.measure(run, self.stack.arrange(mask), edited, spread)

    def _run(
        self,
        prompt: Prompt,
        slices: Sequence[int] | None,
        progress: ReportProgress | None,
        cancelled: IsCancelled | None,
        drawn: ShowMask | None = None,
    ) -> Run:
        indices = list(range(len(self.stack)) if slices is None else slices)
        self._check(indices)
        if any(second - first != 1 for first, second in pairwise(indices)):
            raise InputError(f"The slices {indices} are not neighbours in order; give a range such as 10 to 25.")
        points = self._points(prompt, indices)
        return Run(prompt, indices, *points, progress or _ignore, cancelled, drawn or _ignore)

    def _reliability(self, term: str | None) -> str:
        measured = getattr(self.clip, "reliability", None)
        return measured.of(term, self.stack.volume.modality) if term and measured is not None else ""

    def _points(self, prompt: Prompt, indices: Sequence[int] | None = None) -> tuple[np.ndarray, np.ndarray]:
        return points_seen(self.stack, self._viewer.frame, prompt, indices)

    def _check(self, indices: Sequence[int]) -> None:
        last = len(self.stack) - 1
        for index in indices:
            if not 0 <= index <= last:
                raise InputError(f"Slice {index} does not exist; choose from 0 to {last}.")


def _ignore(*_: object) -> None:
    pass


def _key(prompt: Prompt, index: int) -> tuple[str, int]:
    """Prompts are the same whatever the case of their names, as in a set of prompts."""
    return prompt.name.casefold(), index
