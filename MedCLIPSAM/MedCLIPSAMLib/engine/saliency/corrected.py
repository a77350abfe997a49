"""Dense maps of a frozen CLIP in one pass: its last attention corrected, so that a patch reads what is like itself."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from ..clip.attention import AttentionBlock
from ..clip.base import ImageTextModel
from .base import SaliencyBatch, SaliencyMethod, TextQuery
from .cam import Layer, enlarge, stop_if

_AT_ONCE = 8
_NEAR = 5.0  # standard deviation in patches of the neighbourhood, as published


@dataclass(frozen=True)
class Corrected(SaliencyMethod):
    """Cosine of each patch with the text, after a last block whose attention is another than the one it learnt."""

    localizer: ClassVar[str] = "kmeans"
    absolute: ClassVar[bool] = False

    @property
    def prepared_as(self) -> str:
        """See `SaliencyMethod.prepared_as`."""
        return "last block"

    @property
    def choices(self) -> dict[str, Any]:
        """None."""
        return {}

    def at_once(self, model: ImageTextModel) -> int:
        """A few, whose time a user does not notice."""
        return _AT_ONCE

    def prepare(self, model: ImageTextModel, pixels: Tensor) -> Tensor:
        """(N, 3, S, S) -> (N, T, W): what goes into the last block."""
        return Layer(model.block_count - 1).before(model, pixels)

    def image_features(self, model: ImageTextModel, prepared: Tensor) -> Tensor:
        """(N, T, W) -> (N, D)."""
        last = model.block_count - 1
        with torch.no_grad():
            return model.features_after(model.block(last)(prepared), last)

    @abstractmethod
    def last(self, block: AttentionBlock, tokens: Tensor) -> Tensor:
        """(N, T, W) before the last block -> (N, T, W) after it."""

    def explain(
        self,
        model: ImageTextModel,
        prepared: Tensor,
        query: TextQuery,
        slices: Sequence[int] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> SaliencyBatch:
        """(N, T, W) before the last block -> maps of cosines; see `SaliencyMethod.explain`."""
        stop_if(cancelled)
        last = model.block_count - 1
        with torch.no_grad(), torch.autocast(prepared.device.type, enabled=False):
            patches = self.last(model.block(last), prepared.float())[:, 1:]
            # Read out like the class token, or like the mean of the patches: whichever the tower does.
            each = patches.flatten(0, 1)[:, None].expand(-1, 2, -1)
            features = F.normalize(model.features_after(each, last).float(), dim=1)
            return enlarge((features @ query.target).unflatten(0, patches.shape[:2]), model)


def _alike(side: Tensor) -> Tensor:
    """(N, heads, T, d) queries or keys against themselves -> (N, heads, T, T) logits, in the scale of attention."""
    return side @ side.mT * side.shape[-1] ** -0.5


@dataclass(frozen=True)
class SCLIP(Corrected):
    """softmax(q q) + softmax(k k) in place of softmax(q k) (Wang, Mei, Yuille, ECCV 2024, equation 3)."""

    name: ClassVar[str] = "sclip"
    preview: ClassVar[str] = name

    def last(self, block: AttentionBlock, tokens: Tensor) -> Tensor:
        """See `Corrected.last`."""
        query, key, value = block.split(block.norm1(tokens))
        query = query * query.shape[-1] ** 0.5
        shares = _alike(query).softmax(-1) + _alike(key).softmax(-1)
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
        return block.read(_alike(query * query.shape[-1] ** 0.5).softmax(-1), value)


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
        return block.read((_alike(key) + _neighbourhood(tokens)).softmax(-1), value)


def _neighbourhood(tokens: Tensor) -> Tensor:
    """(T, T): exp(-distance^2 / (2 s^2)) between patches, 0 with the class token."""
    side = round((tokens.shape[1] - 1) ** 0.5)
    axis = torch.arange(side, device=tokens.device, dtype=torch.float32)
    near = torch.exp(-((axis[:, None] - axis) ** 2) / (2 * _NEAR**2))
    both = torch.einsum("ac,bd->abcd", near, near).reshape(side * side, side * side)
    return F.pad(both, (1, 0, 1, 0))
