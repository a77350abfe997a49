"""The optimiser of MedCLIP-SAMv2's fine-tuning, which is that of open_clip."""

from __future__ import annotations

import math

from torch import nn
from torch.optim import AdamW

_BETAS, _EPSILON = (0.9, 0.98), 1e-6  # open_clip's for vision transformers
_WITHOUT = ("bn", "ln", "bias", "logit_scale")  # in names of tensors that do not decay


def decays(name: str, dimensions: int) -> bool:
    """Whether a tensor is drawn to zero: matrices and tables are, norms and offsets are not."""
    return dimensions >= 2 and not any(part in name for part in _WITHOUT)


def make_optimiser(network: nn.Module, weight_decay: float) -> AdamW:
    """For the weights of ``network`` that want a gradient; the rate is set before each step."""
    learnt = [(name, weight) for name, weight in network.named_parameters() if weight.requires_grad]
    groups = [
        {"params": [weight for name, weight in learnt if decays(name, weight.ndim) == decay], "weight_decay": amount}
        for decay, amount in ((False, 0.0), (True, weight_decay))
    ]
    return AdamW(groups, lr=0.0, betas=_BETAS, eps=_EPSILON)


def rate_at(step: int, peak: float, warm_up: int, total: int) -> float:
    """The learning rate of a step, from 0: it rises evenly over ``warm_up`` steps, then falls along a cosine to 0."""
    if step < warm_up:
        return peak * (step + 1) / warm_up
    return peak * (1 + math.cos(math.pi * (step - warm_up) / (total - warm_up))) / 2


def set_rate(optimiser: AdamW, rate: float) -> None:
    """For all weights."""
    for group in optimiser.param_groups:
        group["lr"] = rate
