"""Several masks of one prompt become one, in the ways that MedCLIP-SAMv2 compares (arXiv:2409.19483)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import SimpleITK as sitk

from ..errors import InputError

_INSIDE = 0.5


def combine(masks: np.ndarray, scores: np.ndarray, how: str) -> np.ndarray:
    """One mask of M proposals.

    Args:
        masks: (M, H, W) probabilities.
        scores: (M,) the quality that the segmenter expects of each.
        how: a name of `VOTING`.

    Returns:
        (H, W) bool.

    """
    return VOTING[how](masks, scores)


def check_voting(how: str | None) -> None:
    """Refuses what is neither None nor a name of `VOTING`.

    Raises:
        InputError: there is no such voting.
    """
    if how is not None and how not in VOTING:
        raise InputError(f"There is no voting '{how}': choose one of {', '.join(VOTING)}.")


def best(masks: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The proposal with the highest score."""
    return masks[scores.argmax()] > _INSIDE


def average(masks: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Where the mean probability is above one half."""
    return masks.mean(axis=0) > _INSIDE


def weighted(masks: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Where the mean probability, weighted by score, is above one half; scores below 0 count as 0."""
    weights = np.clip(scores, 0, None)
    if not weights.any():
        return average(masks, scores)
    return np.average(masks, axis=0, weights=weights) > _INSIDE


def staple(masks: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The consensus that weighs each proposal by its estimated performance (Warfield et al., IEEE TMI 2004)."""
    votes = masks > _INSIDE
    if (votes == votes[0]).all():  # nothing to estimate a performance from: the filter would divide by zero
        return votes[0]
    images = [sitk.GetImageFromArray(vote.astype(np.uint8)) for vote in votes]
    return sitk.GetArrayFromImage(sitk.STAPLE(images, 1.0)) > _INSIDE


VOTING: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "best": best,
    "average": average,
    "weighted": weighted,
    "staple": staple,
}
