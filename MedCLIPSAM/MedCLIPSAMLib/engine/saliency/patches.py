"""What the methods share that say something of each patch, from the tokens of a vision transformer."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from ..clip.base import ImageTextModel
from .base import SaliencyBatch, SaliencyMethod, TextQuery, enlarge, stop_if


class OfTokens(SaliencyMethod):
    """What is prepared are the tokens after a block."""

    localizer: ClassVar[str] = "kmeans"
    absolute: ClassVar[bool] = False

    @property
    @abstractmethod
    def after(self) -> int:
        """Number (0-based) of the block whose output is prepared; -1 for what goes into the first."""

    @property
    def prepared_as(self) -> str:
        """See `SaliencyMethod.prepared_as`."""
        return f"block {self.after}"

    def prepare(self, model: ImageTextModel, pixels: Tensor) -> Tensor:
        """(N, 3, S, S) -> (N, T, W)."""
        return model.tokens_before(pixels) if self.after < 0 else model.tokens_after(pixels, self.after)

    def image_features(self, model: ImageTextModel, prepared: Tensor) -> Tensor:
        """(N, T, W) -> (N, D)."""
        with torch.no_grad():
            if self.after < 0:
                return model.features_after(model.block(0)(prepared), 0)
            return model.features_after(prepared, self.after)


class Patchwise(SaliencyMethod):
    """Tokens -> a number for each patch, computed in float32: few blocks follow, and small differences count."""

    localizer: ClassVar[str] = "kmeans"
    absolute: ClassVar[bool] = False

    @abstractmethod
    def patches(
        self, model: ImageTextModel, tokens: Tensor, target: Tensor, stop_if_cancelled: Callable[[], None]
    ) -> Tensor:
        """(N, T, W) as prepared, and (D,) of the text -> (N, T - 1) saliency of patches, row by row.

        Args:
            stop_if_cancelled: to be called between steps.
        """

    def explain(
        self,
        model: ImageTextModel,
        prepared: Tensor,
        query: TextQuery,
        slices: Sequence[int] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> SaliencyBatch:
        """(N, T, W) -> maps; see `SaliencyMethod.explain`."""
        stop_if(cancelled)
        with torch.autocast(prepared.device.type, enabled=False):
            return enlarge(self.patches(model, prepared.float(), query.target, partial(stop_if, cancelled)), model)
