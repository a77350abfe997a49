"""Gradients of a batch that is larger than memory: gradient caching (Gao et al., arXiv:2101.06983)."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.distributed
from torch import Tensor

from .losses import Loss

Encode = Callable[[slice], Tensor]  # the rows of a batch -> (V, n, D) features that the loss sees


def batch_gradients(encoders: tuple[Encode, Encode], rows: range, count: int, chunk: int, loss: Loss) -> float:
    """Adds the gradients of the loss of a whole batch to those of the weights, and gives the loss.

    Features of the whole batch are made first, ``chunk`` pairs at a time and without a graph; the gradient of the loss
    for each feature is then carried back through one chunk at a time. So all pairs are negatives of each other,
    whatever memory holds, and whichever process has them.

    Args:
        encoders: of pictures and of texts, for rows of this process' part.
        rows: of the batch that this process has.
        count: pairs of the whole batch.
        chunk: pairs at a time.
        loss: of all features; where they have several views (V > 1), the mean over these counts.
    """
    pieces = [slice(first, min(first + chunk, len(rows))) for first in range(0, len(rows), chunk)]
    whole = len(pieces) == 1 and len(rows) == count
    if whole:  # nothing is gained by making features twice
        images, texts = (encode(pieces[0]) for encode in encoders)
        value = _over_views(loss, images, texts)
        value.backward()
        return value.item()
    with torch.no_grad():
        own = [torch.cat([encode(piece) for piece in pieces], 1) for encode in encoders]
    together = [_gathered(features, rows, count).requires_grad_() for features in own]
    value = _over_views(loss, *together)
    value.backward()
    for piece in pieces:
        for encode, features in zip(encoders, together, strict=True):
            gradient = features.grad
            assert gradient is not None
            encode(piece).backward(gradient[:, rows.start + piece.start : rows.start + piece.stop])
    return value.item()


def _over_views(loss: Loss, images: Tensor, texts: Tensor) -> Tensor:
    return torch.stack([loss(view.float(), texts[0].float()) for view in images]).mean()


def _gathered(features: Tensor, rows: range, count: int) -> Tensor:
    """(V, n, D) of this process -> (V, count, D) of all of them."""
    if len(rows) == count:
        return features
    together = torch.zeros(len(features), count, features.shape[-1], device=features.device)
    together[:, rows.start : rows.stop] = features
    torch.distributed.all_reduce(together)
    return together


def share_gradients(weights: list[torch.nn.Parameter]) -> None:
    """Adds up what the processes have found, each for its part of the batch."""
    if not torch.distributed.is_initialized():
        return
    for weight in weights:
        if weight.grad is None:
            weight.grad = torch.zeros_like(weight)
        torch.distributed.all_reduce(weight.grad)
