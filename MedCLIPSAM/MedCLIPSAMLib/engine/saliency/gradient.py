"""A quick look in place of M2IB: one forward and one backward pass behind a half-open bottleneck."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..clip.base import ImageTextModel
from ..errors import Cancelled
from .base import SaliencyBatch, TextQuery
from .bottleneck import Bottleneck, as_maps

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

    def explain(
        self,
        model: ImageTextModel,
        prepared: Tensor,
        query: TextQuery,
        slices: Sequence[int] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> SaliencyBatch:
        """(N, T, W) tokens -> maps of what each patch would add to the cosine; see `SaliencyMethod.explain`."""
        numbers = list(range(len(prepared)) if slices is None else slices)
        patches, at_once = [], self.at_once(model)
        for first in range(0, len(prepared), at_once):
            if cancelled is not None and cancelled():
                raise Cancelled("Saliency was cancelled.")
            tokens = prepared[first : first + at_once]
            keep = torch.full_like(tokens, _HALF_OPEN).requires_grad_()
            streams = [self.stream(number, tokens.device) for number in numbers[first : first + at_once]]
            with torch.enable_grad():
                agreement = self.agreement(model, tokens, keep, query.target, streams)
                (gain,) = torch.autograd.grad(agreement.sum(), keep)
            patches.append(gain[:, 1:].float().clamp(min=0).sum(-1))
        return as_maps(model, torch.cat(patches))
