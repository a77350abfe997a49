"""Tokenizer of the quick-start model: byte-pair encoding learnt from the training wordings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from .wordings import FILLERS


def train_tokenizer(texts: Sequence[str], vocabulary: int) -> Tokenizer:
    """Learns at most ``vocabulary`` tokens; every lower-case letter and digit is one, so no word is unknown."""
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
    tokenizer.train_from_iterator([*texts, *FILLERS], trainer)
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
