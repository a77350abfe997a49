"""Saliency by attention: what the class token has read of each patch through all blocks, weighted by gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..clip.base import ImageTextModel
from .cam import logits
from .patches import OfTokens, Patchwise


@dataclass(frozen=True)
class HilaCAM(Patchwise, OfTokens):
    """R = I; for each block from the first R = R + mean over heads of max(P dP, 0) times R; the class token's row.

    P are the attention probabilities of a block and dP the gradient of s cos(image, text) there (Chefer, Gur, Wolf,
    ICCV 2021, equation 6 and 11 without cross attention).
    """

    name: ClassVar[str] = "hilacam"
    preview: ClassVar[str] = name
    after: ClassVar[int] = -1
    _most: ClassVar[int] = 4  # every block keeps its attention

    def patches(
        self, model: ImageTextModel, tokens: Tensor, target: Tensor, stop_if_cancelled: Callable[[], None]
    ) -> Tensor:
        """The row of the class token in R without its first entry; see `Patchwise.patches`."""
        read = []
        with torch.enable_grad():
            tokens = tokens.detach().requires_grad_()
            for number in range(model.block_count):
                stop_if_cancelled()
                block = model.block(number)
                question, key, value = block.split(block.norm1(tokens))
                read.append(block.scores(question, key).softmax(-1))
                tokens = block.from_attended(tokens + block.read(read[-1], value))
            agreement = logits(model, model.features_after(tokens, model.block_count - 1), target)
            gradients = torch.autograd.grad(agreement.sum(), read)
        relevance = torch.eye(tokens.shape[1], device=tokens.device)
        for shares, gradient in zip(read, gradients, strict=True):
            relevance = relevance + (shares.detach() * gradient).clamp(min=0).mean(1) @ relevance
        return relevance[:, 0, 1:]
