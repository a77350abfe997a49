"""From saliency to what a promptable segmenter is shown: coarse mask, components, boxes, points."""

from __future__ import annotations

import pkgutil
from typing import TYPE_CHECKING

from ..errors import InputError
from .box import bounding_boxes, sample_points
from .components import keep_largest

if TYPE_CHECKING:
    from .binarize import Binarizer

__all__ = ["BINARIZERS", "binarizer", "bounding_boxes", "keep_largest", "sample_points"]

# Name -> class, imported when asked for: scikit-learn takes a second, and a window only needs the names.
BINARIZERS = {
    "kmeans": f"{__name__}.binarize:KMeansBinarizer",
    "threshold": f"{__name__}.binarize:ThresholdBinarizer",
    "otsu": f"{__name__}.binarize:OtsuBinarizer",
    "crf": f"{__name__}.crf:CrfBinarizer",
}


def binarizer(name: str, **options: float) -> Binarizer:
    """The binarizer `name` with its own options (`level` of "threshold").

    Raises:
        InputError: there is no such binarizer.
    """
    if name not in BINARIZERS:
        raise InputError(f"There is no localisation '{name}': choose one of {', '.join(BINARIZERS)}.")
    return pkgutil.resolve_name(BINARIZERS[name])(**options)
