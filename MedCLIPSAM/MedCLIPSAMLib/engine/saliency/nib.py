"""Narrowing information bottleneck (Zhu et al., ICLR 2025, arXiv:2502.14889)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from ..clip.base import ImageTextModel
from .base import Choices, SaliencyBatch, SaliencyMethod, TextQuery, chosen_layer
from .cam import enlarge, stop_if

_PUBLISHED_BLOCKS = 9  # of 12, before the bottleneck
_PASSES = 10
_AT_ONCE = 4


@dataclass(frozen=True)
class NIB(SaliencyMethod):
    """The bottleneck lets a share l of the tokens X pass, which narrows from 1 to 0; no noise, nothing is learnt.

    The saliency of a patch is the sum over channels of X times the mean of d cos(image(l X), text) / d(l X) over
    l = 1/n ... n/n: what the cosine gains by that patch on the way.

    Attributes:
        layer: block (0-based) whose output goes through the bottleneck.
        passes: n.
    """

    layer: int
    passes: int = _PASSES

    name: ClassVar[str] = "nib"
    localizer: ClassVar[str] = "kmeans"
    absolute: ClassVar[bool] = False
    preview: ClassVar[str] = name
    options: ClassVar[tuple[str, ...]] = ("layer",)

    @classmethod
    def chosen(cls, model: ImageTextModel, choices: Choices) -> SaliencyMethod:
        """Behind nine of twelve blocks, as published."""
        published = max(0, round(_PUBLISHED_BLOCKS / 12 * model.block_count) - 1)
        return cls(chosen_layer(model, choices, published))

    @property
    def prepared_as(self) -> str:
        """See `SaliencyMethod.prepared_as`."""
        return f"block {self.layer}"

    @property
    def choices(self) -> dict[str, Any]:
        """Where the bottleneck is, and how often it is passed."""
        return {"layer": self.layer, "passes": self.passes}

    def at_once(self, model: ImageTextModel) -> int:
        """Few: all passes of an image are made together."""
        return _AT_ONCE

    def prepare(self, model: ImageTextModel, pixels: Tensor) -> Tensor:
        """(N, 3, S, S) -> (N, T, W): the tokens that go into the bottleneck."""
        return model.tokens_after(pixels, self.layer)

    def image_features(self, model: ImageTextModel, prepared: Tensor) -> Tensor:
        """(N, T, W) -> (N, D)."""
        with torch.no_grad():
            return model.features_after(prepared, self.layer)

    def explain(
        self,
        model: ImageTextModel,
        prepared: Tensor,
        query: TextQuery,
        slices: Sequence[int] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> SaliencyBatch:
        """(N, T, W) tokens -> maps; see `SaliencyMethod.explain`."""
        shares = torch.arange(1, self.passes + 1, device=prepared.device) / self.passes
        grids = []
        # What a patch gains is a difference of large numbers, which half precision loses.
        with torch.autocast(prepared.device.type, enabled=False):
            for tokens in prepared.float():
                stop_if(cancelled)
                with torch.enable_grad():
                    passed = (shares[:, None, None] * tokens).requires_grad_()
                    images = model.features_after(passed, self.layer)
                    agreement = F.cosine_similarity(images, query.target, dim=-1, eps=1e-6)
                    (gain,) = torch.autograd.grad(agreement.sum(), passed)
                grids.append((tokens * gain.mean(0)).sum(-1)[1:])
            return enlarge(torch.stack(grids), model)
