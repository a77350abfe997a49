"""Saliency by attention: what the class token has read of each patch through all blocks, weighted by gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..clip.base import ImageTextModel
from .base import SaliencyBatch, SaliencyMethod, TextQuery
from .cam import enlarge, logits, stop_if

_AT_ONCE = 4


@dataclass(frozen=True)
class HilaCAM(SaliencyMethod):
    """R = I; for each block from the first R = R + mean over heads of max(P dP, 0) times R; the class token's row.

    P are the attention probabilities of a block and dP the gradient of s cos(image, text) there (Chefer, Gur, Wolf,
    ICCV 2021, equation 6 and 11 without cross attention).
    """

    name: ClassVar[str] = "hilacam"
    localizer: ClassVar[str] = "kmeans"
    absolute: ClassVar[bool] = False
    preview: ClassVar[str] = name

    @property
    def prepared_as(self) -> str:
        """See `SaliencyMethod.prepared_as`."""
        return "block -1"

    @property
    def choices(self) -> dict[str, Any]:
        """None."""
        return {}

    def at_once(self, model: ImageTextModel) -> int:
        """Few: every block keeps its attention."""
        return _AT_ONCE

    def prepare(self, model: ImageTextModel, pixels: Tensor) -> Tensor:
        """(N, 3, S, S) -> (N, T, W): what goes into the first block."""
        return model.tokens_before(pixels)

    def image_features(self, model: ImageTextModel, prepared: Tensor) -> Tensor:
        """(N, T, W) -> (N, D)."""
        with torch.no_grad():
            return model.features_after(model.block(0)(prepared), 0)

    def explain(
        self,
        model: ImageTextModel,
        prepared: Tensor,
        query: TextQuery,
        slices: Sequence[int] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> SaliencyBatch:
        """(N, T, W) -> maps; see `SaliencyMethod.explain`."""
        with torch.autocast(prepared.device.type, enabled=False):
            return enlarge(self.relevance(model, prepared.float(), query.target, cancelled), model)

    def relevance(
        self, model: ImageTextModel, tokens: Tensor, target: Tensor, cancelled: Callable[[], bool] | None = None
    ) -> Tensor:
        """(N, T, W) before the first block -> (N, T - 1), the row of the class token in R without its first entry."""
        read = []
        with torch.enable_grad():
            tokens = tokens.detach().requires_grad_()
            for number in range(model.block_count):
                stop_if(cancelled)
                block = model.block(number)
                question, key, value = block.split(block.norm1(tokens))
                read.append((question @ key.mT).softmax(-1))
                tokens = block.from_attended(tokens + block.read(read[-1], value))
            agreement = logits(model, model.features_after(tokens, model.block_count - 1), target)
            gradients = torch.autograd.grad(agreement.sum(), read)
        relevance = torch.eye(tokens.shape[1], device=tokens.device)
        for shares, gradient in zip(read, gradients, strict=True):
            relevance = relevance + (shares.detach() * gradient).clamp(min=0).mean(1) @ relevance
        return relevance[:, 0, 1:]
