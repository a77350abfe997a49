"""Saliency by what remains of the logit when parts of the image are masked out: ScoreCAM, gScoreCAM and RISE."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import KW_ONLY, asdict, dataclass
from itertools import islice
from typing import Any, ClassVar

import numpy as np
import torch
from skimage.transform import resize
from torch import Tensor
from torch.nn import functional as F

from ..clip.base import ImageTextModel
from ..machine.arrays import to_tensor
from ..published import PUBLISHED
from .base import Choices, SaliencyBatch, SaliencyMethod, TextQuery, enlarge, stop_if
from .cam import GradCAM, Layer, logits

_MASKS_AT_ONCE = 32  # on a CPU, where more are no quicker
_KEPT_PER_BLOCK = 16  # numbers per token and channel that a block needs for a moment, with a margin
_MOST_MASKS = 512
_TINY = 1e-30


@dataclass(frozen=True)
class Masked(SaliencyMethod):
    """What is prepared is the picture: masks are multiplied with it, and what they hide becomes the mean colour."""

    localizer: ClassVar[str] = "kmeans"
    absolute: ClassVar[bool] = False
    _most: ClassVar[int] = 1  # its masks fill the memory

    @property
    def prepared_as(self) -> str:
        """See `SaliencyMethod.prepared_as`."""
        return "pixels"

    def prepare(self, model: ImageTextModel, pixels: Tensor) -> Tensor:
        """(N, 3, S, S) as it is."""
        return pixels

    def image_features(self, model: ImageTextModel, prepared: Tensor) -> Tensor:
        """(N, 3, S, S) -> (N, D)."""
        return model.encode_image(prepared)

    def explain(
        self,
        model: ImageTextModel,
        prepared: Tensor,
        query: TextQuery,
        slices: Sequence[int] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> SaliencyBatch:
        """(N, 3, S, S) -> maps; see `SaliencyMethod.explain`."""
        numbers = range(len(prepared)) if slices is None else slices
        found = [
            self.map(model, picture, query.target, number, cancelled)
            for picture, number in zip(prepared.float().split(1), numbers, strict=True)
        ]
        return SaliencyBatch(torch.cat([each.maps for each in found]), torch.cat([each.information for each in found]))

    @abstractmethod
    def map(
        self,
        model: ImageTextModel,
        picture: Tensor,
        target: Tensor,
        number: int,
        cancelled: Callable[[], bool] | None,
    ) -> SaliencyBatch:
        """The map of one picture, (1, 3, S, S), which is slice ``number``."""


def _scores(
    model: ImageTextModel, picture: Tensor, target: Tensor, masks: Tensor, cancelled: Callable[[], bool] | None
) -> Tensor:
    """(M,) logits of (1, 3, S, S) times each of (M, S, S)."""
    stop_if(cancelled)
    return logits(model, model.encode_image(picture * masks[:, None]), target)


def _masks_at_once(model: ImageTextModel) -> int:
    if model.device.type != "cuda":
        return _MASKS_AT_ONCE
    numbers = (1 + model.grid**2) * model.token_width * _KEPT_PER_BLOCK
    return max(1, min(_MOST_MASKS, torch.cuda.mem_get_info(model.device)[0] // 2 // (4 * numbers)))


@dataclass(frozen=True)
class ScoreCAM(Masked):
    """sum over channels c of w_c A_c, A at a layer, w the softmax over c of the logit of the image masked by A_c.

    Wang et al., CVPR Workshops 2020, as MedCLIP-SAM (Koleilat et al., MICCAI 2024) runs it; negative values are left
    out. It takes a pass through the network for each channel: slow, as its authors say.

    Attributes:
        layer: where A is taken.
        channels: those that are tried; None for all.
    """

    layer: Layer
    channels: Sequence[int] | None = None

    name: ClassVar[str] = "scorecam"
    as_published: ClassVar[bool] = True
    preview: ClassVar[str] = "gradcam"
    options: ClassVar[tuple[str, ...]] = ("layer",)
    _epsilon: ClassVar[float] = 0.0

    @classmethod
    def chosen(cls, model: ImageTextModel, choices: Choices) -> SaliencyMethod:
        """See `SaliencyMethod.chosen`."""
        return cls(Layer.chosen(model, choices))

    @property
    def choices(self) -> dict[str, Any]:
        """Where the map is taken, and what of it."""
        channels = self.channels
        told = f"{channels[0]} to {channels[-1]}" if isinstance(channels, range) else channels and list(channels)
        own = {name: value for name, value in asdict(self).items() if name != "layer"}
        return asdict(self.layer) | own | {"channels": told}

    def tried(self, model: ImageTextModel, tokens: Tensor, target: Tensor) -> Tensor:
        """(1, T, W) before the block of the layer -> numbers of the channels that are tried."""
        channels = range(tokens.shape[2]) if self.channels is None else self.channels
        return torch.tensor(list(channels), device=tokens.device)

    def weigh(
        self,
        model: ImageTextModel,
        picture: Tensor,
        target: Tensor,
        cancelled: Callable[[], bool] | None,
    ) -> tuple[Tensor, Tensor]:
        """(1, 3, S, S) -> activations of patches (P, W), and (W,) weights of channels."""
        # One pass, of which all masks are made; those of the masked images are in the format that was chosen.
        with torch.autocast(picture.device.type, enabled=False), torch.no_grad():
            tokens = self.layer.before(model, picture)
            seen = self.layer.activations(model, tokens)[0][0, 1:]
            tried = self.tried(model, tokens, target)
        scores = torch.zeros(seen.shape[1], device=seen.device)
        for some in tried.split(_masks_at_once(model)):
            grid = seen[:, some].T.unflatten(1, (1, model.grid, model.grid))
            large = F.interpolate(grid, picture.shape[2:], mode="bilinear", align_corners=True)[:, 0]
            low, high = large.amin((1, 2), keepdim=True), large.amax((1, 2), keepdim=True)
            span = high - low + self._epsilon
            found = _scores(model, picture, target, (large - low) / span.clamp_min(_TINY), cancelled)
            scores[some] = torch.where(span[:, 0, 0] > 0, found, 0)  # as published, what is no number counts as 0
        return seen, scores.softmax(0)

    def map(
        self,
        model: ImageTextModel,
        picture: Tensor,
        target: Tensor,
        number: int,
        cancelled: Callable[[], bool] | None,
    ) -> SaliencyBatch:
        """See `Masked.map`."""
        seen, weights = self.weigh(model, picture, target, cancelled)
        return enlarge((seen * weights).sum(1).clamp(min=0)[None], model)


@dataclass(frozen=True)
class GScoreCAM(ScoreCAM):
    """`ScoreCAM` of the channels with the largest gradient alone (Chen et al., ACCV 2022).

    The score of all other channels is 0, which takes part in the softmax. As published with MedCLIP-SAM, no patch has a
    gradient at the layer, and the channels are what sorting equal numbers happens to leave; here they are the first.
    To repeat such a map, give its ``channels``.

    Attributes:
        most: how many channels are tried.
        class_token_gradient: the gradient of the class token counts, not the mean of those of the patches.
        channels_because: why they are given.
    """

    most: int = 300
    class_token_gradient: bool = False
    channels_because: str | None = None

    name: ClassVar[str] = "gscorecam"
    _epsilon: ClassVar[float] = 1e-6

    @classmethod
    def chosen(cls, model: ImageTextModel, choices: Choices) -> SaliencyMethod:
        """See `SaliencyMethod.chosen`."""
        layer = Layer.chosen(model, choices)
        if layer.reaches_patches(model):
            return cls(layer)
        first = range(min(cls.most, model.token_width))
        return cls(layer, first, channels_because="no patch has a gradient at this layer: the first by number")

    def tried(self, model: ImageTextModel, tokens: Tensor, target: Tensor) -> Tensor:
        """See `ScoreCAM.tried`."""
        if self.channels is not None:
            return super().tried(model, tokens, target)
        importance = self.importance(model, tokens, target)
        # Stable, so that equal numbers are in the same order on every device.
        return importance.sort(descending=True, stable=True).indices[: self.most]

    def importance(self, model: ImageTextModel, tokens: Tensor, target: Tensor) -> Tensor:
        """(1, T, W) before the block of the layer -> (W,), the weights of `GradCAM`."""
        method = GradCAM(self.layer, self.class_token_gradient)
        return method.weigh(*method.look(model, tokens, target))[0, 0]


@dataclass(frozen=True)
class Rise(Masked):
    """sum of logit * mask over random masks (Petsiuk, Das, Saenko, BMVC 2018).

    Attributes:
        masks: how many, and cells: random numbers along a side of each.
        keep: share of the cells that are kept.
        seed: of the masks, which each (seed, slice number) draws from a stream of its own.
        published: every slice gets the masks of ``seed`` itself.
    """

    _: KW_ONLY
    masks: int = 1000
    cells: int = 8
    keep: float = 0.1
    seed: int = PUBLISHED.seed
    published: bool = False

    name: ClassVar[str] = "rise"
    preview: ClassVar[str] = "gradcam"
    options: ClassVar[tuple[str, ...]] = ("seed",)

    @classmethod
    def chosen(cls, model: ImageTextModel, choices: Choices) -> SaliencyMethod:
        """See `SaliencyMethod.chosen`."""
        return cls(seed=choices.seed)

    @property
    def choices(self) -> dict[str, Any]:
        """All."""
        return asdict(self)

    def draw(self, size: int, number: int) -> Iterator[Tensor]:
        """The masks of slice ``number``, each (size, size)."""
        seed = self.seed if self.published else np.random.SeedSequence([self.seed, number]).generate_state(1)[0]
        stream = np.random.RandomState(seed)
        cell = math.ceil(size / self.cells)
        grids = (stream.rand(self.masks, self.cells, self.cells) < self.keep).astype(np.float32)
        # Resizing is linear and works along rows and columns alike: once on each cell is enough.
        enlarged = (self.cells + 1) * cell, self.cells
        large = resize(np.eye(self.cells, dtype=np.float32), enlarged, order=1, mode="reflect", anti_aliasing=False)
        for grid in grids:
            row, column = stream.randint(0, cell), stream.randint(0, cell)
            yield to_tensor(large[row : row + size] @ grid @ large[column : column + size].T)

    def map(
        self,
        model: ImageTextModel,
        picture: Tensor,
        target: Tensor,
        number: int,
        cancelled: Callable[[], bool] | None,
    ) -> SaliencyBatch:
        """See `Masked.map`."""
        total = torch.zeros(picture.shape[2:], device=picture.device)
        at_once, drawn = _masks_at_once(model), self.draw(picture.shape[2], number)
        while some := list(islice(drawn, at_once)):
            masks = torch.stack(some).to(picture.device)
            total += (_scores(model, picture, target, masks, cancelled)[:, None, None] * masks).sum(0)
        total /= self.masks * self.keep
        return SaliencyBatch(total[None], total.sum()[None])
