"""What a batch of pairs is worth: DHN-NCE (Koleilat et al., arXiv:2403.20253, section 2.1), and InfoNCE beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

# (B, D) features of pictures, (B, D) of their texts, neither normalised -> ().
Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class LossSettings:
    """As published by default.

    Attributes:
        name: in `LOSSES`.
        temperature: of the softmax.
        beta_image, beta_text: how much the hardest negatives count, seen from a picture and from a text.
        alpha: share of the pair itself in the denominator, of the published program.
        exact: as the published program computes it, not as the paper's formula reads.
    """

    name: str = "dhn-nce"
    temperature: float = 0.6
    beta_image: float = 0.15
    beta_text: float = 0.15
    alpha: float = 0.0
    exact: bool = False


def loss_function(settings: LossSettings, batch_size: int) -> Loss:
    """The loss of these settings.

    Args:
        batch_size: of a whole batch: the published program does not follow where the last one is smaller.
    """
    return LOSSES[settings.name](settings, batch_size)


def dhn_nce(images: Tensor, texts: Tensor, temperature: float, beta_image: float, beta_text: float) -> Tensor:
    """Decoupled hard-negative noise contrastive estimation, as the paper's formula reads, mean over pairs.

    For pair i of B: -u_i v_i / T + log sum_j!=i w_ij exp(u_i v_j / T), where w_ij is (B - 1) times the softmax of
    beta u_i v_j / T over j != i, and the same seen from the text. A pair alone has nothing to be told from: 0.

    Args:
        images, texts: (B, D), not normalised.
    """
    if len(images) < 2:
        return 0 * (images.sum() + texts.sum())
    logits = F.normalize(images, dim=-1) @ F.normalize(texts, dim=-1).T / temperature
    sides = (_decoupled(side, beta) for side, beta in ((logits, beta_image), (logits.T, beta_text)))
    return torch.stack([side.mean() for side in sides]).sum()


def _decoupled(logits: Tensor, beta: float) -> Tensor:
    count = len(logits)
    itself = torch.eye(count, dtype=torch.bool, device=logits.device)
    others = logits.masked_fill(itself, -torch.inf)
    weights = (beta * logits).masked_fill(itself, -torch.inf).log_softmax(-1) + torch.tensor(
        count - 1.0, device=logits.device
    ).log()
    return (others + weights).logsumexp(-1) - logits.diagonal()


def published_dhn_nce(
    images: Tensor,
    texts: Tensor,
    temperature: float,
    beta_image: float,
    beta_text: float,
    alpha: float,
    batch_size: int,
) -> Tensor:
    """DHN-NCE as the program of MedCLIP-SAMv2 computes it, which is not what the paper's formula says.

    Masked entries count as exp(0), weights are divided by the sum of row j in column j, beta is in their numerator
    only, and the mean goes over the whole matrix.

    Args:
        images, texts: (B, D), not normalised.
        batch_size: what the program was started with, which the weights follow.
    """
    logits = F.normalize(images, dim=-1) @ F.normalize(texts, dim=-1).T / temperature
    itself = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    pair = (logits * itself).exp()
    sides = []
    for side, beta in ((logits, beta_image), (logits.T, beta_text)):
        others = side * ~itself
        weighed = (batch_size - 1) * (beta * others).exp() * others.exp() / others.exp().sum(1)
        sides.append(-(pair / (alpha * pair + weighed)).log())
    return torch.stack(sides).sum(0).mean()


def info_nce(images: Tensor, texts: Tensor, temperature: float) -> Tensor:
    """The loss of CLIP (Radford et al., arXiv:2103.00020, figure 3), mean over pairs, summed over both sides."""
    logits = F.normalize(images, dim=-1) @ F.normalize(texts, dim=-1).T / temperature
    own = torch.arange(len(logits), device=logits.device)
    return F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)


def _dhn_nce(settings: LossSettings, batch_size: int) -> Loss:
    given = {
        "temperature": settings.temperature,
        "beta_image": settings.beta_image,
        "beta_text": settings.beta_text,
    }
    if settings.exact:
        return partial(published_dhn_nce, **given, alpha=settings.alpha, batch_size=batch_size)
    return partial(dhn_nce, **given)


def _info_nce(settings: LossSettings, batch_size: int) -> Loss:
    return partial(info_nce, temperature=settings.temperature)


LOSSES: dict[str, Callable[[LossSettings, int], Loss]] = {"dhn-nce": _dhn_nce, "info-nce": _info_nce}
