"""The baselines of the benchmarks: M2IB and activation maps as their papers read, with no thought given to time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from MedCLIPSAMLib.engine.clip.dual import DualEncoder
from MedCLIPSAMLib.engine.published import PUBLISHED, M2IBSettings


def textbook_map(
    model: DualEncoder, pixels: Tensor, token_ids: Tensor, settings: M2IBSettings = PUBLISHED
) -> tuple[Tensor, Tensor]:
    """One slice: in each step the text tower and the whole image tower run, and every weight gets its gradient.

    The published code copies the text for every noise sample, too; here it runs once a step, which favours the
    baseline.

    Args:
        model: with timm's image tower.
        pixels: (1, 3, S, S).
        token_ids: (1, L).

    Returns:
        (S, S) map in nats per patch, and (patches,) before it was enlarged.
    """
    vision: Any = model.vision
    text_tower: Any = model.text
    generator = torch.Generator().manual_seed(settings.seed)
    copies = pixels.expand(settings.noise_samples, -1, -1, -1)
    tokens = (1 + model.grid**2, model.token_width)
    alpha = nn.Parameter(torch.full((1, *tokens), 5.0))
    adam = torch.optim.Adam([alpha], lr=settings.learning_rate)
    kl = torch.empty(0)

    def bottleneck(_module: nn.Module, _inputs: Any, x: Tensor) -> Tensor:
        nonlocal kl
        keep = torch.sigmoid(alpha).expand(len(x), -1, -1)
        variance = (1 - keep) ** 2
        kl = -0.5 * (1 + torch.log(variance) - (keep * x) ** 2 - variance)
        return keep * x + (1 - keep) * torch.empty(len(x), *tokens).normal_(generator=generator)

    with _trainable(vision, text_tower), torch.enable_grad():
        hook = vision.trunk.blocks[settings.layer].register_forward_hook(bottleneck)
        try:
            for _ in range(settings.steps):
                vision.zero_grad(set_to_none=True)
                text_tower.zero_grad(set_to_none=True)
                adam.zero_grad()
                text = text_tower(token_ids)
                image = vision.head(vision.trunk(copies))
                agreement = F.cosine_similarity(image, text.expand_as(image), eps=1e-6).mean()
                (settings.beta * kl.mean() - agreement).backward()
                adam.step()
        finally:
            hook.remove()
    patches = kl.detach().mean(0).nansum(-1)[1:]
    grid = patches.view(1, 1, model.grid, model.grid)
    return F.interpolate(grid, (model.image_size,) * 2, mode="bilinear")[0, 0], patches


def textbook_scores(model: DualEncoder, pixels: Tensor, target: Tensor, masks: Tensor) -> Tensor:
    """What ScoreCAM, gScoreCAM and RISE repeat until all masks are tried: one batch through the whole image tower.

    The published code runs the text tower with each batch; here the text is given, which favours the baseline.

    Args:
        model: with timm's image tower.
        pixels: (1, 3, S, S).
        target: (D,) of the text, of length 1.
        masks: (M, S, S).

    Returns:
        (M,) logits.
    """
    vision: Any = model.vision
    with torch.no_grad():
        images = vision.head(vision.trunk(pixels * masks[:, None]))
    return model.logit_scale * F.normalize(images, dim=1) @ target


def textbook_gradient(model: DualEncoder, pixels: Tensor, target: Tensor, block: int) -> tuple[Tensor, Tensor]:
    """What class activation maps are made of: one pass through the whole image tower and back, to every weight.

    Args:
        model, pixels, target: as of `textbook_scores`.
        block: at whose first layer norm the maps are taken.

    Returns:
        Activations and gradients of the logit, both (1, T, W).
    """
    vision: Any = model.vision
    seen: list[Tensor] = []
    with _trainable(vision), torch.enable_grad():
        hook = vision.trunk.blocks[block].norm1.register_forward_hook(lambda *given: seen.append(given[2]))
        try:
            image = vision.head(vision.trunk(pixels))
        finally:
            hook.remove()
        seen[0].retain_grad()
        (model.logit_scale * F.normalize(image, dim=1) @ target).sum().backward()
    gradient = seen[0].grad
    assert gradient is not None
    return seen[0].detach(), gradient


@contextmanager
def _trainable(*towers: nn.Module) -> Iterator[None]:
    for tower in towers:
        tower.requires_grad_(True)
    try:
        yield
    finally:
        for tower in towers:
            tower.requires_grad_(False)
            tower.zero_grad(set_to_none=True)
