"""The second look of the built-in model, through the segmenter's features, for what its first look cannot tell."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

from ...errors import ModelError
from ...files.checksum import sha256
from ...files.resources import resource
from ...files.weights import read_state_dict
from ...machine.arrays import to_tensor
from ...machine.cache import Tensors
from ...machine.device import CPU, ran_out
from ..vocabulary import Vocabulary
from .reading import token_ids
from .second_net import SecondConfig, SecondNet, to_greys

WEIGHTS, ABOUT, TOKENIZER = "second.safetensors", "second.json", "second-tokenizer.json"


@dataclass(frozen=True)
class About:
    """What is known of a second look before it is loaded.

    Attributes:
        folder: of its files.
        network: sizes, see `SecondConfig`.
        segmenter: checksum of the one segmenter whose features it reads.
        terms: those that it was taught, each with the parts of the body that it covers.
        answers: those for which it is asked, with the modalities of volumes in which it was found to do better than the
            first look, or to do well where that one does not know them.
        confirms: those of which it was found to tell well that they are not there, when the first look finds them.
    """

    folder: Path
    network: SecondConfig
    segmenter: str
    terms: Mapping[str, frozenset[str]]
    answers: Mapping[str, frozenset[str]]
    confirms: frozenset[str]
    name: ClassVar[str] = "quickstart's second look"

    @classmethod
    def read(cls, folder: Path) -> About:
        """Of the model in ``folder``.

        Raises:
            OSError, ValueError, KeyError, TypeError, AttributeError: the file is missing or damaged.
        """
        about = json.loads((folder / ABOUT).read_text("utf-8"))
        terms = {term: frozenset(covered) for term, covered in about["terms"].items()}
        answers = {term: frozenset(modalities) for term, modalities in about["answers"].items()}
        network, segmenter = SecondConfig(**about["network"]), about["segmenter"]
        return cls(folder, network, segmenter, terms, answers, frozenset(about["confirms"]))

    @cached_property
    def checksum(self) -> str:
        """SHA-256 of the weights."""
        return sha256(self.folder / WEIGHTS)


def weights_file() -> Path:
    """The trained weights that come with the extension."""
    return resource("QuickStart") / WEIGHTS


class SecondLook:
    """Cells on a grid of ``dense_grid`` a side, aligned with texts in a space of its own.

    Attributes:
        about: what was known of it before.
        picture_size: pixels a side of the picture that it is shown beside the segmenter's features.
        vocabulary: the terms that it was taught; a text is weighed against them.

    Raises:
        ModelError: its files are missing, damaged or do not belong together.
    """

    def __init__(self, about: About, device: torch.device) -> None:
        config = about.network
        try:
            self._tokenizer = Tokenizer.from_file(str(about.folder / TOKENIZER))
            net = SecondNet(config)
            state = read_state_dict(about.folder / WEIGHTS)
            net.load_state_dict({name: tensor.float() for name, tensor in state.items()})
        except Exception as error:  # tokenizers raises bare Exception
            if ran_out(error):
                raise
            raise ModelError(f"The second look in '{about.folder}' is damaged: install MedCLIP-SAM again.") from error
        net.closer.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self._net = net.eval().requires_grad_(False).to(device)
        self.about = about
        self.name = about.name
        self.device = device
        self.dense_grid = 2 * config.grid
        self.picture_size = 4 * config.grid
        self.on_cpu: Callable[[], SecondLook] = partial(SecondLook, about, CPU)
        self.vocabulary = Vocabulary(about.terms, self.encode_text(list(about.terms)))

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """As `QuickStart.encode_text`, in the space of this look."""
        ids = token_ids(self._tokenizer, texts, self.about.network.context).to(self.device)
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
