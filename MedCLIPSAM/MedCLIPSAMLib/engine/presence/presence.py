"""Is the structure on this slice? Scores that can be compared between slices, decided along the axis."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from scipy import ndimage
from skimage.filters import apply_hysteresis_threshold
from torch import Tensor
from torch.nn import functional as F

from ..saliency import SaliencyBatch, TextQuery
from . import HIGH, LOW

# Against these a text is weighed by a model that has no answer of its own to "is it there?".
NEUTRAL_TEXTS = ("a medical image", "background", "other tissue", "an unrelated organ", "nothing abnormal")
# What the segmenter expects of its mask; with LiteMedSAM on a CT, 95 % of true boxes gave more than 0.69, and boxes
# beside an organ or on a slice without it 0.4 to 0.8.
_CONFIRMED = 0.5
_GAP_MM = 10.0  # a hole this short between slices that show the structure is filled
_RUN_MM = 6.0  # a run shorter than this is not believed, in a stack thick enough to judge
SECOND_LOOK = "second look"  # clue: its presence, where it does not believe the first


def image_clues(images: Tensor, query: TextQuery, neutral: Tensor, scale: float) -> list[dict[str, float]]:
    """Clues of N images as a whole, before any saliency.

    "contrast": softmax of the image over the text, its contrast wordings and neutral texts.

    Args:
        images: (N, D) image features of length 1.
        neutral: (M, D) features of `NEUTRAL_TEXTS` of length 1.
        scale: factor of cosines in the softmax that the model was trained with.
    """
    texts = torch.cat([query.target[None], query.contrast, neutral])
    contrast = (scale * images @ texts.T).softmax(1)[:, 0]
    return [{"contrast": float(value)} for value in contrast]


def map_clues(batch: SaliencyBatch) -> list[dict[str, float]]:
    """Clues from saliency.

    "concentration": how far the map is from even, 1 - entropy / log(pixels). "information": what passes the
    bottleneck, in nats. Or "presence" alone: the model's own answer, where it has one.
    """
    if batch.presence is not None:
        return [{"presence": float(value)} for value in batch.presence]
    share = batch.maps.flatten(1).float().clamp(min=0)
    share = share / share.sum(1, keepdim=True).clamp(min=1e-12)
    concentration = 1 + torch.special.xlogy(share, share).sum(1) / math.log(share.shape[1])
    return [
        {"concentration": float(even), "information": float(information)}
        for even, information in zip(concentration, batch.information, strict=True)
    ]


def unit(features: Tensor) -> Tensor:
    """(N, D) scaled to length 1."""
    return F.normalize(features, dim=1)


def sensed(values: Any, sensitivity: float) -> Any:
    """Numbers in 0..1 as the sensitivity of a prompt lets them count: 0.5 leaves them, 1 takes the square root."""
    return values if sensitivity == 0.5 else values**2.0 ** (1 - 2 * sensitivity)


def score(clues: Mapping[str, float], sensitivity: float = 0.5) -> float:
    """The model's own answer, or else the contrast of the texts, as `sensed`; no more than a second look that doubts.

    How concentrated a map of M2IB is, and how much information it lets pass, is evidence to look at and no vote: with
    the built-in model both are higher on slices without the organ (area under the ROC curve 0.06 to 0.25; the contrast
    reaches 0.83 to 1), and large organs never have a concentrated map.
    """
    told = clues["presence"] if "presence" in clues else clues["contrast"]
    return sensed(min(told, clues.get(SECOND_LOOK, 1.0)), sensitivity)


def present(scores: np.ndarray, spacing: float, low: float = LOW) -> np.ndarray:
    """Decides for neighbouring slices together: (N,) scores -> (N,) bool.

    Hysteresis (a slice above ``low`` counts when it continues one above `HIGH`), short runs dropped, short gaps filled.

    Args:
        scores: of slices in their order along the axis.
        spacing: mm between them.
    """
    found = apply_hysteresis_threshold(np.asarray(scores, float), low, HIGH)
    # Slices may lie very close, by their header.
    gap, run = (min(max(1, round(length / spacing)), len(found)) for length in (_GAP_MM, _RUN_MM))
    if len(found) > 2 * run:
        found = ndimage.binary_opening(np.pad(found, run, mode="edge"), np.ones(run))[run:-run]
    # Padded, so that nothing is filled between an organ and the end of the stack.
    return ndimage.binary_closing(np.pad(found, gap), np.ones(gap + 1))[gap:-gap]


def doubted(scores: np.ndarray, trust: np.ndarray, clicked: np.ndarray) -> np.ndarray:
    """(N,) bool: slices at the ends of the structure that only continue it and that the segmenter does not confirm.

    Between two slices that are sure the structure goes on.

    Args:
        scores: (N,) presence.
        trust: (N,) what the segmenter expects of its masks, NaN where it did not run.
        clicked: (N,) bool, where a person says that the structure is.
    """
    ran = ~np.isnan(trust)
    sure = ran & ((scores >= HIGH) | (np.nan_to_num(trust) >= _CONFIRMED) | clicked)
    return ran & ~ndimage.binary_fill_holes(sure)
