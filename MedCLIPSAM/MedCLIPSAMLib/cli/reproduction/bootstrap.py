"""How sure a mean is: the bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

DRAWS = 2000
_SEED = 0
_PERCENT = (2.5, 97.5)


def interval(values: Sequence[float], people: Sequence[str]) -> tuple[float, float] | None:
    """95 % percentile interval of the mean of ``values``; people are drawn, each with all of its values.

    Args:
        people: whose value it is.

    Returns:
        None where there is one person, or nobody: nothing can be said of others then.
    """
    names, owner = np.unique(np.asarray(people, str), return_inverse=True)
    if len(names) < 2:
        return None
    sums, counts = np.bincount(owner, values), np.bincount(owner)
    drawn = np.random.default_rng(_SEED).integers(len(names), size=(DRAWS, len(names)))
    low, high = np.percentile(sums[drawn].sum(1) / counts[drawn].sum(1), _PERCENT)
    return float(low), float(high)
