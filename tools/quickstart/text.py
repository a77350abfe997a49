"""Tokenizer of the quick-start model: byte-pair encoding learnt from the training wordings."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from .terms import TERMS
from .wordings import FILLERS, HELD_OUT, UNSEEN_TEXTS, write_text, write_unseen


def train_tokenizer(vocabulary: int, seed: int = 0) -> Tokenizer:
    """Learns at most ``vocabulary`` tokens; every lower-case letter and digit is one, so no word is unknown."""
    rng = random.Random(seed)
    corpus = [write_text(term, rng) for term in TERMS for _ in range(300)]
    corpus += [write_unseen(rng) for _ in range(1000)] + list(UNSEEN_TEXTS) + FILLERS
    held_out = {text.lower() for texts in HELD_OUT.values() for text in texts}
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.BPEDecoder()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["[PAD]", "[UNK]"],
        min_frequency=3,
        initial_alphabet=list("abcdefghijklmnopqrstuvwxyz0123456789"),
    )
    tokenizer.train_from_iterator((text for text in corpus if text.lower() not in held_out), trainer)
    return tokenizer


def encode(tokenizer: Tokenizer, texts: Sequence[str], context: int) -> torch.Tensor:
    """(N, L) token ids padded with 0, L at most ``context``."""
    rows = [torch.tensor(encoding.ids[:context]) for encoding in tokenizer.encode_batch(list(texts))]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)


def with_dropout(tokenizer: Tokenizer, path: Path, dropout: float) -> Tokenizer:
    """A copy that splits words at random (BPE dropout), so that misspelt words still say something."""
    tokenizer.save(str(path))
    copy = Tokenizer.from_file(str(path))
    copy.model.dropout = dropout
    return copy
