"""What the methods share that let noise through a bottleneck after a transformer block."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..clip.base import ImageTextModel
from ..published import PUBLISHED
from .base import SaliencyBatch, TextQuery, enlarge, stop_if
from .patches import OfTokens

_KEPT_PER_BLOCK = 16  # numbers per token and channel that a block keeps for its backward pass, with a margin
_MOST_AT_ONCE = 32


@dataclass(frozen=True)
class Bottleneck(OfTokens):
    """Noise replaces the tokens X after a transformer block in part, T = a X + (1 - a) e with e ~ N(0, 1).

    The blocks before the bottleneck run once per image. Only the blocks after it run on noisy tokens, and nothing but
    the bottleneck has a gradient.

    Attributes:
        layer: block (0-based) whose output goes through the bottleneck.
        noise_samples: noise tensors drawn at a time, at most.
        antithetic: draws them in pairs e, -e, whose errors of odd order cancel each other.
        seed: of the noise, which each (seed, slice number) draws from a stream of its own: a map depends neither on
            the batch nor on the order.
        batch: images at a time; None takes one on a CPU, whose cores it keeps busy with its noise samples, and as
            many as half of the free memory holds on an accelerator, 32 at most.
    """

    layer: int = PUBLISHED.layer
    _: KW_ONLY
    noise_samples: int = PUBLISHED.noise_samples
    antithetic: bool = False
    seed: int = PUBLISHED.seed
    batch: int | None = None

    @property
    def after(self) -> int:
        """See `OfTokens.after`."""
        return self.layer

    @property
    def choices(self) -> dict[str, Any]:
        """All but the batch, which changes nothing."""
        return {name: value for name, value in asdict(self).items() if name != "batch"}

    def at_once(self, model: ImageTextModel) -> int:
        """See `SaliencyMethod.at_once`."""
        if self.batch is not None:
            return self.batch
        if model.device.type != "cuda":
            return 1
        numbers = self.noise_samples * (1 + model.grid**2) * model.token_width * _KEPT_PER_BLOCK
        room = torch.cuda.mem_get_info(model.device)[0] // 2
        return max(1, min(_MOST_AT_ONCE, room // (4 * numbers * (model.block_count - self.layer))))

    @abstractmethod
    def patches(
        self,
        model: ImageTextModel,
        tokens: Tensor,
        query: TextQuery,
        streams: list[torch.Generator],
        stop_if_cancelled: Callable[[], None],
    ) -> Tensor:
        """(N, T, W) tokens of images that are explained together -> (N, T - 1) saliency of each patch.

        Args:
            streams: N generators, each of one image's noise.
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
        """(N, T, W) tokens -> maps of the patches, and their sum; see `SaliencyMethod.explain`."""
        numbers = range(len(prepared)) if slices is None else slices
        streams = [self.stream(number, prepared.device) for number in numbers]
        at_once = self.at_once(model)
        parts = [slice(first, first + at_once) for first in range(0, len(prepared), at_once)]
        stop = partial(stop_if, cancelled)
        found = [self.patches(model, prepared[part], query, streams[part], stop) for part in parts]
        return enlarge(torch.cat(found), model)

    def agreement(
        self,
        model: ImageTextModel,
        tokens: Tensor,
        keep: Tensor,
        target: Tensor,
        streams: list[torch.Generator],
        samples: int,
    ) -> Tensor:
        """(N,) cosine of image and text behind the bottleneck, mean over the noise.

        Args:
            tokens: (N, T, W), X above; keep: the same shape, a above.
            target: (D,) text of length 1.
            streams: N generators, each of one image's noise, of which ``samples`` are drawn.
        """
        noisy = (keep * tokens).unsqueeze(1) + (1 - keep).unsqueeze(1) * self._noise(tokens, streams, samples)
        images = model.features_after(noisy.flatten(0, 1), self.layer).unflatten(0, (len(tokens), -1))
        return F.cosine_similarity(images.float(), target, dim=-1, eps=1e-6).mean(1)

    def stream(self, number: int, device: torch.device) -> torch.Generator:
        """The noise of slice ``number``, drawn on ``device``: drawn elsewhere it would keep an accelerator waiting."""
        seed = np.random.SeedSequence([self.seed, number]).generate_state(1, np.uint64)[0]
        return torch.Generator(device).manual_seed(int(seed))

    def _noise(self, tokens: Tensor, streams: list[torch.Generator], samples: int) -> Tensor:
        """(N, n, T, W)"""
        drawn = -(-samples // 2) if self.antithetic else samples
        shape = (drawn, *tokens.shape[1:])
        noise = torch.stack([torch.empty(shape, device=own.device).normal_(generator=own) for own in streams])
        if self.antithetic:
            noise = torch.cat([noise, -noise], 1)[:, :samples]
        return noise.to(tokens.device)
