"""Arrays as tensors and back, by DLPack: PyTorch 2.2, the last for Intel Macs, knows no NumPy 2, as 3D Slicer has."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def to_tensor(array: np.ndarray) -> Tensor:
    """A tensor on the CPU with the values of an array of uint8, integers or floats; it may share the array's memory."""
    # DLPack has neither read-only nor backward arrays.
    return torch.from_dlpack(np.require(array, requirements=["C", "W"]))


def to_array(tensor: Tensor) -> np.ndarray:
    """The values of a tensor on the CPU of integers or floats that NumPy has; the array may share its memory."""
    array = np.from_dlpack(tensor.detach().contiguous())
    return array if array.flags.writeable else array.copy()
