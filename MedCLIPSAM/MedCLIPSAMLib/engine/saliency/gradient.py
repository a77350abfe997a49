"""A quick look in place of M2IB: one forward and one backward pass behind a half-open bottleneck."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..clip.base import ImageTextModel
from .base import Choices, SaliencyMethod, TextQuery, chosen_layer
from .bottleneck import Bottleneck

_HALF_OPEN = 0.5  # of 0.3, 0.5 and 0.8 the one whose maps rank the patches of an organ best


@dataclass(frozen=True)
class Gradient(Bottleneck):
    """How much the agreement of image and text would gain if more of a token passed: d cos / d a at a = 1/2.

    M2IB (Wang, Rudner, Wilson, NeurIPS 2023) follows this gradient for its steps, starting from a = 0.993, where it
    says little yet. Here it is taken once, half-way, where noise is half of what the later blocks see. The saliency
    of a patch is the sum over channels of what is positive.
    """

    noise_samples: int = 4
    antithetic: bool = True

    name: ClassVar[str] = "gradient"
    preview: ClassVar[str] = name
    options: ClassVar[tuple[str, ...]] = ("layer", "seed")

    @classmethod
    def chosen(cls, model: ImageTextModel, choices: Choices) -> SaliencyMethod:
        """See `SaliencyMethod.chosen`."""
        return cls(chosen_layer(model, choices, model.recommended.layer), seed=choices.seed)

    def patches(
        self,
        model: ImageTextModel,
        tokens: Tensor,
        query: TextQuery,
        streams: list[torch.Generator],
        stop_if_cancelled: Callable[[], None],
    ) -> Tensor:
        """(N, T, W) tokens -> (N, T - 1) what each patch would add to the cosine."""
        stop_if_cancelled()
        keep = torch.full_like(tokens, _HALF_OPEN).requires_grad_()
        with torch.enable_grad():
            agreement = self.agreement(model, tokens, keep, query.target, streams, self.noise_samples)
            (gain,) = torch.autograd.grad(agreement.sum(), keep)
        return gain[:, 1:].float().clamp(min=0).sum(-1)
