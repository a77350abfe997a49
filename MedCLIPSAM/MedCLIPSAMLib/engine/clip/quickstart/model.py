"""The built-in quick-start CLIP: small, trained for this project, its patches aligned with text."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

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
from ...machine.device import ran_out
from ..attention import AttentionBlock
from ..base import ImageTextModel, Recommendation
from ..folder import ANCHORS
from ..vocabulary import Vocabulary
from .net import QuickStartConfig, QuickStartNet
from .reading import token_ids
from .reliability import Reliability
from .second_look import About, SecondLook

_BETA = 3.0  # of M2IB: of 0.1, 1, 3 and 10 the one at which its map depends most on the text
WEIGHTS, CONFIG, TOKENIZER = "model.safetensors", "config.json", "tokenizer.json"


class QuickStart:
    """A `DenseImageTextModel` and `TwiceLooking`.

    Every cell of a (S / 4) x (S / 4) grid has a feature in the space of the texts.

    `features_after` gives the mean of the patch features, not the class token: agreement of that with a text is
    what training asked of tokens behind a noisy bottleneck, so that M2IB depends on the text. The class token
    answers `presence`.

    Args:
        folder: of its files; one that was fine-tuned has the same.

    Attributes:
        network: with all weights of its first look.

    Raises:
        ModelError: the files of `folder` are missing, damaged or do not belong together.
    """

    mean = (0.5, 0.5, 0.5)
    std = (0.5, 0.5, 0.5)
    logit_scale = 15.0  # of the softmax over pooled features
    on_cpu: Callable[[], ImageTextModel] | None = None

    def __init__(self, folder: Path, device: torch.device, name: str = "quickstart") -> None:
        state = read_state_dict(folder / WEIGHTS)
        try:
            config = QuickStartConfig(**json.loads((folder / CONFIG).read_text("utf-8")))
            parts = read_anchors(folder)
            self.reliability = Reliability.read(folder)
            self.second = About.read(folder)
            self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
            net = QuickStartNet(config)
            net.load_state_dict({name: tensor.float() for name, tensor in state.items()})
        except Exception as error:  # tokenizers raises bare Exception
            if ran_out(error):
                raise
            raise _damaged(folder) from error
        self._tokenizer.no_truncation()
        self.network = net.eval().requires_grad_(False).to(device=device)
        self._context = config.context
        self._second_look: SecondLook | None = None
        self.name = name
        self.checksum = sha256(folder / WEIGHTS)
        self.device = device
        self.image_size = config.image_size
        self.grid = config.image_size // 16
        self.dense_grid = config.image_size // 4
        self.block_count = config.blocks
        self.token_width = config.width
        self.recommended = Recommendation("two-looks", config.bottleneck, _BETA)
        self.vocabulary = Vocabulary(parts, self.encode_text(list(parts)))

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """T texts -> (T, D), not normalised; of a long text the first 32 tokens count.

        Raises:
            InputError: a text has no token that the model knows; its meaning would be an accident.
        """
        ids = self.tokenize(texts).to(self.device)
        with torch.inference_mode():
            return self.network.text(ids).clone()

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """T texts -> (T, L) token ids.

        Raises:
            InputError: as of `encode_text`.
        """
        return token_ids(self._tokenizer, texts, self._context)

    def preprocess(self, rgb: np.ndarray) -> Tensor:
        """(N, S, S, 3) uint8 -> (N, 3, S, S) float32 in -1..1."""
        return to_tensor(rgb).to(self.device).permute(0, 3, 1, 2).float() / 127.5 - 1

    def tokens_before(self, pixels: Tensor) -> Tensor:
        """(N, 3, S, S) -> (N, 1 + grid * grid, W)."""
        with torch.no_grad():
            return self.network.image.stem(_grey(pixels))[0]

    def block(self, number: int) -> AttentionBlock:
        """The block ``number`` (0-based), taken apart."""
        tower = self.network.image
        own: Any = tower.blocks[number]
        weights = own.qkv.weight, own.qkv.bias, own.heads
        block = AttentionBlock(own.norm1, own.norm2, *weights, own.proj, own.feed)
        return replace(block, after=tower.normalised) if number == tower.bottleneck else block

    def tokens_after(self, pixels: Tensor, layer: int) -> Tensor:
        """(N, 3, S, S) -> (N, 1 + grid * grid, W)."""
        with torch.no_grad():
            return self.network.image.run(self.network.image.stem(_grey(pixels))[0], 0, layer + 1)

    def features_after(self, tokens: Tensor, layer: int) -> Tensor:
        """(N, 1 + grid * grid, W) -> (N, D): the mean patch feature after the remaining blocks."""
        return self.network.image.patches(self.network.image.run(tokens, layer + 1, self.block_count)).mean(1)

    def encode_image(self, pixels: Tensor) -> Tensor:
        """(N, 3, S, S) -> (N, D), not normalised."""
        with torch.no_grad():
            return self.features_after(self.tokens_after(pixels, self.block_count - 1), self.block_count - 1)

    def look(self, pixels: Tensor) -> Tensor:
        """(N, 3, S, S) -> (N, 1 + h * w, D) float16 of length 1: the class token, then the cells row by row."""
        tower = self.network.image
        with torch.inference_mode():
            tokens, eighth, quarter = tower.stem(_grey(pixels))
            tokens = tower.run(tokens, 0, self.block_count)
            cells = tower.decode(tokens, eighth, quarter).flatten(2).transpose(1, 2)
            seen = torch.cat([tower.presence(tokens)[:, None], cells], 1)
            return F.normalize(seen, dim=-1).half()

    def second_look(self) -> SecondLook:
        """Loaded when it is asked for first: few prompts need it.

        Raises:
            ModelError: it is missing or damaged.
        """
        if self._second_look is None:
            self._second_look = SecondLook(self.second, self.device)
        return self._second_look

    def dense_logits(self, cosine: Tensor) -> Tensor:
        """Cosines of cells with texts -> logits of "this cell shows it"."""
        return self.network.dense_scale.clamp(1, 40) * cosine + self.network.dense_offset

    def presence_logits(self, cosine: Tensor) -> Tensor:
        """Cosines of class tokens with texts -> logits of "this image shows it"."""
        return self.network.presence_scale.clamp(1, 40) * cosine + self.network.presence_offset


def _damaged(folder: Path) -> ModelError:
    return ModelError(f"The quick-start model in '{folder}' is damaged: install MedCLIP-SAM again.")


def _grey(pixels: Tensor) -> Tensor:
    return pixels.mean(1, keepdim=True)


def weights_file() -> Path:
    """The trained weights that come with the extension."""
    return resource("QuickStart") / WEIGHTS


def read_anchors(folder: Path) -> dict[str, frozenset[str]]:
    """The terms that a model of this kind lists, each with the parts of the body that it covers.

    Raises:
        OSError, ValueError, AttributeError, TypeError: the file of ``folder`` is missing or damaged.
    """
    anchors = json.loads((folder / ANCHORS).read_text("utf-8"))
    return {text: frozenset(covered) for text, covered in anchors.items()}


def known_terms() -> tuple[str, ...]:
    """The terms of the model that comes with the extension, in both looks, without loading it.

    Raises:
        ModelError: its files are missing or damaged.
    """
    folder = resource("QuickStart")
    try:
        first = read_anchors(folder)
        return (*first, *sorted(About.read(folder).answers.keys() - first.keys()))
    except (OSError, ValueError, AttributeError, TypeError, KeyError) as error:
        raise _damaged(folder) from error


def load_quickstart(device: torch.device) -> QuickStart:
    """The model that comes with the extension."""
    return QuickStart(resource("QuickStart"), device)
