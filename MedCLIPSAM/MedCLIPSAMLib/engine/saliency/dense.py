"""Saliency as similarity of image cells with the text, for models whose cells are aligned with texts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from ..clip.base import DenseImageTextModel, ImageTextModel
from ..errors import Cancelled
from .base import SaliencyBatch, SaliencyMethod, TextQuery

_SHARPNESS = 15.0  # the factor of cosines in the softmax that the model was trained with
_NOTHING = 3.0  # the logit of "none of these texts" in that softmax
_AT_ONCE = 8
_PEAK_CELLS = 8  # the smallest organ that the model was trained to report has about this many cells


class Dense(SaliencyMethod):
    """Probability that a cell shows what the text says, and not what any rival text says.

    The map is the geometric mean of two answers the model was trained for: the sigmoid "does this cell show it?"
    and the share of the text in a softmax over the rivals (contrast wordings and the model's other terms) and
    "nothing of these". It is not stretched: a map of an absent organ is low everywhere.
    """

    name: ClassVar[str] = "dense"
    localizer: ClassVar[str] = "kmeans"
    absolute: ClassVar[bool] = True
    preview: ClassVar[str] = name

    @property
    def prepared_as(self) -> str:
        """See `SaliencyMethod.prepared_as`."""
        return "cells"

    @property
    def choices(self) -> dict[str, Any]:
        """None."""
        return {}

    def at_once(self, model: ImageTextModel) -> int:
        """A few, whose time a user does not notice."""
        return _AT_ONCE

    def prepare(self, model: ImageTextModel, pixels: Tensor) -> Tensor:
        """(N, 3, S, S) -> (N, 1 + cells, D), of a model whose cells are aligned with texts."""
        return cast(DenseImageTextModel, model).look(pixels)

    def image_features(self, model: ImageTextModel, prepared: Tensor) -> Tensor:
        """(N, 0): the class token among what was prepared answers."""
        return prepared.new_empty((len(prepared), 0))

    def explain(
        self,
        model: ImageTextModel,
        prepared: Tensor,
        query: TextQuery,
        slices: Sequence[int] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> SaliencyBatch:
        """(N, 1 + cells, D) -> maps of probabilities; ``information`` is the area in cells."""
        # Few numbers, which a sharp softmax sets apart: in float32 whatever the networks compute in.
        with torch.autocast(prepared.device.type, enabled=False):
            return self._explain(cast(DenseImageTextModel, model), prepared, query, cancelled)

    def _explain(
        self, model: DenseImageTextModel, prepared: Tensor, query: TextQuery, cancelled: Callable[[], bool] | None
    ) -> SaliencyBatch:
        rivals = torch.cat([query.contrast, model.vocabulary.rivals(query.target)])
        maps, presence = [], []
        for features in prepared:  # one at a time: half precision is kept, float32 is computed
            if cancelled is not None and cancelled():
                raise Cancelled("Saliency was cancelled.")
            cosine = features.float() @ torch.cat([query.target[None], rivals]).T
            cells = cosine[1:]
            nothing = torch.full_like(cells[:, :1], _NOTHING)
            share = torch.cat([_SHARPNESS * cells, nothing], 1).softmax(1)[:, 0]
            maps.append((model.dense_logits(cells[:, 0]).sigmoid() * share).sqrt())
            presence.append(model.presence_logits(cosine[0, 0]).sigmoid())
        cells = torch.stack(maps)
        peak = cells.topk(_PEAK_CELLS, dim=1).values.mean(1)
        side = math.isqrt(cells.shape[1])
        enlarged = F.interpolate(cells.view(-1, 1, side, side), (model.image_size,) * 2, mode="bilinear")
        return SaliencyBatch(enlarged[:, 0], cells.sum(1), (peak * torch.stack(presence)).sqrt())
