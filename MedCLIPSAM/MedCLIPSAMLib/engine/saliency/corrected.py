"""Dense maps of a frozen CLIP in one pass: its last attention corrected, so that a patch reads what is like itself."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from ..clip.attention import AttentionBlock
from ..clip.base import ImageTextModel
from .base import Choices, SaliencyMethod
from .patches import OfTokens, Patchwise

_NEAR = 5.0  # standard deviation in patches of the neighbourhood, as published


@dataclass(frozen=True)
class Corrected(Patchwise, OfTokens):
    """Cosine of each patch with the text, after a last block whose attention is another than the one it learnt.

    Attributes:
        block: number (0-based) of the last block.
    """

    block: int

    @classmethod
    def chosen(cls, model: ImageTextModel, choices: Choices) -> SaliencyMethod:
        """See `SaliencyMethod.chosen`."""
        return cls(model.block_count - 1)

    @property
    def after(self) -> int:
        """See `OfTokens.after`."""
        return self.block - 1

    @abstractmethod
    def last(self, block: AttentionBlock, tokens: Tensor) -> Tensor:
        """(N, T, W) before the last block -> (N, T, W) after it."""

    def patches(
        self, model: ImageTextModel, tokens: Tensor, target: Tensor, stop_if_cancelled: Callable[[], None]
    ) -> Tensor:
        """See `Patchwise.patches`."""
        with torch.no_grad():
            patches = self.last(model.block(self.block), tokens)[:, 1:]
            # Read out like the class token, or like the mean of the patches: whichever the tower does.
            each = patches.flatten(0, 1)[:, None].expand(-1, 2, -1)
            features = F.normalize(model.features_after(each, self.block), dim=1)
            return (features @ target).unflatten(0, patches.shape[:2])


@dataclass(frozen=True)
class SCLIP(Corrected):
    """softmax(q q) + softmax(k k) in place of softmax(q k) (Wang, Mei, Yuille, ECCV 2024, equation 3)."""

    name: ClassVar[str] = "sclip"
    preview: ClassVar[str] = name

    def last(self, block: AttentionBlock, tokens: Tensor) -> Tensor:
        """See `Corrected.last`."""
        query, key, value = block.split(block.norm1(tokens))
        shares = block.scores(query, query).softmax(-1) + block.scores(key, key).softmax(-1)
        return block.from_attended(tokens + block.read(shares, value))


@dataclass(frozen=True)
class ClearCLIP(Corrected):
    """softmax(q q), and what is read of it alone: neither the tokens before nor the feed-forward part.

    Lan et al., ECCV 2024, equation 6.
    """

    name: ClassVar[str] = "clearclip"
    preview: ClassVar[str] = name

    def last(self, block: AttentionBlock, tokens: Tensor) -> Tensor:
        """See `Corrected.last`."""
        query, _, value = block.split(block.norm1(tokens))
        return block.read(block.scores(query, query).softmax(-1), value)


@dataclass(frozen=True)
class NACLIP(Corrected):
    """As `ClearCLIP` with softmax(k k + w), w a Gaussian around each patch: neighbours belong together.

    Hajimiri, Ben Ayed, Dolz, WACV 2025, equation 6.
    """

    name: ClassVar[str] = "naclip"
    preview: ClassVar[str] = name

    def last(self, block: AttentionBlock, tokens: Tensor) -> Tensor:
        """See `Corrected.last`."""
        _, key, value = block.split(block.norm1(tokens))
        return block.read((block.scores(key, key) + _neighbourhood(tokens)).softmax(-1), value)


def _neighbourhood(tokens: Tensor) -> Tensor:
    """(T, T): exp(-distance^2 / (2 s^2)) between patches, 0 with the class token."""
    side = round((tokens.shape[1] - 1) ** 0.5)
    axis = torch.arange(side, device=tokens.device, dtype=torch.float32)
    near = torch.exp(-((axis[:, None] - axis) ** 2) / (2 * _NEAR**2))
    both = torch.einsum("ac,bd->abcd", near, near).reshape(side * side, side * side)
    return F.pad(both, (1, 0, 1, 0))
