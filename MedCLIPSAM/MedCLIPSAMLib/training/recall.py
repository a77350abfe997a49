"""Whether pictures find their texts, and texts their pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RANKS = (1, 5, 10)


@dataclass(frozen=True)
class Recall:
    """Shares of pictures, and of different texts, that have a match among the best so many, for each of `RANKS`."""

    texts_of_pictures: tuple[float, ...]
    pictures_of_texts: tuple[float, ...]


def recall(images: np.ndarray, texts: np.ndarray, meanings: Sequence[str]) -> Recall:
    """Retrieval recall at 1, 5 and 10 among P pictures and their T different texts.

    Args:
        images: (P, D) of length 1.
        texts: (P, D) of length 1, of the text of each picture.
        meanings: the P texts; pictures with the same text are all right answers to it.
    """
    different, first, of_picture = np.unique(np.array(meanings), return_index=True, return_inverse=True)
    cosines = images @ texts[first].T
    right = of_picture[:, None] == np.arange(len(different))
    return Recall(_shares(cosines, right), _shares(cosines.T, right.T))


def _shares(cosines: np.ndarray, right: np.ndarray) -> tuple[float, ...]:
    """(Q, C) agreements and which of them are right -> share of questions with one of these among the best."""
    best = np.where(right, cosines, -np.inf).max(1, keepdims=True)
    ahead = ((cosines >= best) & ~right).sum(1)  # a tie is not won
    return tuple(float((ahead < rank).mean()) for rank in RANKS)
