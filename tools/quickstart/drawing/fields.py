"""Random numbers and smooth random fields."""

from __future__ import annotations

import random
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F


@lru_cache
def mesh(size: int) -> tuple[Tensor, Tensor]:
    """Row and column positions of a square of ``size`` pixels, each (size, size) in -0.5..0.5."""
    axis = torch.linspace(-0.5, 0.5, size)
    rows, columns = torch.meshgrid(axis, axis, indexing="ij")
    return rows, columns


def uniform(low: float, high: float) -> float:
    return random.uniform(low, high)


def chance(probability: float) -> bool:
    return random.random() < probability


def blur(image: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (1, 1, H, W)."""
    if sigma <= 0.2:
        return image
    radius = max(1, int(2.5 * sigma))
    kernel = torch.exp(-(torch.arange(-radius, radius + 1).float() ** 2) / (2 * sigma * sigma))
    kernel = kernel / kernel.sum()
    image = F.conv2d(F.pad(image, (radius, radius, 0, 0), mode="replicate"), kernel.view(1, 1, 1, -1))
    return F.conv2d(F.pad(image, (0, 0, radius, radius), mode="replicate"), kernel.view(1, 1, -1, 1))


def smooth_noise(channels: int, cells: int, size: int) -> Tensor:
    """Smooth random field, (channels, size, size), standard deviation about 1 at its knots."""
    return F.interpolate(torch.randn(1, channels, cells, cells), size=(size, size), mode="bicubic", align_corners=True)[
        0
    ]
