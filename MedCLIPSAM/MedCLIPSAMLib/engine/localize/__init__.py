"""From saliency to what a promptable segmenter is shown: coarse mask, components, boxes, points."""

from __future__ import annotations

from ..errors import InputError
from .binarize import Binarizer, KMeansBinarizer, OtsuBinarizer, ThresholdBinarizer
from .box import bounding_boxes, sample_points
from .components import keep_largest
from .crf import CrfBinarizer

__all__ = ["BINARIZERS", "Binarizer", "binarizer", "bounding_boxes", "keep_largest", "sample_points"]

BINARIZERS = {cls.name: cls for cls in (KMeansBinarizer, ThresholdBinarizer, OtsuBinarizer, CrfBinarizer)}


def binarizer(name: str, **options: float) -> Binarizer:
    """The binarizer `name` with its own options (`level` of "threshold").

    Raises:
        InputError: there is no such binarizer.
    """
    if name not in BINARIZERS:
        raise InputError(f"There is no localisation '{name}': choose one of {', '.join(BINARIZERS)}.")
    return BINARIZERS[name](**options)
