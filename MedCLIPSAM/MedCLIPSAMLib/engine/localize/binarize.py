"""From a saliency map to a coarse mask, by its grey levels alone.

Every binarizer sees the map in the 256 grey levels that the published scripts of MedCLIP-SAMv2 pass on, so
that masks are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from skimage.filters import threshold_otsu
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

_KMEANS_SIDE = 256
_KMEANS_SEED = 10


class Binarizer(Protocol):
    """Coarse mask of a saliency map."""

    name: ClassVar[str]

    def __call__(self, saliency: np.ndarray, image: np.ndarray) -> np.ndarray:
        """(H, W) float in 0..1 and the slice, (H, W) or (H, W, 3) uint8 -> (H, W) bool."""
        ...


@dataclass(frozen=True)
class KMeansBinarizer:
    """The brighter of two clusters of grey levels, found on a 256 x 256 nearest-neighbour copy."""

    name: ClassVar[str] = "kmeans"

    def __call__(self, saliency: np.ndarray, image: np.ndarray) -> np.ndarray:
        small = _nearest(grey_levels(saliency) / 255, (_KMEANS_SIDE, _KMEANS_SIDE))
        if small.min() == small.max():
            return np.zeros(saliency.shape, bool)
        with threadpool_limits(limits=1, user_api="openmp"):  # one thread is the fastest at this size
            clusters = KMeans(n_clusters=2, random_state=_KMEANS_SEED, n_init="auto").fit(small.reshape(-1, 1))
        bright = clusters.labels_ != clusters.cluster_centers_.argmin()
        return _nearest(bright.reshape(small.shape), saliency.shape)


@dataclass(frozen=True)
class ThresholdBinarizer:
    """What is above a fixed level."""

    level: float = 0.3

    name: ClassVar[str] = "threshold"

    def __call__(self, saliency: np.ndarray, image: np.ndarray) -> np.ndarray:
        return grey_levels(saliency) / 255 > self.level


@dataclass(frozen=True)
class OtsuBinarizer:
    """What is above the level that parts the grey levels best (Otsu, 1979)."""

    name: ClassVar[str] = "otsu"

    def __call__(self, saliency: np.ndarray, image: np.ndarray) -> np.ndarray:
        levels = grey_levels(saliency)
        return levels > threshold_otsu(levels)


def grey_levels(saliency: np.ndarray) -> np.ndarray:
    """The map, float in 0..1, as an 8-bit picture."""
    return np.rint(np.clip(saliency, 0, 1) * 255.0).astype(np.uint8)


def _nearest(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(H, W) -> `shape` by nearest neighbour as in OpenCV: the source of pixel i is floor(i * size / new)."""
    rows, columns = (np.arange(new) * size // new for size, new in zip(image.shape, shape, strict=True))
    return image[np.ix_(rows, columns)]
