"""What the models of this folder share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from ...errors import ModelError
from ..attention import AttentionBlock
from ..base import ImageTextModel, Recommendation
from ..bert import BertTower, FolderTokenizer
from ..pixels import Colours, normalised
from .reading import Checkpoint


class RegionalModel(ABC):
    """An `AttentiveModel`, but for how it looks and attends.

    Args:
        parts: all its modules.
    """

    answers: ClassVar[bool] = False
    block_count = 0
    token_width = 0
    grid = 0
    recommended = Recommendation("attention", 0, 0.0)
    vocabulary = None
    on_cpu: Callable[[], ImageTextModel] | None = None

    def __init__(
        self,
        checkpoint: Checkpoint,
        device: torch.device,
        tokenize: FolderTokenizer,
        parts: nn.Module,
        image_size: int,
        colours: Colours,
        logit_scale: float = 1.0,
    ) -> None:
        self.name = checkpoint.weights.parent.resolve().name
        self.checksum = checkpoint.checksum
        self.image_size = image_size
        self.mean, self.std = colours
        self.logit_scale = logit_scale
        self.device = device
        self._parts = parts.eval().requires_grad_(False).to(device)
        self._tokenize = tokenize

    @abstractmethod
    def regions(self, pixels: Tensor) -> Tensor:
        """See `AttentiveModel.regions`."""

    @abstractmethod
    def ask(self, wordings: Sequence[str], contrast: Sequence[str]) -> tuple[Tensor, ...]:
        """See `AttentiveModel.ask`."""

    @abstractmethod
    def attend(self, regions: Tensor, target: Tensor, asked: tuple[Tensor, ...]) -> tuple[Tensor, Tensor | None]:
        """See `AttentiveModel.attend`."""

    @abstractmethod
    def encode_token_ids(self, ids: Tensor) -> Tensor:
        """(T, L) integer ids, padded, as the model's tokenizer makes them -> (T, D), not normalised."""

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """T texts -> (T, D) float32, not normalised; each by itself, so that no text depends on the others."""
        return torch.cat([self.encode_token_ids(self._tokenize([text])) for text in texts])

    def preprocess(self, rgb: np.ndarray) -> Tensor:
        """(N, S, S, 3) uint8 -> (N, 3, S, S) float32 on the model's device, scaled and normalised."""
        return normalised(rgb, self.mean, self.std, self.device)

    def encode_image(self, pixels: Tensor) -> Tensor:
        """(N, 3, S, S) -> (N, D), not normalised."""
        return self.regions(pixels)[:, 0]

    def tokens_before(self, pixels: Tensor) -> Tensor:
        """See `_undivided`."""
        raise self._undivided()

    def block(self, number: int) -> AttentionBlock:
        """See `_undivided`."""
        raise self._undivided()

    def tokens_after(self, pixels: Tensor, layer: int) -> Tensor:
        """See `_undivided`."""
        raise self._undivided()

    def features_after(self, tokens: Tensor, layer: int) -> Tensor:
        """See `_undivided`."""
        raise self._undivided()

    def _undivided(self) -> ModelError:
        return ModelError(f"{self.name} has no blocks that could be looked into: choose the saliency method attention.")


class WithBert(RegionalModel):
    """A model whose texts are read by a BERT alone, before they meet any image."""

    _text: BertTower

    def _reads(self, checkpoint: Checkpoint, text: BertTower, context: int) -> FolderTokenizer:
        """Takes the text tower, and gives its tokenizer: of at most ``context`` tokens, beside the weights."""
        self._text = text
        return FolderTokenizer(checkpoint.weights.parent, min(context, text.position.num_embeddings))

    @torch.no_grad()
    def _hidden(self, ids: Tensor) -> list[Tensor]:
        return self._text.hidden(ids.to(self.device))
