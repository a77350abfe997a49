"""What the chain makes of one labelled image, structure by structure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from surface_distance import compute_dice_coefficient

from ...engine.localize import bounding_boxes
from ...engine.prompt.prompt import Prompt
from ...engine.session.session import Session
from .people import Labelled

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


def measure(session: Session, case: Labelled, text: str, truth: np.ndarray) -> tuple[np.ndarray, Answer]:
    """The mask of a prompt, (slices, H, W) as ``truth``, and how well it agrees with it.

    Args:
        session: on the image of ``case``.
        truth: (slices, H, W) bool, as the slices are shown.
    """
    evidence = session.segment(Prompt(text, (text,)))
    mask = session.stack.arrange(evidence.mask)
    there: np.ndarray = np.asarray(np.count_nonzero(truth, axis=(1, 2)))
    rows, sure = np.flatnonzero(there >= LEAST), (there == 0) | (there >= LEAST)
    drawn: np.ndarray = np.asarray(mask.any((1, 2)))
    scores = np.array([part.score for part in evidence.slices])
    present = len(rows) > 0
    return mask, Answer(
        case.source.name,
        case.source.modality,
        session.stack.plane,
        case.person,
        case.name,
        text,
        present,
        compute_dice_coefficient(truth, mask) if present else None,
        compute_dice_coefficient(truth[rows], boxed(session, truth, rows.tolist())) if present else None,
        tuple(scores[sure].tolist()),
        tuple((there[sure] > 0).tolist()),
        tuple(drawn[sure].tolist()),
    )


def boxed(session: Session, truth: np.ndarray, rows: Sequence[int]) -> np.ndarray:
    """(rows, H, W) bool: what the segmenter draws in the true boxes of the slices in ``rows``, one for each part."""
    masks = np.zeros((len(rows), *truth.shape[1:]), bool)
    for mask, row in zip(masks, rows, strict=True):
        boxes = bounding_boxes(truth[row], each=True).astype(float)
        boxes = boxes[(boxes[:, 2:] - boxes[:, :2]).min(1) >= 1]
        if len(boxes):
            mask[:] = session.draw(row, boxes)
    return masks
