"""What a check says of a case."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Measure:
    """One difference from the published output, in words, and whether it is within its limit."""

    text: str
    passed: bool


@dataclass(frozen=True)
class Finding:
    """What was measured in one case."""

    case: str
    measures: tuple[Measure, ...]

    @property
    def passed(self) -> bool:
        return all(measure.passed for measure in self.measures)

    def __str__(self) -> str:
        verdict = "ok  " if self.passed else "FAIL"
        return f"{verdict} {self.case}: {', '.join(measure.text for measure in self.measures)}"


def largest(ours: np.ndarray, published: np.ndarray) -> float:
    """The largest difference of two arrays; infinite where their shapes differ."""
    return float(np.abs(ours - published).max()) if ours.shape == published.shape else float("inf")
