"""Multi-modal information bottleneck (M2IB; Wang, Rudner, Wilson, NeurIPS 2023) as MedCLIP-SAMv2 runs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..clip.base import ImageTextModel
from ..errors import Cancelled
from ..published import PUBLISHED
from .base import SaliencyBatch, SaliencyMethod, TextQuery

_INITIAL_ALPHA = 5.0
_KEPT_PER_BLOCK = 16  # numbers per token and channel that a block keeps for its backward pass, with a margin
_MOST_AT_ONCE = 32


@dataclass(frozen=True)
class M2IB(SaliencyMethod):
    """How much of each image token must pass so that the image still agrees with the text.

    Noise replaces the tokens X after a transformer block, by a share that is learnt per image and element:
    T = a X + (1 - a) e with a = sigmoid(alpha) and e ~ N(0, 1). Minimised is beta mean(KL) - mean(cos(text,
    image)), where KL(p(T|X) || N(0, 1)) = -1/2 (1 + log (1-a)^2 - (a X)^2 - (1-a)^2) is the information that
    passes. The saliency of a patch is the sum of its KL over channels, in nats.

    Only the blocks after the bottleneck run in each step, and only alpha has a gradient. Images in a batch do
    not influence each other: the losses are summed, and Adam works by element.

    Attributes:
        layer: block (0-based) whose output goes through the bottleneck.
        beta, steps, noise_samples, learning_rate: as published, see `M2IBSettings`.
        seed: of the noise.
        noise: "per-slice" draws from a stream of its own for each (seed, slice number), "published" restarts
            the stream of `seed` at each image. Either way a map depends neither on batch nor on order.
        batch: images at a time; None takes one on a CPU, whose cores it keeps busy with its
            noise samples, and as many as half of the free memory holds on an accelerator, 32 at most.
    """

    layer: int = PUBLISHED.layer
    beta: float = PUBLISHED.beta
    steps: int = PUBLISHED.steps
    noise_samples: int = PUBLISHED.noise_samples
    learning_rate: float = PUBLISHED.learning_rate
    seed: int = PUBLISHED.seed
    noise: Literal["per-slice", "published"] = "per-slice"
    batch: int | None = None

    name: ClassVar[str] = "m2ib"
    localizer: ClassVar[str] = "kmeans"
    absolute: ClassVar[bool] = False

    def at_once(self, model: ImageTextModel) -> int:
        """See `SaliencyMethod.at_once`."""
        if self.batch is not None:
            return self.batch
        if model.device.type != "cuda":
            return 1
        numbers = self.noise_samples * (1 + model.grid**2) * model.token_width * _KEPT_PER_BLOCK
        room = torch.cuda.mem_get_info(model.device)[0] // 2
        return max(1, min(_MOST_AT_ONCE, room // (4 * numbers * (model.block_count - self.layer))))

    def prepare(self, model: ImageTextModel, pixels: Tensor) -> Tensor:
        """(N, 3, S, S) -> (N, T, W): the tokens that go into the bottleneck."""
        return model.tokens_after(pixels, self.layer)

    def image_features(self, model: ImageTextModel, prepared: Tensor) -> Tensor:
        """(N, T, W) tokens -> (N, D): the blocks after the bottleneck, with nothing held back."""
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
        """(N, T, W) tokens -> maps in nats per patch and their sum; see `SaliencyMethod.explain`."""
        streams = [self._stream(number) for number in (range(len(prepared)) if slices is None else slices)]
        batch = self.at_once(model)
        patches = [
            self._patch_information(
                model, prepared[first : first + batch], query, streams[first : first + batch], cancelled
            )
            for first in range(0, len(prepared), batch)
        ]
        information = torch.cat(patches).unflatten(1, (model.grid, model.grid))
        size = (model.image_size, model.image_size)
        maps = F.interpolate(information.unsqueeze(1), size, mode="bilinear").squeeze(1)
        return SaliencyBatch(maps, information.sum((1, 2)))

    def _patch_information(
        self,
        model: ImageTextModel,
        tokens: Tensor,
        query: TextQuery,
        streams: list[torch.Generator],
        cancelled: Callable[[], bool] | None,
    ) -> Tensor:
        """(N, T, W) tokens -> (N, T - 1) information of each patch in nats."""
        alpha = torch.full_like(tokens, _INITIAL_ALPHA).requires_grad_()
        adam = torch.optim.Adam([alpha], lr=self.learning_rate)
        for _ in range(self.steps - 1):  # the last step's update would come after the map is taken
            if cancelled is not None and cancelled():
                raise Cancelled("Saliency was cancelled.")
            with torch.enable_grad():
                keep = torch.sigmoid(alpha)
                noisy = (keep * tokens).unsqueeze(1) + (1 - keep).unsqueeze(1) * self._noise(tokens, streams)
                images = model.features_after(noisy.flatten(0, 1), self.layer).unflatten(0, (len(tokens), -1))
                agreement = F.cosine_similarity(images, query.target, dim=-1, eps=1e-6).mean(1)
                loss = self.beta * _divergence(keep, tokens).mean((1, 2)) - agreement
                (alpha.grad,) = torch.autograd.grad(loss.sum(), alpha)
            adam.step()
        return _divergence(torch.sigmoid(alpha.detach()), tokens)[:, 1:].nansum(-1)

    def _noise(self, tokens: Tensor, streams: list[torch.Generator]) -> Tensor:
        """(N, n, T, W); drawn on the CPU, so that every device gets the same."""
        shape = (self.noise_samples, *tokens.shape[1:])
        return torch.stack([torch.empty(shape).normal_(generator=stream) for stream in streams]).to(tokens.device)

    def _stream(self, number: int) -> torch.Generator:
        if self.noise == "published":
            return torch.Generator().manual_seed(self.seed)
        seed = np.random.SeedSequence([self.seed, number]).generate_state(1, np.uint64)[0]
        return torch.Generator().manual_seed(int(seed))


def _divergence(keep: Tensor, tokens: Tensor) -> Tensor:
    """KL of each element against N(0, 1), in nats."""
    variance = (1 - keep) ** 2
    return -0.5 * (1 + torch.log(variance) - (keep * tokens) ** 2 - variance)
