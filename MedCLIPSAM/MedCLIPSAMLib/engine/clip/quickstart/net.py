"""Network of the built-in quick-start CLIP: a small ViT with a convolutional stem, a dense decoder and a text tower."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class QuickStartConfig:
    """Sizes of the network. ``bottleneck`` is the block (0-based) after which tokens are normalised."""

    image_size: int = 192
    width: int = 192
    blocks: int = 8
    heads: int = 3
    mlp_ratio: int = 2
    bottleneck: int = 4
    embed: int = 128
    vocabulary: int = 2000
    text_width: int = 128
    text_blocks: int = 2
    context: int = 32

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


class Block(nn.Module):
    """Pre-norm transformer block, (N, T, W) -> (N, T, W)."""

    def __init__(self, width: int, heads: int, mlp_ratio: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, mlp_ratio * width)
        self.fc2 = nn.Linear(mlp_ratio * width, width)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        n, t, w = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(n, t, 3, self.heads, w // self.heads).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = x + self.proj(attended.transpose(1, 2).reshape(n, t, w))
        return x + self.feed(self.norm2(x))

    def feed(self, normed: Tensor) -> Tensor:
        """(N, T, W) after the second norm -> what is added to the tokens."""
        return self.fc2(F.gelu(self.fc1(normed)))


def _convolution(channels_in: int, channels_out: int, stride: int) -> nn.Sequential:
    """3 x 3 convolution, group norm (no batch statistics: contrasts differ from image to image), GELU."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False),
        nn.GroupNorm(8, channels_out),
        nn.GELU(),
    )


@lru_cache
def position_waves(grid: int, width: int) -> Tensor:
    """Two-dimensional sine-cosine position embedding, (grid * grid, width); the same place at any grid."""
    axis = (torch.arange(grid) + 0.5) * 2 / grid - 1
    row, column = torch.meshgrid(axis, axis, indexing="ij")
    frequency = torch.exp(torch.linspace(0, math.log(18.0), width // 4))
    waves = [wave(axis.reshape(-1, 1) * frequency) for axis in (row, column) for wave in (torch.sin, torch.cos)]
    return torch.cat(waves, 1)


class ImageTower(nn.Module):
    """(N, 1, S, S) in -1..1 -> tokens (N, 1 + (S/16)^2, width) -> dense features (N, embed, S/4, S/4)."""

    def __init__(self, config: QuickStartConfig) -> None:
        super().__init__()
        self.bottleneck = config.bottleneck
        width = config.width
        self.stem2 = _convolution(1, 32, 2)
        self.stem4 = _convolution(32, 64, 2)
        self.stem8 = _convolution(64, 96, 2)
        self.stem16 = nn.Conv2d(96, width, 3, 2, 1)
        self.class_token = nn.Parameter(torch.randn(1, 1, width) * 0.5)
        self.blocks = nn.ModuleList(Block(width, config.heads, config.mlp_ratio) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(width)
        self.pool = nn.Linear(width, config.embed, bias=False)
        self.project = nn.Linear(width, config.embed, bias=False)
        self.up8 = nn.Conv2d(width, 96, 1)
        self.skip8 = nn.Conv2d(96, 96, 1)
        self.mix8 = _convolution(96, 96, 1)
        self.up4 = nn.Conv2d(96, 64, 1)
        self.skip4 = nn.Conv2d(64, 64, 1)
        self.mix4 = _convolution(64, 64, 1)
        self.dense = nn.Conv2d(64, config.embed, 1, bias=False)

    def stem(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens before the first block and the two feature maps that the dense decoder takes up again."""
        quarter = self.stem4(self.stem2(x))
        eighth = self.stem8(quarter)
        patches = self.stem16(eighth)
        width, grid = patches.shape[1:3]
        # Without this norm the stem's scale drowns the position embedding.
        patches = F.layer_norm(patches.flatten(2).transpose(1, 2), (width,)) + position_waves(grid, width).to(x)
        return torch.cat([self.class_token.expand(len(x), -1, -1), patches], 1), eighth, quarter

    def run(self, tokens: Tensor, first: int, last: int) -> Tensor:
        """Blocks ``first`` to ``last`` - 1; the bottleneck's tokens have mean 0 and variance 1, as its noise has."""
        for index in range(first, last):
            tokens = self.blocks[index](tokens)
            if index == self.bottleneck:
                tokens = self.normalised(tokens)
        return tokens

    @staticmethod
    def normalised(tokens: Tensor) -> Tensor:
        """(N, T, W) -> the same, each token with mean 0 and variance 1."""
        return F.layer_norm(tokens, tokens.shape[-1:])

    def presence(self, tokens: Tensor) -> Tensor:
        """Last tokens -> feature of the class token (N, embed), which says what is in the image."""
        return self.project(self.norm(tokens[:, 0]))

    def patches(self, tokens: Tensor) -> Tensor:
        """Last tokens -> features of the patches (N, (S/16)^2, embed), whose mean says what is in the image."""
        return self.pool(self.norm(tokens[:, 1:]))

    def decode(self, tokens: Tensor, eighth: Tensor, quarter: Tensor) -> Tensor:
        """Last tokens and stem maps -> dense features (N, embed, S/4, S/4), not normalised."""
        side = math.isqrt(tokens.shape[1] - 1)
        grid = self.norm(tokens)[:, 1:].transpose(1, 2).unflatten(2, (side, side))
        x = F.interpolate(self.up8(grid), scale_factor=2.0, mode="bilinear") + self.skip8(eighth)
        x = F.interpolate(self.up4(self.mix8(x)), scale_factor=2.0, mode="bilinear") + self.skip4(quarter)
        return self.dense(self.mix4(x))


class TextSizes(Protocol):
    """Sizes of a `TextTower`."""

    @property
    def embed(self) -> int: ...
    @property
    def vocabulary(self) -> int: ...
    @property
    def text_width(self) -> int: ...
    @property
    def text_blocks(self) -> int: ...
    @property
    def context(self) -> int: ...


class TextTower(nn.Module):
    """(N, L) token ids, 0 is padding -> (N, embed), not normalised."""

    def __init__(self, config: TextSizes) -> None:
        super().__init__()
        width = config.text_width
        self.tokens = nn.Embedding(config.vocabulary, width)
        nn.init.normal_(self.tokens.weight, std=0.5)
        self.positions = nn.Parameter(torch.randn(1, config.context, width) * 0.05)
        self.blocks = nn.ModuleList(Block(width, 2, 4) for _ in range(config.text_blocks))
        self.norm = nn.LayerNorm(width)
        self.weigh = nn.Linear(width, 1)
        self.project = nn.Linear(width, config.embed, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        known = ids > 0
        x = self.tokens(ids) + self.positions[:, : ids.shape[1]]
        for block in self.blocks:
            x = block(x, known[:, None, None, :])
        x = self.norm(x)
        # Attention pooling: the noun counts, the filler words around it do not.
        weights = self.weigh(x)[..., 0].masked_fill(~known, -torch.inf).softmax(1)
        return self.project((x * weights[..., None]).sum(1))


class QuickStartNet(nn.Module):
    """Both towers and the learnt scales and offsets that turn cosines into logits.

    ``dense_scale`` and ``dense_offset`` for the dense map, ``presence_scale`` and ``presence_offset`` for the
    class token: ``sigmoid(scale * cosine + offset)`` is a probability.
    """

    def __init__(self, config: QuickStartConfig) -> None:
        super().__init__()
        self.config = config
        self.image = ImageTower(config)
        self.text = TextTower(config)
        self.dense_scale = nn.Parameter(torch.tensor(12.0))
        self.dense_offset = nn.Parameter(torch.tensor(-5.0))
        self.presence_scale = nn.Parameter(torch.tensor(12.0))
        self.presence_offset = nn.Parameter(torch.tensor(-4.0))
