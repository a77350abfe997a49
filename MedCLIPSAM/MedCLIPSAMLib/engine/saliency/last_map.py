"""The last map of regions of a model without blocks, for class activation maps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from ..clip.base import ImageTextModel, MappedModel
from ..errors import InputError
from .base import Choices


@dataclass(frozen=True)
class LastMap:
    """Stands in for `cam.Layer`: a place of no class token before the regions, which nothing reads."""

    part: str = "last map"

    prepared_as: ClassVar[str] = "last map"

    @classmethod
    def chosen(cls, model: ImageTextModel, choices: Choices) -> LastMap:
        """The only one.

        Raises:
            InputError: another layer was chosen, or what was published with MedCLIP-SAM.
        """
        if choices.exact:
            raise InputError(f"MedCLIP-SAM was published with no model such as {model.name}: leave out --exact.")
        if choices.layer is not None:
            raise InputError(f"Layer {choices.layer} does not exist in {model.name}, which has one map: leave it out.")
        return cls()

    def reaches_patches(self, model: ImageTextModel) -> bool:
        """Regions always have gradients: their mean is the image's feature."""
        return True

    def before(self, model: ImageTextModel, pixels: Tensor) -> Tensor:
        """(N, 3, S, S) -> (N, 1 + R, C): what goes into the layer, after the mean of it."""
        cells = cast(MappedModel, model).cells_before(pixels)
        return torch.cat([cells.mean(1, keepdim=True), cells], 1)

    def activations(self, model: ImageTextModel, tokens: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """(N, 1 + R, C) as of `before` -> (N, 1 + R, C) at the layer, and what makes (N, D) features of that."""
        seen, read_out = cast(MappedModel, model).activations(tokens[:, 1:])
        return F.pad(seen, (0, 0, 1, 0)), lambda tokens: read_out(tokens[:, 1:])
