"""Intensity windows: from stored values to the 8-bit grey that the models were trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

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


def automatic_window(volume: Volume) -> Window:
    """Soft tissue for CT; for all else the 1st to 99.5th percentile of the body, dark tissue included.

    A single slice of 8 bits is shown as it is: it has been windowed, whatever it shows.
    """
    if is_windowed(volume.array):
        return Window(0, 255)
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
