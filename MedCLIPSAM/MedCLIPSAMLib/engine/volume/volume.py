"""A scalar volume with its geometry, as everything after it expects it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from ..errors import InputError

Modality = Literal["CT", "MR", "other"]
MODALITIES: tuple[Modality, ...] = get_args(Modality)

_SAMPLE_VOXELS = 500_000


@dataclass(frozen=True, eq=False)
class Volume:
    """One scalar volume; the array is shared with the caller and never copied.

    Attributes:
        array: (K, J, I) voxels, slices first, of any boolean, integer or floating type. NaN and infinite
            voxels are allowed and count as background.
        ijk_to_ras: (4, 4) float64, voxel indices (i, j, k, 1) at voxel centres to RAS millimetres.
        modality: what the intensities mean; `guess_modality` finds it where no header says so.
        name: what messages call the volume.

    Raises:
        InputError: the array is not 3-D, empty or not real-valued; the matrix is not an invertible
            affine transform; the modality is unknown.
    """

    array: np.ndarray
    ijk_to_ras: np.ndarray
    modality: Modality
    name: str = "volume"

    def __post_init__(self) -> None:
        array = np.asanyarray(self.array)
        if array.ndim != 3 or array.size == 0:
            raise InputError(
                f"{self.name} has the shape {array.shape}; give a volume of three dimensions, none of them 0."
            )
        if array.dtype.kind not in "biuf":
            raise InputError(f"{self.name} holds {array.dtype} voxels; give a volume of real numbers.")
        if self.modality not in MODALITIES:
            raise InputError(f"{self.name} has the modality {self.modality!r}; use CT, MR or other.")
        object.__setattr__(self, "array", array)
        object.__setattr__(self, "ijk_to_ras", _affine(self.ijk_to_ras, self.name))

    @property
    def spacing(self) -> np.ndarray:
        """(3,) distance in mm between voxel centres along i, j, k."""
        return np.linalg.norm(self.ijk_to_ras[:3, :3], axis=0)

    @property
    def is_picture(self) -> bool:
        """Whether this is one slice that is no CT or MR: whoever made it chose what to show, and it is seen whole."""
        return 1 in self.array.shape and self.modality == "other"


def _affine(matrix: object, name: str) -> np.ndarray:
    """A read-only float64 copy of an invertible 4 x 4 affine matrix."""
    try:
        affine = np.array(matrix, dtype=np.float64)
    except (TypeError, ValueError):
        affine = np.empty(0)
    if affine.shape != (4, 4) or not np.isfinite(affine).all() or not np.allclose(affine[3], (0, 0, 0, 1)):
        raise InputError(f"{name} has no usable IJK-to-RAS matrix; give 4 x 4 finite numbers, last row 0 0 0 1.")
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    # Relative to the column lengths, so that very small voxels are not mistaken for a singular matrix.
    if lengths.min() == 0 or abs(np.linalg.det(affine[:3, :3] / lengths)) < 1e-6:
        raise InputError(f"{name} has a singular IJK-to-RAS matrix; correct its spacing and directions.")
    affine.setflags(write=False)
    return affine


def is_windowed(array: np.ndarray) -> bool:
    """Whether an array (K, J, I) is one slice of 8 bits, whose grey somebody has chosen, as in PNG and JPEG files."""
    return array.dtype == np.uint8 and 1 in array.shape


def guess_modality(array: np.ndarray) -> Modality:
    """The modality that the intensities of an array of any shape suggest; a header knows better.

    "CT" has values in Hounsfield units with air near -1000 and a good part within 200 of water, "MR" more
    than two values which are not negative (but for the ringing of a resampling). All else is "other", and so is a
    single slice of 8 bits, which may be a picture of anything.
    """
    if is_windowed(array):
        return "other"
    step = max(1, round((array.size / _SAMPLE_VOXELS) ** (1 / array.ndim)))
    with np.errstate(over="ignore"):  # what is too large becomes infinite
        values = array[(slice(None, None, step),) * array.ndim].astype(np.float32)
    values = values[np.isfinite(values)]
    measured = values[values > -1500]  # scanners pad with values far below air
    if measured.size and -1300 < np.percentile(measured, 1) < -500 and np.mean(np.abs(measured) < 200) > 0.02:
        return "CT"
    if values.size and values.min() >= -0.05 * values.max() and np.unique(values).size > 2:
        return "MR"
    return "other"
