"""A run over the volume, stage by stage; each stage goes over all slices before the next one begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from ..localize.continuity import choose, steady_boxes, without
from ..presence import HIGH, LOW, SURE, UNDOUBTED
from ..presence.presence import SECOND_LOOK, present, score
from ..prompt.prompt import Prompt
from ..volume import SliceStack
from .again import SecondLooker
from .locating import Locator
from .looking import Looker
from .masking import Masker
from .run import Run, timed

_SPREAD = 5  # slices of a run on which a second look must see anything at all
_ASKED = 3  # slices of a stretch that the second look is shown
_SLICES_AT_ONCE = 8  # between two looks at the cancel flag, where a slice takes a moment


@dataclass(frozen=True)
class Stages:
    """What a run does, without what is decided between its stages.

    Attributes:
        judges: whether slices without the structure are left out.
        chosen: which look has answered texts in the last run.
    """

    stack: SliceStack
    looker: Looker
    again: SecondLooker | None
    locator: Locator
    masker: Masker
    judges: bool
    chosen: dict[tuple[tuple[str, ...], tuple[str, ...]], Looker | SecondLooker] = field(default_factory=dict)

    def knowing(self, prompt: Prompt) -> Looker | SecondLooker:
        """Which of the looks is asked first: the second where it alone knows what is looked for."""
        return self.again if self.again and self.again.answers(prompt) else self.looker

    def asked(self, prompt: Prompt) -> Looker | SecondLooker:
        """Which of the looks has answered a prompt in the last run."""
        return self.chosen.get(prompt.texts) or self.knowing(prompt)

    def better(
        self,
        asked: Looker | SecondLooker,
        prompt: Prompt,
        indices: Sequence[int],
        clues: Sequence[Mapping[str, float]],
    ) -> SecondLooker | None:
        """The second look, if it is to answer instead of the one that was ``asked`` and that has these clues of slices.

        So it is where the second does better with such a prompt, the first is not sure on any slice, and the second
        sees anything at all on a few of them.
        """
        again = self.again
        if again is None or asked is again or not self.judges or not again.does_better(prompt):
            return None
        if max(score(clue) for clue in clues) >= SURE:
            return None
        few = np.unique(np.linspace(0, len(indices) - 1, _SPREAD).round().astype(int))
        return again if again.presence(prompt, [indices[row] for row in few.tolist()]) >= UNDOUBTED else None

    def look(self, run: Run) -> tuple[np.ndarray, list[dict[str, float]], np.ndarray]:
        """Saliency of all slices, (N, S, S), their clues, and (N,) bool where the structure is held to be.

        A method that tells presence by an image as a whole makes no map, which is what takes time, of other slices.
        """
        looker, rows = self.looker, list(range(len(run.indices)))
        size, told_by_maps = looker.model.image_size, looker.told_by_maps
        maps = np.zeros((len(rows), size, size), np.float16 if looker.method.absolute else np.float32)
        clues: list[dict[str, float]] = [{} for _ in rows]
        found = np.ones(len(rows), bool)
        if self.judges and not told_by_maps:
            with timed(run.seconds, "presence"):
                for batch in run.batches("presence", rows, _SLICES_AT_ONCE):
                    clues[batch[0] : batch[-1] + 1] = looker.judge(run.prompt, [run.indices[row] for row in batch])
            found = self._presence(run, clues, LOW)
            rows = np.flatnonzero(found).tolist()
        asked = self.knowing(run.prompt)
        self._look(run, asked, rows, maps, clues)
        if better := self.better(asked, run.prompt, run.indices, clues):
            asked = better
            self._look(run, asked, rows, maps, clues)
        self.chosen[run.prompt.texts] = asked
        if self.judges and told_by_maps:
            # What a second look sees fades slowly beyond the ends of a structure.
            found = self._presence(run, clues, LOW if asked is looker else HIGH)
            if found.any() and asked is looker:
                found = self._believed(run, clues, found)
        return maps, clues, found

    def _look(
        self,
        run: Run,
        asked: Looker | SecondLooker,
        rows: Sequence[int],
        maps: np.ndarray,
        clues: list[dict[str, float]],
    ) -> None:
        """Puts what one look sees on the slices in ``rows`` into ``maps`` and ``clues``."""
        with timed(run.seconds, asked.stage):
            for batch in run.batches(asked.stage, rows, asked.at_once()):
                seen, told = asked.look(run.prompt, [run.indices[row] for row in batch], run.cancelled)
                maps[batch] = seen
                for row, clue in zip(batch, told, strict=True):
                    clues[row] = clue

    def doubt(self, prompt: Prompt, indices: Sequence[int]) -> float | None:
        """Presence by the second look on the slices in ``indices``, where it does not believe the first; else None."""
        if self.again is None or not self.judges or not self.again.confirms(prompt):
            return None
        presence = self.again.presence(prompt, indices)
        return presence if presence < UNDOUBTED else None

    def _believed(self, run: Run, clues: list[dict[str, float]], found: np.ndarray) -> np.ndarray:
        """(N,) ``found`` without the stretches of slices in which the second look sees nothing, which clues then tell.

        It is asked where the first look is surest: a slice that one of them believes answers for its neighbours.
        """
        believed = found.copy()
        numbers, count = ndimage.label(found)
        for stretch in range(1, count + 1):
            run.stop_if_cancelled()
            rows = np.flatnonzero(numbers == stretch)
            surest = sorted(rows, key=lambda row: -score(clues[row]))[:_ASKED]
            if run.clicked[rows].any():
                continue
            with timed(run.seconds, SecondLooker.stage):
                doubt = self.doubt(run.prompt, [run.indices[row] for row in surest])
            if doubt is not None:
                believed[rows] = False
                for row in rows:
                    clues[row][SECOND_LOOK] = doubt
        return believed

    def _presence(self, run: Run, clues: list[dict[str, float]], low: float) -> np.ndarray:
        """(N,) bool: on which slices the structure is, see `present`; a slice that was clicked has it."""
        scores = np.array([score(clue, run.prompt.sensitivity) for clue in clues])
        return present(scores, self.stack.spacing[0], low) | run.clicked

    def boxes(
        self, run: Run, maps: np.ndarray, found: np.ndarray
    ) -> tuple[list[np.ndarray], np.ndarray, dict[int, np.ndarray]]:
        """Boxes of each slice, (N, H, W) bool that they are drawn around, and what of it was not chosen, by row."""
        coarse, rejected = self.candidates(run, maps, found), {}
        if not self.locator.slicewise:
            rejected = choose(coarse, run.prompt.instances, self.stack.spacing, *run.points_by_row())
        boxes = [self.locator.boxes(plane, run.prompt) for plane in coarse]
        return boxes if self.locator.slicewise else steady_boxes(boxes), coarse, rejected

    def candidates(self, run: Run, maps: np.ndarray, found: np.ndarray) -> np.ndarray:
        """(N, H, W) bool: all components of the saliency, on the slices that have the structure."""
        coarse = np.zeros((len(run.indices), *self.stack.array.shape[1:]), bool)
        for row in np.flatnonzero(found):
            run.stop_if_cancelled()
            heat = self.locator.heat(run.indices[row], maps[row], run.prompt)
            coarse[row] = self.locator.coarse(run.indices[row], heat, run.prompt)
        return coarse

    def masks(
        self,
        run: Run,
        boxes: list[np.ndarray],
        coarse: np.ndarray,
        rejected: dict[int, np.ndarray],
        maps: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """(N, H, W) bool masks from the segmenter, and (N,) its mean score on each slice, NaN where it did not run."""
        masks, trust = np.zeros(coarse.shape, bool), np.full(len(coarse), np.nan)
        worth = np.flatnonzero([len(box) > 0 for box in boxes] | run.clicked).tolist()
        # In a batch a CPU is no quicker.
        for rows in run.batches("mask", worth, 1 if self.masker.segmenter.device.type == "cpu" else _SLICES_AT_ONCE):
            with timed(run.seconds, "embedding"):
                self.masker.embed([run.indices[row] for row in rows])
            with timed(run.seconds, "mask"):
                for row in rows:
                    trusted = self.locator.trusted(run.indices[row], maps[row], run.prompt)
                    heat = None if trusted is None else without(trusted, rejected.get(row))
                    place = (run.indices[row], boxes[row], coarse[row])
                    masks[row], answers = self.masker.mask(*place, run.prompt, run.positive, run.negative, heat)
                    trust[row] = answers.mean() if len(answers) else np.nan
                    run.drawn(run.indices[row], masks[row])
        return masks, trust
