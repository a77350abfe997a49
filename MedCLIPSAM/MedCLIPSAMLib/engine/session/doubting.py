"""The uncertainty of the chain: how far its answer spreads when what it need not depend on is varied."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from ..localize.components import label
from ..localize.continuity import without
from ..presence.presence import doubted, score
from ..prompt.prompt import Prompt
from ..uncertainty.doubt import Uncertainty, expected_loss
from ..uncertainty.spread import Spread, other_wordings, shaken
from .evidence import Progress
from .looking import Looker
from .run import Run
from .stages import Stages

STAGE = "uncertainty"
_INSIDE = 0.5


@dataclass(frozen=True)
class _Look:
    """One way from text to boxes: the prompt as it was asked, or another wording or seed."""

    stages: Stages
    prompt: Prompt
    own: bool = False


class Doubter:
    """Goes the way of a run again in some variants, and takes the mean of what they draw.

    A variant is a wording or a seed with boxes of its own, or the boxes of the prompt itself, shaken. Of a run the
    embeddings of the slices are kept.

    Args:
        stages: of the session.
        reseeded: the session's look with the seed that is so many numbers on.
    """

    def __init__(self, stages: Stages, reseeded: Callable[[int], Looker]) -> None:
        self._stages = stages
        self._reseeded = reseeded

    def measure(self, run: Run, mask: np.ndarray, edited: Collection[int], spread: Spread) -> Uncertainty:
        """The uncertainty of a segment on the slices of a run.

        Args:
            mask: (N, H, W) bool of the segment, all slices of the stack.
            edited: numbers of slices that a person has corrected, who is not doubted.

        Raises:
            Cancelled: somebody asked for it.
        """
        stack = self._stages.stack
        probability = np.zeros(stack.volume.array.shape, np.float32)  # pages of it that nobody writes take no memory
        drawn = stack.arrange(probability)
        looks = list(self._looks(run.prompt, spread))
        steps = _Steps(run, len(looks))
        masks = len(looks) + spread.boxes + (3 if spread.proposals else 0)
        for look in looks:
            for row, planes in self._draw(run, look, mask, spread, steps):
                drawn[run.indices[row]] += planes / masks
            steps.next_look()
        slices = {}
        for index in run.indices:
            drawn[index].clip(0, 1, drawn[index])  # a sum of shares may round to more than one
            if index in edited:
                drawn[index] = mask[index]
            elif mask[index].any():
                slices[index] = expected_loss(drawn[index], mask[index])
        wordings = tuple(look.prompt.wordings[0] for look in looks if look.prompt is not run.prompt)
        return Uncertainty(probability, slices, wordings, len(looks) - 1 - len(wordings), masks)

    def _looks(self, prompt: Prompt, spread: Spread) -> Iterator[_Look]:
        stages = self._stages
        yield _Look(stages, prompt, own=True)
        meaning = stages.knowing(prompt).meaning(prompt)
        others = (replace(prompt, wordings=(text,)) for text in other_wordings(prompt, stages.stack.volume.modality))
        # What the model takes for something else says nothing about this structure.
        same = (other for other in others if stages.knowing(other).meaning(other) == meaning)
        yield from (_Look(stages, other) for other in islice(same, spread.wordings))
        if "seed" in stages.looker.method.options:
            for number in range(1, spread.seeds + 1):
                yield _Look(replace(stages, looker=self._reseeded(number), chosen={}), prompt)

    def _draw(
        self, run: Run, look: _Look, mask: np.ndarray, spread: Spread, steps: _Steps
    ) -> Iterator[tuple[int, np.ndarray]]:
        """(row, (H, W) sum of the probabilities) of each slice on which a look draws anything."""
        stages = look.stages
        own = replace(run, prompt=look.prompt, report=steps.looked, seconds={})
        maps, clues, found = stages.look(own)
        boxes, coarse, rejected = stages.boxes(own, maps, found)
        scores, trust = np.array([score(clue, run.prompt.sensitivity) for clue in clues]), np.full(len(boxes), np.nan)
        unsure: dict[int, np.ndarray] = {}
        for row, index in enumerate(run.indices):
            run.stop_if_cancelled()
            if len(boxes[row]) or own.clicked[row]:
                trusted = stages.locator.trusted(index, maps[row], look.prompt)
                heat = None if trusted is None else without(trusted, rejected.get(row))
                place = (coarse[row], look.prompt, run.positive, run.negative, heat)
                sets = [boxes[row], *(shaken(boxes[row], spread.boxes, index) if look.own else ())]
                planes, quality = stages.masker.probabilities(index, sets, *place)
                trust[row] = quality[0]
                if look.own and spread.proposals:
                    more, _ = stages.masker.probabilities(index, sets[:1], *place, proposals=True)
                    planes = np.concatenate([planes, more])
                if not stages.locator.slicewise:
                    planes = [_touching(plane, coarse[row] | mask[index]) for plane in planes]
                total = np.sum(planes, 0)
                here = slice(row, row + 1)
                if stages.judges and doubted(scores[here], trust[here], own.clicked[here]).any():
                    unsure[row] = total
                else:
                    yield row, total
            steps.drawn(row + 1)
        left_out = doubted(scores, trust, own.clicked)
        yield from ((row, total) for row, total in unsure.items() if not left_out[row])


def _touching(plane: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """(H, W) probabilities without the parts that touch nothing of ``seeds``, which a run removes as well."""
    labels, count = label(plane > _INSIDE)
    touched = np.zeros(count + 1, bool)
    touched[labels[seeds]] = True
    touched[0] = True
    return plane if touched.all() else without(plane, ~touched[labels])


class _Steps:
    """How far the looks of a measurement are, half of each for looking and half for drawing."""

    def __init__(self, run: Run, looks: int) -> None:
        self._run, self._each = run, len(run.indices)
        self._total, self._done, self._before = 2 * looks * self._each, 0, 0

    def looked(self, step: Progress) -> None:
        """A look reports of its own stages."""
        self._tell(self._before + self._each * step.done // max(1, step.total))

    def drawn(self, rows: int) -> None:
        """So many slices of a look are drawn."""
        self._tell(self._before + self._each + rows)

    def next_look(self) -> None:
        """A look is finished."""
        self._before += 2 * self._each

    def _tell(self, done: int) -> None:
        if done > self._done:  # a look may have several stages
            self._done = done
            self._run.report(Progress(self._run.prompt.name, STAGE, done, self._total))
