"""Which labels each term covers, which of them decide about it, and where it cannot be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .labels import LABEL_INDEX, LABELS, WHOLES
from .terms import REGION_COUNT, TERMS


def membership() -> np.ndarray:
    """(labels, terms) float32 matrix: 1 where a label belongs to a term."""
    matrix = np.zeros((len(LABELS), len(TERMS)), np.float32)
    for column, term in enumerate(TERMS):
        for label in term.labels:
            matrix[LABEL_INDEX[label], column] = 1
    return matrix


def settled() -> np.ndarray:
    """(labels, terms) float32 matrix: 1 where a label alone decides about a term, also in a volume not fully labelled.

    Labels exclude each other: what is heart is not liver. A label of `WHOLES` does not decide about its parts.
    """
    matrix = np.zeros((len(LABELS), len(TERMS)), np.float32)
    matrix[:, :REGION_COUNT] = 1
    covered = membership() > 0
    for whole, parts in WHOLES.items():
        column = covered[[LABEL_INDEX[part] for part in parts if part != whole]].any(0) & ~covered[LABEL_INDEX[whole]]
        matrix[LABEL_INDEX[whole], column] = 0
    return matrix


def elsewhere(places: Sequence[str]) -> np.ndarray:
    """(terms,) bool: terms that are in none of ``places``, those of the picture as a whole left out."""
    outside = np.array([not term.where & set(places) for term in TERMS])
    outside[REGION_COUNT:] = False
    return outside
