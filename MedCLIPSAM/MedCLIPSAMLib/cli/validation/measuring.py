"""What the chain makes of one labelled image, structure by structure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...engine.localize import bounding_boxes
from ...engine.prompt.prompt import Prompt
from ...engine.session.session import Session

LEAST = 20  # pixels of a structure on a slice, for it to count there


@dataclass(frozen=True)
class Answer:
    """One structure in one image.

    Attributes:
        structure: the prompt.
        present: whether the image has it, by its labels; False for what is known to be out of view.
        dice: of the whole image, None where the structure is absent.
        boxed: Dice of the segmenter given the true box on each slice that has the structure; None likewise.
        scores, there, found: by slice: presence in 0..1, whether the labels have it, whether a mask was drawn; slices
            where the labels have less than `LEAST` pixels of it are left out.
    """

    source: str
    modality: str
    axis: str
    person: str
    image: str
    structure: str
    present: bool
    dice: float | None
    boxed: float | None
    scores: tuple[float, ...]
    there: tuple[bool, ...]
    found: tuple[bool, ...]


def measure(session: Session, prompt: Prompt, truth: np.ndarray) -> tuple[np.ndarray, dict[str, object]]:
    """The mask of a prompt, (slices, H, W) as they are shown, and what `Answer` needs beside who and where.

    Args:
        truth: (K, J, I) bool.
    """
    evidence = session.segment(prompt)
    mask, stack = evidence.mask, session.stack
    there: np.ndarray = np.asarray(np.count_nonzero(stack.arrange(truth), axis=(1, 2)))
    sure = (there == 0) | (there >= LEAST)
    drawn: np.ndarray = np.asarray(stack.arrange(mask).any((1, 2)))
    scores = np.array([part.score for part in evidence.slices])
    present = bool((there >= LEAST).any())
    return stack.arrange(mask), {
        "present": present,
        "dice": _dice(mask, truth) if present else None,
        "boxed": _boxed(session, stack.arrange(truth), np.flatnonzero(there >= LEAST)) if present else None,
        "scores": tuple(scores[sure].tolist()),
        "there": tuple((there[sure] > 0).tolist()),
        "found": tuple(drawn[sure].tolist()),
    }


def _boxed(session: Session, truth: np.ndarray, rows: Sequence[int] | np.ndarray) -> float:
    """Dice of what the segmenter draws in the true boxes of ``rows``, one for each part."""
    masks = np.zeros_like(truth)
    for row in rows:
        boxes = bounding_boxes(truth[row], each=True).astype(float)
        boxes = boxes[(boxes[:, 2:] - boxes[:, :2]).min(1) >= 1]
        if len(boxes):
            masks[row] = session.draw(int(row), boxes)
    return _dice(masks[rows], truth[rows])


def _dice(mask: np.ndarray, truth: np.ndarray) -> float:
    return 2 * np.count_nonzero(mask & truth) / max(1, np.count_nonzero(mask) + np.count_nonzero(truth))
