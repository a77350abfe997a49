"""SAM ViT-B/L/H (Kirillov et al., arXiv:2304.02643) and MedSAM ViT-B (Ma et al., Nature Communications 2024)."""

from __future__ import annotations

import numpy as np
import torch
from segment_anything import sam_model_registry
from segment_anything.utils.transforms import ResizeLongestSide
from skimage.transform import resize
from torch import Tensor
from torch.nn import functional as F

from ..machine.arrays import to_tensor
from .box_trained import BoxTrainedNetwork
from .layouts import fill
from .network import SamNetwork, to_unit_range

_SIZE = 1024


class SamInput:
    """Longest side to 1024 pixels, SAM's mean and deviation of colours, padded at the right and bottom.

    Args:
        mean, std: (3, 1, 1) of colours in 0..255.
    """

    size = _SIZE

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        self._mean = mean
        self._std = std
        self._resize = ResizeLongestSide(_SIZE)

    def content(self, shape: tuple[int, int]) -> tuple[int, int]:
        """See `Preparation.content`."""
        return self._resize.get_preprocess_shape(*shape, _SIZE)

    def __call__(self, rgb: np.ndarray) -> Tensor:
        """See `Preparation`."""
        pixels = np.stack([self._resize.apply_image(picture) for picture in rgb])
        normalised = (to_tensor(pixels).permute(0, 3, 1, 2) - self._mean) / self._std
        height, width = normalised.shape[-2:]
        return F.pad(normalised, (0, _SIZE - width, 0, _SIZE - height))


class MedSamInput:
    """Stretched to 1024 x 1024 pixels without padding, each picture to 0..1, as MedSAM was trained."""

    size = _SIZE

    def content(self, shape: tuple[int, int]) -> tuple[int, int]:
        """See `Preparation.content`."""
        return _SIZE, _SIZE

    def __call__(self, rgb: np.ndarray) -> Tensor:
        """See `Preparation`."""
        square = (_SIZE, _SIZE, 3)
        pixels = np.stack(
            [resize(picture, square, order=3, preserve_range=True, anti_aliasing=True) for picture in rgb]
        )
        return to_unit_range(to_tensor(pixels.astype(np.uint8)).permute(0, 3, 1, 2).float())


def build(name: str, state: dict[str, Tensor], checksum: str, device: torch.device) -> SamNetwork:
    """The network that `name` ("sam-vit-b", "medsam-vit-b", ...) stands for, with the weights `state` of any layout.

    Raises:
        RuntimeError: the weights do not fit; see `fill`.
    """
    family, architecture = name.split("-", 1)
    with torch.device("meta"):  # no time for random weights that are replaced at once
        network = sam_model_registry[architecture.replace("-", "_")]()
    fill(network, state)
    network.float()
    if family == "medsam":
        return BoxTrainedNetwork(name, checksum, network, MedSamInput(), device)
    return SamNetwork(name, checksum, network, SamInput(network.pixel_mean, network.pixel_std), device)
