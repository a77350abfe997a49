"""Last stage of the training: the text tower alone, which sees far more wordings so than beside images."""

from __future__ import annotations

import logging
import math
import random

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

from MedCLIPSAMLib.engine.clip.quickstart_net import QuickStartNet

from .terms import TERMS
from .text import encode
from .wordings import write_text, write_unseen

log = logging.getLogger("quickstart")
_WORDINGS_PER_TERM = 64  # of which the centre of a term is the mean
_WORDINGS, _UNSEEN = 2, 100  # per step: of each term, and of what was not seen
_APART = 0.35  # cosine that a text of the unseen may have with a term


def polish_text(net: QuickStartNet, tokenizer: Tokenizer, steps: int, seed: int, rate: float = 3e-4) -> None:
    """Draws the wordings of each term to where the term is, and texts of what was not seen away from all terms.

    The image tower, and with it what a place in the joint space looks like, stays as it is.
    """
    rng, context = random.Random(seed), net.config.context

    def features(texts: list[str]) -> Tensor:
        return F.normalize(net.text(encode(tokenizer, texts, context)), dim=1)

    with torch.no_grad():
        wordings = [write_text(term, rng) for term in TERMS for _ in range(_WORDINGS_PER_TERM)]
        centres = F.normalize(features(wordings).unflatten(0, (len(TERMS), -1)).mean(1), dim=1)
    own = torch.arange(len(TERMS)).repeat_interleave(_WORDINGS)
    optimiser = torch.optim.AdamW(net.text.parameters(), lr=rate, weight_decay=0.01)
    for step in range(1, steps + 1):
        optimiser.param_groups[0]["lr"] = rate * min(1, step / 50) * 0.5 * (1 + math.cos(math.pi * step / steps))
        texts = [write_text(term, rng) for term in TERMS for _ in range(_WORDINGS)]
        seen = features(texts + [write_unseen(rng) for _ in range(_UNSEEN)])
        near = 1 - (seen[: len(own)] * centres[own]).sum(1)
        far = (seen[len(own) :] @ centres.T - _APART).clamp(min=0).square().sum(1)
        optimiser.zero_grad()
        (near.mean() + far.mean()).backward()
        optimiser.step()
        if step % 200 == 0:
            log.info("text step %d, wordings %.4f, unseen %.4f", step, near.mean().item(), far.mean().item())
