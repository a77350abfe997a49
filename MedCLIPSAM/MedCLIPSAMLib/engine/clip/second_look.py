"""The second look of the built-in model, through the segmenter's features, for what its first look cannot tell."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

from ..errors import InputError, ModelError
from ..files.checksum import sha256
from ..files.weights import read_state_dict
from ..machine.arrays import to_tensor
from ..machine.cache import Tensors
from ..machine.device import CPU, ran_out
from .second_net import SecondConfig, SecondNet, to_greys
from .vocabulary import Vocabulary

WEIGHTS, ABOUT, TOKENIZER = "second.safetensors", "second.json", "second-tokenizer.json"


def second_terms(folder: Path) -> tuple[str, ...]:
    """The terms that the second look of the model in ``folder`` answers.

    Raises:
        OSError, ValueError, KeyError, TypeError: the file is missing or damaged.
    """
    return tuple(json.loads((folder / ABOUT).read_text("utf-8"))["answers"])


class SecondLook:
    """Cells on a grid of ``dense_grid`` a side, aligned with texts in a space of its own.

    Attributes:
        segmenter: checksum of the one segmenter whose features it reads.
        picture_size: pixels a side of the picture that it is shown beside them.
        vocabulary: the terms that it was taught; a text is weighed against them.
        answers: those for which it is asked, because the first look does not know them and it was found to do well.

    Raises:
        ModelError: the files of ``folder`` are missing, damaged or do not belong together.
    """

    name = "quickstart's second look"

    def __init__(self, folder: Path, device: torch.device) -> None:
        try:
            state = read_state_dict(folder / WEIGHTS)
            about = json.loads((folder / ABOUT).read_text("utf-8"))
            config = SecondConfig(**about["network"])
            self.segmenter: str = about["segmenter"]
            self.answers = frozenset(second_terms(folder))
            parts = {term: frozenset(covered) for term, covered in about["terms"].items()}
            self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
            net = SecondNet(config)
            net.load_state_dict({name: tensor.float() for name, tensor in state.items()})
        except Exception as error:  # tokenizers raises bare Exception
            if ran_out(error):
                raise
            raise ModelError(f"The second look in '{folder}' is damaged: install MedCLIP-SAM again.") from error
        net.closer.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self._net = net.eval().requires_grad_(False).to(device)
        self._context = config.context
        self.checksum = sha256(folder / WEIGHTS)
        self.device = device
        self.dense_grid = 2 * config.grid
        self.picture_size = 4 * config.grid
        self.on_cpu: Callable[[], SecondLook] = partial(SecondLook, folder, CPU)
        self.vocabulary = Vocabulary(parts, self.encode_text(list(parts)))

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """T texts -> (T, D), not normalised; of a long text the first 32 tokens count.

        Raises:
            InputError: a text has no token at all.
        """
        rows = [torch.tensor(encoding.ids[: self._context]) for encoding in self._tokenizer.encode_batch(list(texts))]
        for text, row in zip(texts, rows, strict=True):
            if not len(row):
                raise InputError(f"The built-in model cannot read '{text}'; write it in English, in Latin letters.")
        ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True).to(self.device)
        with torch.inference_mode():
            return self._net.text(ids).clone()

    def look(self, features: Tensor, pictures: np.ndarray) -> list[Tensors]:
        """What is kept of N slices, half precision: "cells" (F, grid, grid) and "picture" (D,).

        Args:
            features: (N, C, h, w) of the segmenter.
            pictures: (N, S, S) uint8 of `picture_size`.
        """
        with torch.inference_mode():
            greys = to_greys(to_tensor(pictures).to(self.device)).contiguous(memory_format=torch.channels_last)
            cells, tokens = self._net.closer(features.to(self.device).float(), greys)
            seen = F.normalize(self._net.closer.picture(tokens).float(), dim=1).half()
            return [{"cells": each, "picture": picture} for each, picture in zip(cells.half(), seen, strict=True)]

    def features(self, kept: Tensors) -> tuple[Tensor, Tensor]:
        """Of one slice: (D,) of the whole picture and (cells, D), row by row, float32 of length 1."""
        with torch.inference_mode():
            cells = kept["cells"].to(self.device).float().flatten(1).T
            return kept["picture"].to(self.device).float(), F.normalize(self._net.closer.project(cells), dim=1)

    def dense_logits(self, cosine: Tensor) -> Tensor:
        """See `DenseImageTextModel`."""
        return self._net.dense_scale.clamp(1, 40) * cosine + self._net.dense_offset

    def presence_logits(self, cosine: Tensor) -> Tensor:
        """See `DenseImageTextModel`."""
        return self._net.presence_scale.clamp(1, 40) * cosine + self._net.presence_offset
