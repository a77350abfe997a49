"""Intensity windows: from stored values to the 8-bit grey that the models were trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy.ndimage import gaussian_filter1d

from ..errors import InputError
from .body import body_mask, coarse_steps
from .volume import Volume, is_windowed


@dataclass(frozen=True)
class Window:
    """The intensities shown as black (`low`) and white (`high`), in the unit of the volume (HU for CT).

    Raises:
        InputError: a limit is not finite, or `low` is not below `high`.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.low) and np.isfinite(self.high) and self.low < self.high):
            raise InputError(f"The window {self.low} to {self.high} is empty; give a low limit below the high.")

    def to_uint8(self, pixels: np.ndarray) -> np.ndarray:
        """Grey values of an array of any shape; NaN and infinities become 0, as background is.

        Returns:
            uint8 array of the same shape, `low` and below 0, `high` and above 255, rounded between.
        """
        if pixels.ndim > 2:  # slice by slice, so that no float copy of a whole volume is made
            grey = np.empty(pixels.shape, np.uint8)
            for index, plane in enumerate(pixels):
                grey[index] = self.to_uint8(plane)
            return grey
        values = pixels.astype(np.float64 if pixels.dtype.itemsize > 4 else np.float32)
        values[~np.isfinite(values)] = self.low
        scaled = (np.clip(values, self.low, self.high) - self.low) * (255 / (self.high - self.low))
        return np.rint(scaled).astype(np.uint8)


# Of a CT slice with air and bone in it: above which share of its range soft tissue is looked for; how far from the
# commonest grey, counted from air, a pixel is like it, and how much of the body must be; how much of it may be white.
_DARK, _ALIKE, _MOST, _WHITE = 0.25, 0.15, 0.25, 0.005
_SOFT, _MARGIN = (0.75, 1.35), 0.1  # what is soft tissue, counted likewise; what is shown beyond it on either side

SOFT_TISSUE = Window(-160, 240)

# CT windows in HU. Lung, bone and brain are the limits of 3D Slicer's own CT presets.
WINDOWS: Mapping[str, Window] = MappingProxyType(
    {
        "soft-tissue": SOFT_TISSUE,
        "lung": Window(-1200, 200),
        "bone": Window(-100, 900),
        "brain": Window(0, 100),
    }
)


def full_range_window(picture: np.ndarray) -> Window | None:
    """The soft tissue of a CT slice of 8 bits that somebody has saved with air and bone in it, and so without contrast.

    In such a picture most of the body has nearly the same grey: from fat to vessels with contrast agent it differs by
    a few hundred HU of some thousand. Which is to be seen is between the 2nd and 98th percentile of what is near the
    commonest grey. An MR may look like that, too: whether it is a CT, others have to tell.

    Args:
        picture: (H, W) uint8.

    Returns:
        None if the picture has contrast.
    """
    body = body_mask(picture[None])[0]
    if not body.any():
        return None
    values = picture[body].astype(np.float32)
    air = float(np.percentile(picture, 1))
    counts = gaussian_filter1d(np.bincount(picture[body], minlength=256).astype(float), 2)
    first = int(air + _DARK * (np.percentile(values, 99) - air))
    commonest = first + int(counts[first:255].argmax())
    relative = (values - air) / max(commonest - air, 1)
    alike = np.mean(np.abs(relative - 1) < _ALIKE)
    if alike < _MOST or np.mean(values == 255) > _WHITE:
        return None
    low, high = np.percentile(values[(relative > _SOFT[0]) & (relative < _SOFT[1])], (2, 98))
    margin = _MARGIN * (high - low)
    return Window(max(0.0, float(low - margin)), float(high + margin)) if high > low else None


def automatic_window(volume: Volume) -> Window:
    """Soft tissue for CT; for all else the 1st to 99.5th percentile of the body, dark tissue included.

    A single slice of 8 bits is shown as it is, whatever it shows: it has been windowed. But one that is said to be a
    CT, and has no contrast, gets it, see `full_range_window`.
    """
    if is_windowed(volume.array):
        stretched = full_range_window(np.squeeze(volume.array)) if volume.modality == "CT" else None
        return stretched or Window(0, 255)
    if volume.modality == "CT":
        return SOFT_TISSUE
    steps = coarse_steps(volume.array.shape, volume.spacing[::-1])
    coarse = volume.array[tuple(slice(None, None, step) for step in steps)]
    finite = np.isfinite(coarse)
    body = body_mask(coarse) & finite
    values = coarse[body if body.any() else finite].astype(np.float64)
    if values.size == 0:
        return Window(0, 1)
    low, high = np.percentile(values, (1, 99.5))
    if low == high:  # a mask, or a body of one value on a background of another
        low, high = coarse[finite].min(), coarse[finite].max()
    return Window(float(low), float(high) if high > low else float(low) + 1)
