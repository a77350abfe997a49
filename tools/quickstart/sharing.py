"""Gradients of several processes."""

from __future__ import annotations

import torch
import torch.distributed
from torch import nn


def share_gradients(net: nn.Module, processes: int) -> None:
    """Puts the mean of all processes' gradients into each."""
    gradients = [p.grad for p in net.parameters() if p.grad is not None]
    together = torch.cat([gradient.reshape(-1) for gradient in gradients]) / processes
    torch.distributed.all_reduce(together)
    for gradient, part in zip(gradients, together.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view(gradient.shape))
