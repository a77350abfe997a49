"""Multi-modal information bottleneck (M2IB; Wang, Rudner, Wilson, NeurIPS 2023) as MedCLIP-SAMv2 runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ..clip.base import ImageTextModel
from ..published import PUBLISHED, M2IBSettings
from .base import Choices, SaliencyMethod, TextQuery, chosen_layer
from .bottleneck import Bottleneck

_INITIAL_ALPHA = 5.0
# An eighth of the work, with antithetic and growing noise. What this changes of maps, boxes and masks is measured by
# `Testing/benchmarks`.
QUICK = M2IBSettings(steps=6, noise_samples=4)


def as_far(steps: int) -> float:
    """Learning rate with which alpha gets as far in ``steps`` as it does in those that were published."""
    return PUBLISHED.learning_rate * (PUBLISHED.steps - 1) / max(1, steps - 1)


@dataclass(frozen=True)
class M2IB(Bottleneck):
    """How much of each image token must pass so that the image still agrees with the text.

    What passes the bottleneck is learnt per image and element: a = sigmoid(alpha). Minimised is beta mean(KL) -
    mean(cos(text, image)), where KL(p(T|X) || N(0, 1)) = -1/2 (1 + log (1-a)^2 - (a X)^2 - (1-a)^2) is the
    information that passes. The saliency of a patch is the sum of its KL over channels, in nats.

    Images in a batch do not influence each other: the losses are summed, and Adam works by element.

    Attributes:
        beta, steps, learning_rate: as published, see `M2IBSettings`.
        growing: draws all noise samples in the last two updates, and half as many in each before. At first a = 0.993,
            and the later blocks hardly see the noise; its share grows about threefold from step to step.
        noise: "per-slice" as in `Bottleneck`; "published" restarts the stream of `seed` at each image.
    """

    beta: float = PUBLISHED.beta
    steps: int = PUBLISHED.steps
    learning_rate: float = PUBLISHED.learning_rate
    growing: bool = False
    noise: Literal["per-slice", "published"] = "per-slice"

    name: ClassVar[str] = "m2ib"
    preview: ClassVar[str] = "gradient"
    options: ClassVar[tuple[str, ...]] = ("layer", "beta", "steps", "seed")
    as_published: ClassVar[bool] = True

    @classmethod
    def chosen(cls, model: ImageTextModel, choices: Choices) -> SaliencyMethod:
        """As published if that is asked for, else in an eighth of the time."""
        preset = PUBLISHED if choices.exact else QUICK
        steps = choices.steps or preset.steps
        return cls(
            chosen_layer(model, choices, model.recommended.layer),
            beta=model.recommended.beta if choices.beta is None else choices.beta,
            steps=steps,
            noise_samples=choices.noise_samples or preset.noise_samples,
            learning_rate=preset.learning_rate if choices.exact else as_far(steps),
            antithetic=not choices.exact,
            growing=not choices.exact,
            seed=choices.seed,
            noise="published" if choices.exact else "per-slice",
        )

    def stream(self, number: int, device: torch.device) -> torch.Generator:
        """The noise of slice ``number``; what was published was drawn on a CPU."""
        if self.noise == "published":
            return torch.Generator().manual_seed(self.seed)
        return super().stream(number, device)

    def patches(
        self,
        model: ImageTextModel,
        tokens: Tensor,
        query: TextQuery,
        streams: list[torch.Generator],
        stop_if_cancelled: Callable[[], None],
    ) -> Tensor:
        """(N, T, W) tokens -> (N, T - 1) information of each patch in nats."""
        alpha = torch.full_like(tokens, _INITIAL_ALPHA).requires_grad_()
        adam = torch.optim.Adam([alpha], lr=self.learning_rate)
        for samples in self._samples():
            stop_if_cancelled()
            with torch.enable_grad():
                keep = torch.sigmoid(alpha)
                agreement = self.agreement(model, tokens, keep, query.target, streams, samples)
                loss = self.beta * _divergence(keep, tokens).mean((1, 2)) - agreement
                (alpha.grad,) = torch.autograd.grad(loss.sum(), alpha)
            adam.step()
        return _divergence(torch.sigmoid(alpha.detach()), tokens)[:, 1:].nansum(-1)

    def _samples(self) -> list[int]:
        """For each update of alpha, one less than the steps: the last would come after the map is taken."""
        before_full = range(self.steps - 3, -2, -1)
        return [max(1, self.noise_samples >> max(0, place if self.growing else 0)) for place in before_full]


def _divergence(keep: Tensor, tokens: Tensor) -> Tensor:
    """KL of each element against N(0, 1), in nats."""
    variance = (1 - keep) ** 2
    return -0.5 * (1 + torch.log(variance) - (keep * tokens) ** 2 - variance)
