"""Dense conditional random field (Krähenbühl and Koltun, NeurIPS 2011), with the published parameters."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import ClassVar

import numpy as np

from ..errors import InputError
from .binarize import grey_levels

_TAU = 1.05
_FLOOR = 1e-8
_GAUSSIAN = {"sxy": 5, "compat": 3}
_BILATERAL = {"sxy": 5, "srgb": 3, "compat": 5}


@dataclass(frozen=True)
class CrfBinarizer:
    """One mean-field step from the map as unary energy, with a smoothing and an edge-keeping kernel.

    Raises:
        InputError: the optional package pydensecrf2 is not installed.
    """

    name: ClassVar[str] = "crf"

    def __post_init__(self) -> None:
        try:
            import_module("pydensecrf.densecrf")
        except ImportError as error:
            raise InputError(
                "Localisation by 'crf' needs the package pydensecrf2: pip install it, or choose kmeans."
            ) from error

    def __call__(self, saliency: np.ndarray, image: np.ndarray) -> np.ndarray:
        """As `Binarizer`."""
        from pydensecrf.densecrf import DenseCRF2D

        height, width = saliency.shape
        rgb = np.repeat(image[..., np.newaxis], 3, axis=2) if image.ndim == 2 else image
        inside = grey_levels(saliency) / 255
        field = DenseCRF2D(width, height, 2)
        field.setUnaryEnergy(np.stack([_energy(1 - inside), _energy(inside)]).reshape(2, -1).astype(np.float32))
        field.addPairwiseGaussian(**_GAUSSIAN)
        field.addPairwiseBilateral(rgbim=np.ascontiguousarray(rgb), **_BILATERAL)
        probability = np.array(field.inference(1)).reshape(2, height, width)
        return probability[1] > probability[0]


def _energy(probability: np.ndarray) -> np.ndarray:
    """Negative log likelihood, softened for probabilities that are high."""
    return -np.log(probability + _FLOOR) * (1 + np.exp(-probability)) / _TAU
