"""What a saliency method takes and gives: where in an image a model sees what a text says."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from ..clip.base import AttentiveModel, ImageTextModel
from ..errors import Cancelled, InputError
from ..methods import SALIENCY, Shown


class Choices(Protocol):
    """What a person may choose about a method, see `session.settings.Settings`; None leaves it to the method."""

    @property
    def layer(self) -> int | None: ...
    @property
    def beta(self) -> float | None: ...
    @property
    def steps(self) -> int | None: ...
    @property
    def noise_samples(self) -> int | None: ...
    @property
    def seed(self) -> int: ...
    @property
    def exact(self) -> bool: ...


def chosen_layer(model: ImageTextModel, choices: Choices, otherwise: int) -> int:
    """The block that was chosen, or ``otherwise``.

    Raises:
        InputError: the model has no such block.
    """
    layer = otherwise if choices.layer is None else choices.layer
    if not 0 <= layer < model.block_count:
        raise InputError(f"Layer {layer} does not exist in {model.name}; choose from 0 to {model.block_count - 1}.")
    return layer


class TextEncoder(Protocol):
    """Whatever brings texts into a space."""

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """T texts -> (T, D), not normalised."""
        ...


@dataclass(frozen=True)
class TextQuery:
    """What to look for, in the joint space of a model.

    Attributes:
        target: (D,) of length 1.
        contrast: (C, D) of length 1, what it is to be told from; C may be 0.
        asked: what a model with attention needs beside them, see `AttentiveModel`.
    """

    target: Tensor
    contrast: Tensor
    asked: tuple[Tensor, ...] = ()

    @classmethod
    def encode(cls, model: TextEncoder, wordings: Sequence[str], contrast: Sequence[str] = ()) -> TextQuery:
        """Several wordings of one thing are an ensemble, several contrast wordings remain apart."""
        features = model.encode_text([*wordings, *contrast])
        asked = cast(AttentiveModel, model).ask(wordings, contrast) if hasattr(model, "ask") else ()
        return cls.from_features(features[: len(wordings)], features[len(wordings) :], asked)

    @classmethod
    def from_features(cls, target: Tensor, contrast: Tensor | None = None, asked: tuple[Tensor, ...] = ()) -> TextQuery:
        """From text features as a model gives them: target (T, D), contrast (C, D).

        The ensemble is the published one: the mean of the features as they are, then normalised.
        """
        contrast = target[:0] if contrast is None else contrast
        return cls(F.normalize(target.mean(0), dim=0), F.normalize(contrast, dim=1), asked)


@dataclass(frozen=True)
class SaliencyBatch:
    """Saliency of N images.

    Attributes:
        maps: (N, S, S) float32 in the method's own unit, comparable between images; see `normalise`.
        information: (N,) the whole of each map before it is enlarged; for M2IB in nats.
        presence: (N,) in 0..1, where the method can tell whether the thing is there.
    """

    maps: Tensor
    information: Tensor
    presence: Tensor | None = None


class SaliencyMethod(Protocol):
    """Two stages, so that what does not depend on the text can be kept: prepare once, explain often.

    Attributes:
        localizer: the binarizer that suits its maps.
        absolute: maps are probabilities, low everywhere where the thing is absent; others must be stretched.
        preview: name of the method that stands in for it where a person waits.
        options: names of the `Choices` that it takes.
        as_published: a MedCLIP-SAM was published with it, so that `Choices.exact` has a meaning.
    """

    name: ClassVar[str]
    localizer: ClassVar[str]
    absolute: ClassVar[bool]
    preview: ClassVar[str]
    options: ClassVar[tuple[str, ...]] = ()
    as_published: ClassVar[bool] = False
    _most: ClassVar[int] = 8  # images at a time, whose time a user does not notice

    @classmethod
    def suits(cls, model: ImageTextModel) -> bool:
        """Whether the model shows what the method looks into, as the registry has it."""
        return SALIENCY[cls.name].goes_with(shown_by(model))

    @classmethod
    def chosen(cls, model: ImageTextModel, choices: Choices) -> SaliencyMethod:
        """The method as a person wants it, and as it suits the model.

        Raises:
            InputError: a choice does not go with the model, or the method does not.
        """
        return cls()

    @property
    def prepared_as(self) -> str:
        """What `prepare` gives, by name; methods with the same can share it."""
        ...

    @property
    def choices(self) -> dict[str, Any]:
        """Its options, as far as they change the result; values that JSON can hold."""
        return {}

    def at_once(self, model: ImageTextModel) -> int:
        """How many images are best explained together where `model` runs; as many as its memory allows, at most."""
        return self._most

    def prepare(self, model: ImageTextModel, pixels: Tensor) -> Tensor:
        """(N, 3, S, S) -> (N, ...) what the method needs of the images."""
        ...

    def image_features(self, model: ImageTextModel, prepared: Tensor) -> Tensor:
        """What was prepared -> (N, D) features of the images; D is 0 if the method answers presence itself."""
        ...

    def explain(
        self,
        model: ImageTextModel,
        prepared: Tensor,
        query: TextQuery,
        slices: Sequence[int] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> SaliencyBatch:
        """Saliency of `query` in N prepared images.

        Args:
            slices: number of each image, by which a random method draws its noise; 0 to N - 1 if not given.
            cancelled: asked between steps.

        Raises:
            Cancelled: `cancelled` said so.
        """
        ...

    def __call__(
        self,
        model: ImageTextModel,
        pixels: Tensor,
        query: TextQuery,
        slices: Sequence[int] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> SaliencyBatch:
        """Both stages: (N, 3, S, S) -> saliency."""
        return self.explain(model, self.prepare(model, pixels), query, slices, cancelled)


def shown_by(model: ImageTextModel) -> tuple[Shown, ...]:
    """What a method can look into of a model."""
    there: dict[Shown, bool] = {
        "blocks": model.block_count > 0,
        "cells": hasattr(model, "look"),
        "regions": hasattr(model, "attend"),
        "map": hasattr(model, "cells_before"),
    }
    return tuple(shown for shown, has in there.items() if has)


def normalise(maps: Tensor) -> Tensor:
    """(N, H, W) -> each map stretched to 0..1; a flat map becomes 0."""
    low = maps.amin((1, 2), keepdim=True)
    span = maps.amax((1, 2), keepdim=True) - low
    return torch.where(span > 0, (maps - low) / span, torch.zeros_like(maps))


def enlarge(cells: Tensor, model: ImageTextModel, presence: Tensor | None = None) -> SaliencyBatch:
    """(N, P) saliency of the cells of a square grid, row by row, as maps of the picture's size, bilinear."""
    side = math.isqrt(cells.shape[1])
    maps = F.interpolate(cells.view(-1, 1, side, side), (model.image_size,) * 2, mode="bilinear")[:, 0]
    return SaliencyBatch(maps, cells.sum(1), presence)


def stop_if(cancelled: Callable[[], bool] | None) -> None:
    """Raises Cancelled if somebody asked for it."""
    if cancelled is not None and cancelled():
        raise Cancelled("Saliency was cancelled.")
