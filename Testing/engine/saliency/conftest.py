"""A small random CLIP of three blocks, and five pictures for it."""

from __future__ import annotations

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from MedCLIPSAMLib.engine.clip.dual import DualEncoder
from MedCLIPSAMLib.engine.clip.timm_tower import TimmTower


class Counting(DualEncoder):
    """Counts how often each half of the image tower runs."""

    prefixes = suffixes = 0

    def tokens_after(self, pixels: Tensor, layer: int) -> Tensor:
        self.prefixes += 1
        return super().tokens_after(pixels, layer)

    def features_after(self, tokens: Tensor, layer: int) -> Tensor:
        self.suffixes += 1
        return super().features_after(tokens, layer)


@pytest.fixture
def model() -> Counting:
    torch.manual_seed(0)
    trunk = VisionTransformer(img_size=32, patch_size=8, embed_dim=24, depth=3, num_heads=2, num_classes=0)
    for weight in trunk.parameters():
        nn.init.normal_(weight, std=0.3)
    tower = TimmTower(trunk, nn.Linear(24, 10)).eval().requires_grad_(False)
    texts = {"liver": 1.0, "hepar": 0.5, "spleen": -1.0}

    def tokenize(words: list[str]) -> Tensor:
        return torch.tensor([[texts[word]] for word in words])

    def encode(values: Tensor) -> Tensor:
        return values * torch.linspace(-1, 1, 10) + values**2 * torch.linspace(0, 2, 10) ** 2

    return Counting("small", "", tower, tower, encode, tokenize, (0.5,) * 3, (0.5,) * 3, torch.device("cpu"), 20.0)


@pytest.fixture
def pixels() -> Tensor:
    return torch.randn(5, 3, 32, 32, generator=torch.Generator().manual_seed(7))
