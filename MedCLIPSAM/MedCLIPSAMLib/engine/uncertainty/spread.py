"""What of a run is varied to see how far its answer spreads: wordings, seeds, boxes and the segmenter's proposals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..prompt.library import read_library
from ..prompt.prompt import Prompt
from ..prompt.terms import ENGLISH, plain, read_terms
from ..volume import Modality

SEED = 0
_SHAKEN = 0.05  # standard deviation of a side of a box, as part of the box's width or height
_SMALLEST = 0.2  # of its width or height that a shaken box keeps


@dataclass(frozen=True)
class Spread:
    """How much is varied; at most two looks more than a run has, which with M2IB are most of its time.

    Attributes:
        wordings: other wordings of the prompt, at most.
        seeds: other seeds of a saliency method that draws random numbers, at most.
        boxes: times that the boxes of the prompt itself are shaken.
        proposals: whether the three masks that the segmenter proposes for a box count as well.
    """

    wordings: int = 1
    seeds: int = 1
    boxes: int = 2
    proposals: bool = False


def other_wordings(prompt: Prompt, modality: Modality) -> Iterator[str]:
    """The prompt's own wordings, where it has several, then those that are known for the same structure, each once."""
    own = {plain(text) for text in (prompt.name, *prompt.wordings)}
    seen = own if len(prompt.wordings) == 1 else {plain(prompt.name)} - {plain(text) for text in prompt.wordings}
    ready = (
        text
        for entry in read_library()
        if entry.modality == modality and {plain(entry.name), plain(entry.word)} & own
        for text in entry.ensemble
    )
    terms = (
        text
        for concept in read_terms().concepts
        if concept.known_as((prompt.name, *prompt.wordings))
        for text in concept.terms[ENGLISH]
    )
    for text in (*prompt.wordings, *terms, *ready):
        if plain(text) not in seen:
            seen.add(plain(text))
            yield text


def shaken(boxes: np.ndarray, times: int, number: int) -> np.ndarray:
    """(B, 4) boxes x0, y0, x1, y1 -> (times, B, 4), each side moved by a normal draw, none turned inside out.

    Args:
        number: of the slice, which has a stream of its own, so that its draws depend on no other slice.
    """
    draws = np.random.default_rng([SEED, number]).normal(0, _SHAKEN, (times, *boxes.shape))
    size = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    limit = (1 - _SMALLEST) / 2
    return boxes + size * np.clip(draws, -limit, limit)
