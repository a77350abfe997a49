"""Texts as the tokens that the built-in model's text towers read."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from tokenizers import Tokenizer
from torch import Tensor

from ...errors import InputError

_UNKNOWN = "[UNK]"  # in the tokenizers' files


def token_ids(tokenizer: Tokenizer, texts: Sequence[str], context: int) -> Tensor:
    """(T, L) numbers of tokens, 0 behind the end of a text; of a long text the first ``context`` count.

    Raises:
        InputError: a text has no token that the model knows; its meaning would be an accident.
    """
    encodings = tokenizer.encode_batch(list(texts))
    for text, encoding in zip(texts, encodings, strict=True):
        if set(encoding.tokens) <= {_UNKNOWN}:
            raise InputError(f"The built-in model cannot read '{text}'; write it in English, in Latin letters.")
    rows = [torch.tensor(encoding.ids[:context]) for encoding in encodings]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
