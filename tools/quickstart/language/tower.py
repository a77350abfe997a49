"""Trains the text tower alone: it says of any text, misspelt too, what `Space` says of it as it should be written."""

from __future__ import annotations

import logging
import math
import random

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from MedCLIPSAMLib.engine.clip.quickstart.net import TextTower

from .space import APART
from .text import encode
from .wordings import slip

log = logging.getLogger("quickstart")
_BATCH = 192
_MISSPELT = 0.25  # of the texts
_KNOWN = 0.6


def train_tower(
    tower: TextTower,
    tokenizer: Tokenizer,
    texts: list[str],
    terms: Tensor,
    targets: Tensor,
    centres: Tensor,
    context: int,
    steps: int,
    seed: int,
    rate: float = 1.2e-3,
) -> None:
    """Draws each text to its target; what means none of the terms stays apart from them.

    Args:
        texts: N of them; ``terms`` (N,) the term each means, -1 for none; ``targets`` (N, D) of length 1.
        centres: (T, D) of the terms.
    """
    rng = random.Random(seed)
    torch.manual_seed(seed)
    known, unseen = (terms >= 0).nonzero().flatten().tolist(), (terms < 0).nonzero().flatten().tolist()
    optimiser = torch.optim.AdamW(tower.parameters(), lr=rate, weight_decay=0.02)
    sums = torch.zeros(2)
    for step in range(1, steps + 1):
        optimiser.param_groups[0]["lr"] = rate * min(1, step / 200) * (0.5 + 0.5 * math.cos(math.pi * step / steps))
        rows = [rng.choice(known if rng.random() < _KNOWN else unseen) for _ in range(_BATCH)]
        written = [slip(texts[row], rng) if rng.random() < _MISSPELT else texts[row] for row in rows]
        # The fused attention's backward pass takes longer than plain products at so few tokens.
        with torch.autocast("cpu", torch.bfloat16), sdpa_kernel(SDPBackend.MATH):
            features = tower(encode(tokenizer, written, context))
        features = F.normalize(features.float(), dim=1)
        near = 1 - (features * targets[rows]).sum(1).mean()
        none = terms[rows] < 0
        far = (features[none] @ centres.T - APART - 0.05).clamp(min=0).square().sum(1).mean()
        optimiser.zero_grad()
        (near + 3 * far).backward()
        torch.nn.utils.clip_grad_norm_(tower.parameters(), 1.0)
        optimiser.step()
        sums += torch.stack([near, far]).detach()
        if step % 200 == 0:
            log.info("text step %d: distance %.4f, unseen %.4f", step, *(sums / 200).tolist())
            sums.zero_()
