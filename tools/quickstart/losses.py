"""Losses of the quick-start training."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .language.terms import REGION_COUNT, TERM_INDEX

PRESENT = 0.0012  # share of the picture: an organ of this size, half an aorta, counts as in the slice
ABSENT = 0.0003  # below this it counts as not in the slice; between the two it is not asked


def dense_losses(
    features: Tensor,
    texts: Tensor,
    target: Tensor,
    known: Tensor,
    settled: Tensor,
    scale: Tensor,
    offset: Tensor,
    stands_for: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Alignment of dense features with texts: (sigmoid cross entropy, soft Dice, softmax over texts).

    ``features`` (N, E, P) of P cells, ``texts`` (T, E) normalised, ``target`` (N, T, P) in 0..1, ``known`` (N, T):
    the extent of the term is known in the whole picture; ``settled`` (N, T, P): it is known in the cell;
    ``stands_for`` (N, P): of how many cells of the picture each is a sample.
    """
    counts = stands_for[:, None]
    cosine = torch.einsum("nep,te->ntp", F.normalize(features, dim=1), texts)
    logits = scale * cosine + offset
    weight = settled * counts
    raw = F.binary_cross_entropy_with_logits(logits, target, reduction="none") * (1 + 3 * target) * weight
    cross_entropy = raw.sum() / weight.sum()

    probability = logits.sigmoid()
    overlap = 2 * (probability * target * counts).sum(-1)
    total = ((probability * probability + target * target) * counts).sum(-1)
    present = known & ((target * counts).sum(-1) > 2)
    dice = 1 - ((overlap + 1) / (total + 1))[present].mean()

    competing = (15 * cosine).masked_fill(~settled, -1e4)
    null = torch.full_like(competing[:, :1], 3.0)
    named = target * settled
    mass = named.sum(1, keepdim=True)
    # Nameless cells count only where every term is known; air is easy and would drown the rest.
    every = known[:, :REGION_COUNT].float().mean(1)[:, None] > 0.9
    share = torch.cat([named, every[..., None] * (1 - mass).clamp(min=0)], 1)
    share = share / share.sum(1, keepdim=True).clamp(min=1e-3)
    cell = torch.where(every, torch.ones_like(mass[:, 0]), mass[:, 0].clamp(max=1))
    cell = cell * (1 - 0.85 * target[:, TERM_INDEX["background"]]) * stands_for
    softmax = -(share * torch.cat([competing, null], 1).log_softmax(1)).sum(1)
    return cross_entropy, dice, (softmax * cell).sum() / cell.sum().clamp(min=1)


def presence_loss(
    features: Tensor,
    texts: Tensor,
    area: Tensor,
    known: Tensor,
    globals_: Tensor,
    scale: Tensor,
    offset: Tensor,
) -> Tensor:
    """Sigmoid cross entropy of the class token against presence.

    ``area`` (N, T) as share of the picture; ``globals_`` (N, terms).
    """
    logits = scale * F.normalize(features, dim=1) @ texts.T + offset
    region = torch.zeros(area.shape[1], dtype=torch.bool)
    region[:REGION_COUNT] = True
    unseen = torch.arange(area.shape[1]) >= globals_.shape[1]
    target = torch.where(region, (area > PRESENT).float(), F.pad(globals_, (0, int(unseen.sum()))))
    asked = known & ~((area > ABSENT) & (area <= PRESENT) & region)
    raw = F.binary_cross_entropy_with_logits(logits, target, reduction="none") * (1 + 2 * target)
    return (raw * asked).sum() / asked.sum()


def pooled_loss(features: Tensor, texts: Tensor, area: Tensor, known: Tensor) -> Tensor:
    """Softmax of the pooled feature over texts against the share of each region among what is visible.

    This is what makes M2IB text-driven: the pooled feature agrees with a text best when the tokens of that region
    pass the bottleneck and the others do not.
    """
    region = torch.zeros(area.shape[1], dtype=torch.bool)
    region[:REGION_COUNT] = True
    region[TERM_INDEX["background"]] = False
    usable = known & region
    visible = torch.where(usable, area, 0.0)
    share = visible / visible.sum(1, keepdim=True).clamp(min=1e-6)
    competing = (15 * F.normalize(features, dim=1) @ texts.T).masked_fill(~usable, -1e4)
    some = visible.sum(1) > PRESENT
    return -(share * competing.log_softmax(1)).sum(1)[some].mean() if some.any() else features.sum() * 0


def bottleneck_noise(tokens: Tensor, coarse: Tensor, usable: Tensor) -> tuple[Tensor, Tensor]:
    """Tokens as a bottleneck leaves them: kept in a region, noise elsewhere.

    ``tokens`` (N, 1 + P, W); ``coarse`` (N, T, P) share of each term per patch; ``usable`` (N, T) bool.
    Returns the mixed tokens and what is kept of every patch, (N, P) in 0..1. The region is one term, its
    complement, or a random blob.
    """
    n, _, patches = coarse.shape
    grid = int(patches**0.5)
    keep = torch.empty(n, patches)
    blobs = F.interpolate(torch.randn(n, 1, 4, 4), size=(grid, grid), mode="bicubic").flatten(1)
    for i in range(n):
        candidates = (usable[i] & (coarse[i].sum(-1) > 0.6)).nonzero().flatten()
        draw = float(torch.rand(()))
        if draw < 0.7 and len(candidates):
            term = candidates[torch.randint(len(candidates), ())]
            region = (coarse[i, term] > 0.15).float()
            if float(torch.rand(())) < 0.5:
                region = F.max_pool2d(region.view(1, 1, grid, grid), 3, 1, 1).flatten()
            keep[i] = region if draw < 0.5 else 1 - region
        else:
            keep[i] = (blobs[i] > torch.quantile(blobs[i], float(torch.rand(()) * 0.75 + 0.05))).float()
    passed = keep * (torch.rand(n, 1) * 0.3 + 0.7) + (1 - keep) * torch.rand(n, 1) * 0.25
    gate = torch.cat([torch.rand(n, 1), passed], 1)[..., None]
    return gate * tokens + (1 - gate) * torch.randn_like(tokens), keep
