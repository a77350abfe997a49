"""What a check says of a case."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor


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


def largest(ours: np.ndarray | Tensor, published: np.ndarray) -> float:
    """The largest difference of two arrays; infinite where their shapes differ."""
    return float(np.abs(np.asarray(ours) - published).max()) if ours.shape == published.shape else float("inf")


def difference(what: str, ours: np.ndarray | Tensor, published: np.ndarray, limit: float) -> Measure:
    """The largest difference, as it is."""
    found = largest(ours, published)
    return Measure(f"{what} {found:.1e} (limit {limit:g})", found <= limit)


def share(what: str, ours: np.ndarray | Tensor, published: np.ndarray, limit: float) -> Measure:
    """The largest difference as a share of the largest value; of nothing but zeros as it is."""
    found = largest(ours, published) / (float(np.abs(published).max()) or 1.0)
    return Measure(f"{what} {found:.1e} of their largest (limit {limit:g})", found <= limit)
