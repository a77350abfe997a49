"""A dual encoder made of a vision tower that can be split, a text tower and a tokenizer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import InputError
from ..published import PUBLISHED
from .attention import AttentionBlock
from .base import ImageTextModel, Recommendation
from .pixels import normalised

_PUBLISHED_DEPTH = 12


class VisionTower(Protocol):
    """A vision transformer with a class token; shapes as in `ImageTextModel`.

    Attributes:
        published_part: of its last block, where the first MedCLIP-SAM (Koleilat et al., MICCAI 2024) takes activations:
            "norm2", the output of its second layer norm, or "output", that of the block.
    """

    image_size: int
    grid: int
    width: int
    block_count: int
    published_part: str

    def features(self, pixels: Tensor) -> Tensor:
        """(N, 3, S, S) -> (N, D), by which gradients pass to the weights."""
        ...

    def tokens_before(self, pixels: Tensor) -> Tensor: ...

    def tokens_after(self, pixels: Tensor, layer: int) -> Tensor: ...

    def block(self, number: int) -> AttentionBlock: ...

    def features_after(self, tokens: Tensor, layer: int) -> Tensor: ...


class DualEncoder:
    """An `ImageTextModel` from its parts; the towers come frozen, in evaluation mode and on `device`.

    Attributes:
        vision, text: the towers; `text` takes (T, L) token ids to (T, D).
        tokenize: T texts -> (T, L) token ids.
        network: with all weights of both.
    """

    on_cpu: Callable[[], ImageTextModel] | None = None

    def __init__(
        self,
        name: str,
        checksum: str,
        network: nn.Module,
        vision: VisionTower,
        text: Callable[[Tensor], Tensor],
        tokenize: Callable[[list[str]], Tensor],
        mean: Sequence[float],
        std: Sequence[float],
        device: torch.device,
        logit_scale: float,
    ) -> None:
        self.name = name
        self.checksum = checksum
        self.image_size = vision.image_size
        self.mean = (float(mean[0]), float(mean[1]), float(mean[2]))
        self.std = (float(std[0]), float(std[1]), float(std[2]))
        self.block_count = vision.block_count
        self.token_width = vision.width
        self.grid = vision.grid
        self.published_part = vision.published_part
        self.recommended = Recommendation("m2ib", _layer_at_published_depth(vision.block_count), PUBLISHED.beta)
        self.device = device
        self.logit_scale = logit_scale
        self.vocabulary = None
        self.network = network
        self.vision = vision
        self.text = text
        self.tokenize = tokenize

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        return self.encode_token_ids(self.tokenize(list(texts)))

    @torch.no_grad()
    def encode_token_ids(self, ids: Tensor) -> Tensor:
        """(T, L) integer token ids, as the model's tokenizer makes them -> (T, D), not normalised."""
        return self.text(ids.to(self.device))

    def preprocess(self, rgb: np.ndarray) -> Tensor:
        return normalised(rgb, self.mean, self.std, self.device)

    def encode_image(self, pixels: Tensor) -> Tensor:
        with torch.no_grad():
            return self.features_after(self.tokens_after(pixels, 0), 0)

    @torch.no_grad()
    def tokens_before(self, pixels: Tensor) -> Tensor:
        return self.vision.tokens_before(pixels.to(self.device))

    def block(self, number: int) -> AttentionBlock:
        self._check(number)
        return self.vision.block(number)

    @torch.no_grad()
    def tokens_after(self, pixels: Tensor, layer: int) -> Tensor:
        self._check(layer)
        return self.vision.tokens_after(pixels.to(self.device), layer)

    def features_after(self, tokens: Tensor, layer: int) -> Tensor:
        self._check(layer)
        return self.vision.features_after(tokens, layer)

    def _check(self, layer: int) -> None:
        if not 0 <= layer < self.block_count:
            raise InputError(f"Layer {layer} is not in '{self.name}': choose a block from 0 to {self.block_count - 1}.")


def _layer_at_published_depth(block_count: int) -> int:
    """The published layer, at the same relative depth in a tower of another depth."""
    return max(round((PUBLISHED.layer + 1) * block_count / _PUBLISHED_DEPTH) - 1, 0)
