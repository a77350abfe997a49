"""Network of the second look: a small U-Net on the frozen features of LiteMedSAM, whose cells are aligned with texts.

The segmenter's features tell what is where on unseen people far better than pixels do, at this size; the picture itself
is looked at once more for borders, which features of 4 x 4 pixels do not keep.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .net import Block, TextTower, position_waves


@dataclass(frozen=True)
class SecondConfig:
    """Sizes of the network. ``features`` channels on a grid of ``grid`` cells come in, twice as many cells go out."""

    features: int = 256
    grid: int = 64
    border: int = 24
    fine: int = 64
    middle: int = 128
    wide: int = 224
    blocks: int = 3
    finest: int = 32
    embed: int = 128
    vocabulary: int = 3000
    text_width: int = 192
    text_blocks: int = 3
    context: int = 32

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


def _convolution(channels_in: int, channels_out: int, size: int, stride: int = 1, norm: bool = True) -> nn.Sequential:
    """Convolution and GELU; on the finest grid without the norm between, which takes as long there as all the rest."""
    padding = size // 2 if size != stride else 0
    convolution = nn.Conv2d(channels_in, channels_out, size, stride, padding, bias=not norm)
    return nn.Sequential(convolution, *([nn.GroupNorm(8, channels_out)] if norm else []), nn.GELU())


class _Residual(nn.Module):
    def __init__(self, width: int, norm: bool = True) -> None:
        super().__init__()
        self.change = _convolution(width, width, 3, norm=norm)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.change(x)


class Closer(nn.Module):
    """(N, C, 64, 64) features and (N, 1, 256, 256) greys in -1..1 -> cells (N, F, 128, 128) and token (N, W).

    `project` and `picture` bring both into the joint space.
    """

    where: Tensor
    positions: Tensor

    def __init__(self, config: SecondConfig) -> None:
        super().__init__()
        fine, middle, wide = config.fine, config.middle, config.wide
        self.border2 = _convolution(1, config.border, 3, 2, norm=False)
        self.border4 = _convolution(config.border, config.border, 3, 2)
        self.stem = _convolution(config.features + config.border + 2, fine, 1)
        self.down1 = _convolution(fine, middle, 2, 2)
        self.middle = nn.Sequential(_Residual(middle), _Residual(middle))
        self.down2 = _convolution(middle, wide, 2, 2)
        self.token = nn.Parameter(torch.randn(1, 1, wide) * 0.5)
        self.blocks = nn.ModuleList(Block(wide, wide // 32, 2) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(wide)
        self.up1, self.mix1 = nn.Conv2d(wide, middle, 1), _Residual(middle)
        self.up2, self.mix2 = nn.Conv2d(middle, fine, 1), _Residual(fine)
        self.up3, self.skip3 = nn.Conv2d(fine, config.finest, 1), nn.Conv2d(config.border, config.finest, 1)
        self.mix3 = _Residual(config.finest, norm=False)
        self.project = nn.Linear(config.finest, config.embed, bias=False)
        self.picture = nn.Linear(wide, config.embed, bias=False)
        axis = (torch.arange(config.grid) + 0.5) * 2 / config.grid - 1
        self.register_buffer("where", torch.stack(torch.meshgrid(axis, axis, indexing="ij"))[None], persistent=False)
        self.register_buffer("positions", position_waves(config.grid // 4, wide)[None], persistent=False)

    def forward(self, features: Tensor, greys: Tensor) -> tuple[Tensor, Tensor]:
        n = len(features)
        border = self.border2(greys)
        place = self.where.to(features.dtype).expand(n, -1, -1, -1)
        fine = self.stem(torch.cat([features, self.border4(border).to(features.dtype), place], 1))
        middle = self.middle(self.down1(fine))
        bottom = self.down2(middle)
        tokens = bottom.flatten(2).transpose(1, 2) + self.positions.to(bottom.dtype)
        tokens = torch.cat([self.token.to(bottom.dtype).expand(n, -1, -1), tokens], 1)
        for block in self.blocks:
            tokens = block(tokens)
        tokens = self.norm(tokens)
        wide = tokens[:, 1:].transpose(1, 2).unflatten(2, bottom.shape[2:])
        middle = self.mix1(middle + _twice(self.up1(wide)))
        fine = self.mix2(fine + _twice(self.up2(middle)))
        return self.mix3(_twice(self.up3(fine)) + self.skip3(border)), tokens[:, 0]


def _twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear")


class SecondNet(nn.Module):
    """The head, the text tower, and scales and offsets that turn cosines into logits; see `QuickStartNet`."""

    def __init__(self, config: SecondConfig) -> None:
        super().__init__()
        self.config = config
        self.closer = Closer(config)
        self.text = TextTower(config)
        self.dense_scale = nn.Parameter(torch.tensor(14.0))
        self.dense_offset = nn.Parameter(torch.tensor(-6.0))
        self.presence_scale = nn.Parameter(torch.tensor(12.0))
        self.presence_offset = nn.Parameter(torch.tensor(-4.0))


def to_greys(pictures: Tensor) -> Tensor:
    """(N, S, S) uint8 -> (N, 1, S, S) float32 in -1..1, each stretched as the segmenter stretches it."""
    x = pictures.float()[:, None]
    low, high = x.amin((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
    return (x - low) / (high - low).clamp_min(1e-8) * 2 - 1
