"""How well segments agree with a reference: Dice, normalised surface distance, Hausdorff distance."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean

import numpy as np
from surface_distance import (
    compute_dice_coefficient,
    compute_robust_hausdorff,
    compute_surface_dice_at_tolerance,
    compute_surface_distances,
)

from .errors import InputError
from .prompt.prompt import checked_text

TOLERANCE_MM = 2.0


@dataclass(frozen=True)
class Scores:
    """Agreement of one segment with its reference.

    Attributes:
        dice: 0 to 1; 0 where one is empty, NaN where both are: that says nothing of how well a structure is drawn.
        surface_dice: normalised surface distance: the part of both surfaces which lies within the tolerance
            of the other one (Nikolov et al. 2021, doi:10.2196/26151), 0 to 1; empty masks as for `dice`.
        hausdorff95: 95th percentile of the distances between the surfaces in mm, the larger of both
            directions; NaN where a mask is empty.
    """

    dice: float
    surface_dice: float
    hausdorff95: float

    @property
    def both_empty(self) -> bool:
        """Whether neither the segment nor its reference has a voxel."""
        return math.isnan(self.dice)

    def to_dict(self) -> dict[str, float | None]:
        """The scores for JSON, which has no NaN: it becomes None."""
        return {name: None if math.isnan(value) else value for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Evaluation:
    """Scores per segment, and the segments for which the reference has no label."""

    scores: dict[str, Scores]
    unmatched: tuple[str, ...]

    @property
    def mean(self) -> Scores | None:
        """Of the segments that have a voxel, or whose reference has; distances of those that have one. None if none."""
        drawn = [scores for scores in self.scores.values() if not scores.both_empty]
        if not drawn:
            return None
        measured = [scores.hausdorff95 for scores in drawn if not math.isnan(scores.hausdorff95)]
        return Scores(
            fmean(scores.dice for scores in drawn),
            fmean(scores.surface_dice for scores in drawn),
            fmean(measured) if measured else math.nan,
        )


def score(
    mask: np.ndarray,
    reference: np.ndarray,
    spacing: Sequence[float] | np.ndarray,
    tolerance: float = TOLERANCE_MM,
) -> Scores:
    """Compare two masks.

    Args:
        mask, reference: (K, J, I), anything but zero is inside; (H, W) for outlines in a plane.
        spacing: mm in IJK order, as `Volume.spacing`, one for each axis.
        tolerance: distance in mm up to which surfaces agree.

    Raises:
        InputError: the shapes differ.
    """
    if mask.shape != reference.shape:
        raise InputError(f"The segment has the shape {mask.shape}, its reference {reference.shape}; give one grid.")
    mask, reference = mask.astype(bool, copy=False), reference.astype(bool, copy=False)
    if not (mask.any() and reference.any()):
        agreement = 0.0 if mask.any() or reference.any() else math.nan
        return Scores(agreement, agreement, math.nan)
    distances = compute_surface_distances(reference, mask, tuple(float(mm) for mm in spacing)[::-1])
    return Scores(
        dice=float(compute_dice_coefficient(reference, mask)),
        surface_dice=float(compute_surface_dice_at_tolerance(distances, tolerance)),
        hausdorff95=float(compute_robust_hausdorff(distances, 95)),
    )


def evaluate(
    segments: Mapping[str, np.ndarray],
    labels: np.ndarray,
    names: Mapping[int, str],
    spacing: Sequence[float] | np.ndarray,
    tolerance: float = TOLERANCE_MM,
) -> Evaluation:
    """Compare named segments with a label volume.

    Names match whatever their case, and `_` as a space. Labels which share a name are one structure.

    Args:
        segments: name to (K, J, I) mask.
        labels: (K, J, I) integers.
        names: label value to name, as read by `label_names`.
        spacing: (3,) mm in IJK order, as `Volume.spacing`.
        tolerance: distance in mm up to which surfaces agree.

    Raises:
        InputError: the shapes differ, or no segment has the name of a label.
    """
    values: dict[str, list[int]] = {}
    for value, name in names.items():
        values.setdefault(_key(name), []).append(value)
    unmatched = tuple(name for name in segments if _key(name) not in values)
    if len(unmatched) == len(segments):
        raise InputError(f"No segment ({', '.join(segments) or 'none given'}) has the name of a label; use its name.")
    scores = {
        name: score(mask, np.isin(labels, values[_key(name)]), spacing, tolerance)
        for name, mask in segments.items()
        if name not in unmatched
    }
    return Evaluation(scores, unmatched)


def label_names(text: str | bytes) -> dict[int, str]:
    """Read label names from JSON such as `{"1": "spleen", "5": "liver"}`.

    Raises:
        InputError: not JSON, not an object from whole numbers to names, or a name that cannot be printed.
    """
    try:
        document = json.loads(text)
        names = {int(value): checked_text(name, f"The name of label {int(value)}") for value, name in document.items()}
    except (ValueError, AttributeError, RecursionError, InputError):
        names = {}
    if not names or not all(abs(value) < 2**63 for value in names):  # what voxels may have
        raise InputError('The label names cannot be read; give a JSON object such as {"1": "spleen", "5": "liver"}.')
    return names


def _key(name: str) -> str:
    return " ".join(name.replace("_", " ").casefold().split())
