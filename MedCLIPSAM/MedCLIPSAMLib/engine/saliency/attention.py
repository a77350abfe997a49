"""Where the texts of a model with attention look, or how much each region has of the agreement of text and image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, cast

import torch
from torch import Tensor

from ..clip.base import AttentiveModel, ImageTextModel
from .base import SaliencyBatch, SaliencyMethod, TextQuery, enlarge, stop_if


class Attention(SaliencyMethod):
    """What the model itself holds to be where, as its authors show it; see `clip.regional`."""

    name: ClassVar[str] = "attention"
    localizer: ClassVar[str] = "kmeans"
    absolute: ClassVar[bool] = False
    preview: ClassVar[str] = name

    @property
    def prepared_as(self) -> str:
        """See `SaliencyMethod.prepared_as`."""
        return "regions"

    def prepare(self, model: ImageTextModel, pixels: Tensor) -> Tensor:
        """(N, 3, S, S) -> (N, 1 + R, D)."""
        return cast(AttentiveModel, model).regions(pixels)

    def image_features(self, model: ImageTextModel, prepared: Tensor) -> Tensor:
        """(N, D), or (N, 0) of a model that answers itself."""
        return prepared[:, 0, :0] if cast(AttentiveModel, model).answers else prepared[:, 0]

    def explain(
        self,
        model: ImageTextModel,
        prepared: Tensor,
        query: TextQuery,
        slices: Sequence[int] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> SaliencyBatch:
        """(N, 1 + R, D) -> maps; see `SaliencyMethod.explain`."""
        stop_if(cancelled)
        attentive = cast(AttentiveModel, model)
        # Sharp softmaxes set apart what half precision confuses.
        with torch.autocast(prepared.device.type, enabled=False):
            cells, presence = attentive.attend(prepared.float(), query.target, query.asked)
            return enlarge(cells, model, presence)
