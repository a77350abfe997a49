"""Learns the language of the quick-start model: joint space, tokenizer and text tower; no image is looked at.

``python -m quickstart.language.learn OUT`` (in tools/).
"""

from __future__ import annotations

import json
import logging
import random
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

from MedCLIPSAMLib.engine.clip.quickstart.net import QuickStartConfig, TextTower

from .space import learn_space, sentence_features, write_corpus
from .terms import TERMS
from .text import encode, train_tokenizer, with_dropout
from .tower import train_tower
from .wordings import slip

log = logging.getLogger("quickstart")
_EACH, _UNSEEN = 300, 12_000  # texts of a term, and of nothing
_KEPT = 48  # wordings of a term that image towers are shown
_SIZES = {"text_width": 192, "text_blocks": 3}
_VOCABULARY = 3000


@dataclass(frozen=True)
class Texts:
    """What image towers are shown instead of texts: features of length 1.

    Attributes:
        terms: (T, wordings, D).
        unseen: (N, D), of texts that mean none of the terms.
    """

    terms: Tensor
    unseen: Tensor

    @classmethod
    def load(cls, folder: Path) -> Texts:
        return cls(**load_file(folder / "texts.safetensors"))

    def draw(self, unseen: int) -> Tensor:
        """(T + unseen, D): one wording of each term, and some that mean none."""
        count, wordings = self.terms.shape[:2]
        said = self.terms[torch.arange(count), torch.randint(wordings, (count,))]
        return torch.cat([said, self.unseen[torch.randint(len(self.unseen), (unseen,))]])


def learn(out: Path, space_steps: int = 4000, tower_steps: int = 3500, seed: int = 0) -> None:
    """Writes tokenizer.json, config.json, text.safetensors and texts.safetensors into ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    texts, terms = write_corpus(_EACH, _UNSEEN, seed)
    log.info("%d texts", len(texts))
    sentences = sentence_features(texts, out / "sentence-encoder")
    space = learn_space(sentences, terms, len(TERMS), QuickStartConfig().embed, space_steps, seed)
    centres = space.centres().detach()
    targets = space(sentences)
    # What a term's wordings mean is the term; only what means none lies where the sentence encoder puts it.
    targets[terms >= 0] = centres[terms[terms >= 0]]
    tokenizer = train_tokenizer(texts, _VOCABULARY)
    split = with_dropout(tokenizer, out / "tokenizer.json", 0.1)
    config = QuickStartConfig(vocabulary=tokenizer.get_vocab_size(), **_SIZES)
    torch.manual_seed(seed)
    tower = TextTower(config)
    train_tower(tower, split, texts, terms, targets, centres, config.context, tower_steps, seed)
    tower.eval()
    save_file(tower.state_dict(), out / "text.safetensors")
    (out / "config.json").write_text(json.dumps(config.as_dict(), indent=1) + "\n")
    save_file(_shown(tower, tokenizer, texts, terms, config.context, seed), out / "texts.safetensors")


def _shown(
    tower: TextTower, tokenizer: Tokenizer, texts: list[str], terms: Tensor, context: int, seed: int
) -> dict[str, Tensor]:
    rng = random.Random(seed)
    rows: list[str] = []
    for index in range(len(TERMS)):
        own = [texts[row] for row in (terms == index).nonzero().flatten().tolist()]
        some = rng.sample(own, min(_KEPT, len(own)))
        rows += [slip(text, rng) if rng.random() < 0.1 else text for text in (some * _KEPT)[:_KEPT]]
    count = len(rows)
    rows += [texts[row] for row in (terms < 0).nonzero().flatten().tolist()]
    with torch.no_grad():
        parts = [tower(encode(tokenizer, rows[start : start + 256], context)) for start in range(0, len(rows), 256)]
    features = F.normalize(torch.cat(parts).float(), dim=1)
    return {"terms": features[:count].unflatten(0, (len(TERMS), -1)).clone(), "unseen": features[count:].clone()}


if __name__ == "__main__":
    import typer

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    typer.run(learn)
