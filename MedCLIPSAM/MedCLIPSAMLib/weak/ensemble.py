"""What snapshots of one network say together, and how far they agree.

After MedCLIP-SAMv2 (Koleilat et al., arXiv:2409.19483). Where `exact` is False, 0 log 0 is 0, a mask without a
boundary has no score, and each voxel of the boundary counts once.
"""

from __future__ import annotations

import warnings

import numpy as np
from scipy.ndimage import binary_dilation
from scipy.special import xlogy
from scipy.stats import ttest_ind

from ..engine.errors import InputError
from ..engine.uncertainty.entropy import binary_entropy

THRESHOLD, PUBLISHED_THRESHOLD = 0.5, 0.2
_WRAPPED = 255  # what 0 - 1 is in unsigned bytes, of which the published score makes its boundary
_ROUNDING = 1e-3  # by which probabilities in half precision may miss 0..1


def mean_foreground(probabilities: np.ndarray) -> np.ndarray:
    """(K, 2, ...) softmax of K snapshots, background first -> (...) float32, the mean of the foreground.

    Raises:
        InputError: another shape, no snapshot, or values that are no probabilities.
    """
    return _checked(probabilities)[:, 1].mean(0)


def mask_of(mean: np.ndarray, threshold: float = THRESHOLD) -> np.ndarray:
    """(...) bool: where the mean foreground is above ``threshold``.

    Raises:
        InputError: the threshold is not in 0..1.
    """
    if not 0 <= threshold <= 1:
        raise InputError(f"The threshold {threshold} is no probability; give 0 to 1.")
    return mean > threshold


def class_entropy(probabilities: np.ndarray, *, exact: bool = False) -> np.ndarray:
    """(K, 2, ...) -> (...) float32: entropy in bits of the mean.

    Args:
        exact: not-a-number where a mean is 0, as published.
    """
    if not exact:
        return binary_entropy(mean_foreground(probabilities))
    mean = _checked(probabilities).mean(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return -(mean * np.log2(mean)).sum(0)


def total_entropy(probabilities: np.ndarray, *, exact: bool = False) -> np.ndarray:
    """(K, 2, ...) -> (...) float32: - b ln b of the background alone, summed over the snapshots.

    Args:
        exact: not-a-number where one of them is 0, as published.
    """
    background = _checked(probabilities)[:, 0]
    if not exact:
        return -xlogy(background, background).sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return -(background * np.log(background)).sum(0)


def t_test_p(probabilities: np.ndarray, *, exact: bool = False) -> np.ndarray:
    """(K, 2, ...) -> (...) float32: p of Welch's test of the K backgrounds against the K foregrounds.

    Args:
        exact: not-a-number where both are the same in all snapshots; else 1.

    Raises:
        InputError: there is only one snapshot.
    """
    background, foreground = _checked(probabilities).swapaxes(0, 1).astype(np.float64)
    if len(background) < 2:
        raise InputError("A test between snapshots needs two of them; only one was given.")
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # SciPy's, of snapshots that say the same
        p = np.asarray(ttest_ind(background, foreground, equal_var=False).pvalue, np.float32)
    return p if exact else np.nan_to_num(p, nan=1.0)


def score(uncertainty: np.ndarray, mask: np.ndarray, *, exact: bool = False) -> float | None:
    """Percent of uncertainty for each voxel of the mask's outer boundary, 8-connected within the slices.

    Args:
        uncertainty: (..., H, W).
        mask: (..., H, W) bool.
        exact: 255 times smaller, infinite where there is no boundary, not-a-number where the map is: as published.

    Returns:
        None where the mask is empty, or full, and not `exact`.

    Raises:
        InputError: the shapes differ, or have less than two dimensions.
    """
    mask = np.asarray(mask, bool)
    if mask.shape != uncertainty.shape or mask.ndim < 2:
        raise InputError(f"A map of {uncertainty.shape} and a mask of {mask.shape} have no score; give slices alike.")
    boundary = boundary_voxels(mask)
    total = float(np.sum(uncertainty, dtype=np.float64))
    if not exact:
        return 100 * total / boundary if boundary else None
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.float64(100 * total) / (_WRAPPED * boundary))


def boundary_voxels(mask: np.ndarray) -> int:
    """How many voxels touch a mask (..., H, W) in its slice, by side or corner, and are outside of it."""
    mask = np.asarray(mask, bool)
    around = np.ones((*(1,) * (mask.ndim - 2), 3, 3), bool)
    return int(np.count_nonzero(binary_dilation(mask, around) & ~mask))


def _checked(probabilities: np.ndarray) -> np.ndarray:
    """(K, 2, ...) float32."""
    array = np.asarray(probabilities, np.float32)
    if array.ndim < 2 or array.shape[1] != 2 or not array.size:
        raise InputError(f"Probabilities have the shape {array.shape}; give snapshots by background and foreground.")
    if not (array.min() >= -_ROUNDING and array.max() <= 1 + _ROUNDING):  # fails for not-a-number, too
        raise InputError("Probabilities are not in 0 to 1; give the softmax of each snapshot.")
    return array.clip(0, 1)
