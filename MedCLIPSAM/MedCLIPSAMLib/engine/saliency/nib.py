"""Narrowing information bottleneck (Zhu et al., ICLR 2025, arXiv:2502.14889)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from ..clip.base import ImageTextModel
from .base import Choices, SaliencyMethod, chosen_layer
from .patches import OfTokens, Patchwise

_PUBLISHED_BLOCKS = 9  # of 12, before the bottleneck
_PASSES = 10


@dataclass(frozen=True)
class NIB(Patchwise, OfTokens):
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
    preview: ClassVar[str] = name
    options: ClassVar[tuple[str, ...]] = ("layer",)
    _most: ClassVar[int] = 4  # all passes of an image are made together

    @classmethod
    def chosen(cls, model: ImageTextModel, choices: Choices) -> SaliencyMethod:
        """Behind nine of twelve blocks, as published."""
        published = max(0, round(_PUBLISHED_BLOCKS / 12 * model.block_count) - 1)
        return cls(chosen_layer(model, choices, published))

    @property
    def after(self) -> int:
        """See `OfTokens.after`."""
        return self.layer

    @property
    def choices(self) -> dict[str, Any]:
        """Where the bottleneck is, and how often it is passed."""
        return {"layer": self.layer, "passes": self.passes}

    def patches(
        self, model: ImageTextModel, tokens: Tensor, target: Tensor, stop_if_cancelled: Callable[[], None]
    ) -> Tensor:
        """See `Patchwise.patches`."""
        shares = torch.arange(1, self.passes + 1, device=tokens.device) / self.passes
        found = []
        for image in tokens:
            stop_if_cancelled()
            with torch.enable_grad():
                passed = (shares[:, None, None] * image).requires_grad_()
                agreement = F.cosine_similarity(model.features_after(passed, self.layer), target, dim=-1, eps=1e-6)
                (gain,) = torch.autograd.grad(agreement.sum(), passed)
            found.append((image * gain.mean(0)).sum(-1)[1:])
        return torch.stack(found)
