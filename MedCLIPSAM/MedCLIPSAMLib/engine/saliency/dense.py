"""Saliency as similarity of image cells with the text, for models whose cells are aligned with texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Protocol, cast

import torch
from torch import Tensor

from ..clip.base import DenseImageTextModel, ImageTextModel
from .base import SaliencyBatch, SaliencyMethod, TextQuery, enlarge, stop_if

_SHARPNESS = 15.0  # the factor of cosines in the softmax that the model was trained with
_NOTHING = 3.0  # the logit of "none of these texts" in that softmax
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
            stop_if(cancelled)
            seen = features.float()
            cells, _, there = weigh(model, seen[0], seen[1:], query.target, rivals, _PEAK_CELLS)
            maps.append(cells)
            presence.append(there)
        return enlarge(torch.stack(maps), model, torch.stack(presence))


class Aligned(Protocol):
    """What a model of aligned cells knows of its own cosines; see `DenseImageTextModel`."""

    def dense_logits(self, cosine: Tensor) -> Tensor:
        """Logits of "this cell shows it"."""
        ...

    def presence_logits(self, cosine: Tensor) -> Tensor:
        """Logits of "this image shows it"."""
        ...


def weigh(
    model: Aligned, picture: Tensor, cells: Tensor, target: Tensor, rivals: Tensor, smallest: int
) -> tuple[Tensor, Tensor, Tensor]:
    """One image against a text and its rivals.

    Args:
        picture: (D,) of the whole image, and cells (P, D), both of length 1.
        target: (D,) and rivals (R, D), of length 1.
        smallest: cells of the smallest structure that can be told.

    Returns:
        (P,) probability of each cell, its mean over the most likely cells, and the presence: the geometric mean of that
        and of what the image as a whole says; all in 0..1.
    """
    cosine = cells @ torch.cat([target[None], rivals]).T
    nothing = torch.full_like(cosine[:, :1], _NOTHING)
    share = torch.cat([_SHARPNESS * cosine, nothing], 1).softmax(1)[:, 0]
    probability = (model.dense_logits(cosine[:, 0]).sigmoid() * share).sqrt()
    peak = probability.topk(smallest).values.mean()
    return probability, peak, (peak * model.presence_logits(picture @ target).sigmoid()).sqrt()
