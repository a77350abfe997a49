"""Pseudo-labels: what the chain finds, what is doubtful of it, and what is too bad to learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import fmean

import numpy as np

from ..engine.errors import InputError
from ..engine.prompt.prompt import Prompt
from ..engine.session.evidence import SegmentEvidence
from ..engine.session.session import Session

NOT_FOUND, POOR, APART = "not found", "segmenter's score", "agreement of wordings"
_AGREED = 0.75  # share of the runs from which a voxel is labelled; where one minus it are for it, it is background


@dataclass(frozen=True)
class Gate:
    """What a pseudo-label must reach.

    Attributes:
        score: mean of what the segmenter expects of its masks, over the slices with one. A slice below it is doubtful.
        agreement: mean Dice of the masks of each two wordings; a prompt with one has none to disagree with.

    Raises:
        InputError: one is not in 0..1.
    """

    score: float = 0.5
    agreement: float = 0.5

    def __post_init__(self) -> None:
        for name, value in (("score", self.score), ("agreement", self.agreement)):
            if not 0 <= value <= 1:
                raise InputError(f"The least {name} is {value}; give 0 to 1.")


@dataclass(frozen=True)
class PseudoLabel:
    """One prompt on one volume.

    Attributes:
        inside, doubtful: (K, J, I) bool, apart from each other.
        score, agreement: as in `Gate`; None where there is none.
        reason: why nothing can be learnt from it; "" if it can.
    """

    inside: np.ndarray
    doubtful: np.ndarray
    score: float | None
    agreement: float | None
    reason: str = ""


def pseudo_label(session: Session, prompt: Prompt, gate: Gate) -> PseudoLabel:
    """Run a prompt, and each of its wordings by itself where there are several.

    Doubtful are voxels that more than a quarter of the runs see otherwise than the rest, and slices whose mask the
    segmenter does not trust.

    Raises:
        InputError: the session refuses the prompt.
    """
    whole = session.segment(prompt)
    nothing = np.zeros(whole.mask.shape, bool)
    if not whole.mask.any():
        return PseudoLabel(nothing, nothing, None, None, NOT_FOUND)
    scores = [part.segmenter_score for part in whole.slices if part.found and part.segmenter_score is not None]
    score = fmean(scores) if scores else None
    alone = []
    if len(prompt.wordings) > 1:
        alone = [session.segment(replace(prompt, wordings=(wording,))).mask for wording in prompt.wordings]
    agreement = fmean(map(_dice, *zip(*combinations(alone, 2), strict=True))) if alone else None
    share = np.asarray(np.mean([whole.mask, *alone], axis=0, dtype=np.float32))
    inside, doubtful = np.asarray(share >= _AGREED), np.asarray((share > 1 - _AGREED) & (share < _AGREED))
    for index in _untrusted(whole, gate.score):
        (there, unsure) = (session.stack.arrange(array)[index] for array in (inside, doubtful))
        unsure |= there
        there[:] = False
    if score is not None and score < gate.score:
        return PseudoLabel(inside, doubtful, score, agreement, POOR)
    if (agreement is not None and agreement < gate.agreement) or not inside.any():
        return PseudoLabel(inside, doubtful, score, agreement, APART)
    return PseudoLabel(inside, doubtful, score, agreement)


def label_map(labels: Sequence[PseudoLabel]) -> np.ndarray:
    """(K, J, I) uint8: n for the n-th label, and one more than their number, nnU-Net's ignore, for what is doubtful.

    What two labels claim is doubtful.
    """
    ignored = len(labels) + 1
    made = np.zeros(labels[0].inside.shape, np.uint8)
    for number, label in enumerate(labels, start=1):
        made[label.inside & (made != 0)] = ignored
        made[label.inside & (made == 0)] = number
    for label in labels:
        made[label.doubtful] = ignored
    return made


def _untrusted(whole: SegmentEvidence, least: float) -> list[int]:
    return [
        part.index
        for part in whole.slices
        if part.found and part.segmenter_score is not None and part.segmenter_score < least
    ]


def _dice(one: np.ndarray, other: np.ndarray) -> float:
    total = np.count_nonzero(one) + np.count_nonzero(other)
    return 2 * np.count_nonzero(one & other) / total if total else 0.0
