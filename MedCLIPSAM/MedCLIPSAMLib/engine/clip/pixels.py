"""From pictures to what a network was trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..machine.arrays import to_tensor

Channels = tuple[float, float, float]
Colours = tuple[Channels, Channels]  # mean and standard deviation of the channels in 0..1
CLIP_COLOURS: Colours = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
IMAGENET_COLOURS: Colours = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def normalised(rgb: np.ndarray, mean: Sequence[float], std: Sequence[float], device: torch.device) -> Tensor:
    """(N, S, S, 3) uint8 -> (N, 3, S, S) float32 on ``device``, scaled and normalised."""
    pixels = to_tensor(rgb).to(device).permute(0, 3, 1, 2) / 255
    means, spreads = (pixels.new_tensor(values).view(1, 3, 1, 1) for values in (mean, std))
    return (pixels - means) / spreads
