"""What remains of a run: a summary of each slice, with what a person has corrected."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .evidence import SliceEvidence, SliceSummary
from .run import Run


def summarise(
    run: Run,
    scores: np.ndarray,
    clues: list[dict[str, float]],
    boxes: list[np.ndarray],
    masks: np.ndarray,
    trust: np.ndarray,
    corrected: Callable[[int], SliceEvidence | None],
    *,
    judged: bool,
) -> tuple[SliceSummary, ...]:
    """Summaries of the slices of a run; corrections by hand go over what was found, and into ``masks``, (N, H, W).

    Args:
        scores, trust: (N,) presence, and what the segmenter expects of its masks, NaN where it did not run.
        corrected: what a person has made of the slice with a number.
        judged: whether presence was asked about.
    """
    summaries = []
    for row, index in enumerate(run.indices):
        correction, answers = corrected(index), trust[row : row + 1]
        if correction:
            masks[row], answers = correction.mask, correction.segmenter_scores
        known = len(answers) > 0 and not np.isnan(answers).any()
        summaries.append(
            SliceSummary(
                index,
                float(scores[row]),
                clues[row],
                bool(masks[row].any()),
                correction.boxes if correction else boxes[row],
                float(answers.mean()) if known else None,
                correction is not None,
                judged or correction is not None,
            )
        )
    return tuple(summaries)
