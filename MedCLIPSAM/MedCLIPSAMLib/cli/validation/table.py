"""What many answers say together: one row for each structure, source and axis."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from .measuring import Answer

_BINS = 10  # of presence, for the expected calibration error


@dataclass(frozen=True)
class Row:
    """One structure of one source along one axis. None where nothing can be said.

    Attributes:
        people: who have the structure; each counts once, with the mean of their images.
        dice, quartiles: mean over the people, and the quartiles of them.
        boxed: the segmenter's mean Dice with the true boxes.
        missed: share of the slices with the structure on which nothing was drawn.
        claimed: share of the slices without it on which something was.
        auc: area under the ROC curve of presence over slices.
        calibration: expected calibration error of presence over slices.
    """

    structure: str
    source: str
    modality: str
    axis: str
    people: int
    slices: int
    dice: float | None
    quartiles: tuple[float, float, float] | None
    boxed: float | None
    missed: float | None
    claimed: float | None
    auc: float | None
    calibration: float | None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def summarise(answers: Iterable[Answer]) -> list[Row]:
    """Rows in the order of structures, then sources."""

    def key(answer: Answer) -> tuple[str, str, str]:
        return answer.structure, answer.source, answer.axis

    return [_row(list(group)) for _, group in groupby(sorted(answers, key=key), key)]


def _row(answers: Sequence[Answer]) -> Row:
    first = answers[0]
    dice = _by_person(answers, lambda answer: answer.dice)
    boxed = _by_person(answers, lambda answer: answer.boxed)
    scores = np.array([score for answer in answers for score in answer.scores])
    there = np.array([value for answer in answers for value in answer.there], bool)
    found = np.array([value for answer in answers for value in answer.found], bool)
    return Row(
        first.structure,
        first.source,
        first.modality,
        first.axis,
        len(dice),
        len(there),
        float(np.mean(dice)) if dice else None,
        tuple(np.quantile(dice, (0.25, 0.5, 0.75)).tolist()) if dice else None,  # type: ignore[arg-type]
        float(np.mean(boxed)) if boxed else None,
        float(1 - found[there].mean()) if there.any() else None,
        float(found[~there].mean()) if (~there).any() else None,
        float(roc_auc_score(there, scores)) if there.any() and not there.all() else None,
        calibration_error(scores, there) if len(scores) else None,
    )


def _by_person(answers: Sequence[Answer], value: Callable[[Answer], float | None]) -> list[float]:
    people: dict[str, list[float]] = {}
    for answer in answers:
        if (number := value(answer)) is not None:
            people.setdefault(answer.person, []).append(number)
    return [float(np.mean(numbers)) for numbers in people.values()]


def calibration_error(scores: np.ndarray, there: np.ndarray) -> float:
    """Expected calibration error (Guo et al., ICML 2017) of (N,) scores in 0..1 against (N,) bool, in ten bins."""
    bins = np.clip((scores * _BINS).astype(int), 0, _BINS - 1)
    weights = np.bincount(bins, minlength=_BINS)
    said = np.bincount(bins, scores, _BINS)
    true = np.bincount(bins, there.astype(float), _BINS)
    return float(np.abs(said - true).sum() / weights.sum())
