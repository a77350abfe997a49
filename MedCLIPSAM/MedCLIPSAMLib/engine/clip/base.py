"""What the chain asks of an image-text model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor

from .attention import AttentionBlock
from .vocabulary import Vocabulary

if TYPE_CHECKING:
    from .quickstart.second_look import About, SecondLook


@dataclass(frozen=True)
class Recommendation:
    """The saliency method, block (0-based) and beta at which a model works best."""

    saliency: str
    layer: int
    beta: float


class ImageTextModel(Protocol):
    """A dual encoder whose image tower is a vision transformer that can be split after any block.

    Shapes: N images of S = `image_size` pixels a side, `grid` x `grid` patches, tokens of `token_width` W
    with the class token first, joint width D. Weights are frozen; `features_after` lets gradients pass to its
    input.

    A model of another kind, see `AttentiveModel`, raises ModelError where it is asked for blocks or tokens.

    Attributes:
        name: what was loaded, for people.
        checksum: SHA-256 of the weights file.
        mean, std: of the three channels in 0..1, as the model was trained.
        logit_scale: factor of cosines in the softmax that it was trained with.
        on_cpu: reads the same model anew onto the CPU; None if it was not loaded by `registry.load_clip`.
    """

    name: str
    checksum: str
    image_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    logit_scale: float
    block_count: int
    token_width: int
    grid: int
    recommended: Recommendation
    device: torch.device
    on_cpu: Callable[[], ImageTextModel] | None

    @property
    def vocabulary(self) -> Vocabulary | None:
        """The terms it was trained with, if they are few enough to be listed."""
        ...

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """T texts -> (T, D) float32, not normalised."""
        ...

    def preprocess(self, rgb: np.ndarray) -> Tensor:
        """(N, S, S, 3) uint8 -> (N, 3, S, S) float32 on the model's device, scaled and normalised."""
        ...

    def encode_image(self, pixels: Tensor) -> Tensor:
        """(N, 3, S, S) -> (N, D), not normalised."""
        ...

    def tokens_before(self, pixels: Tensor) -> Tensor:
        """(N, 3, S, S) -> (N, 1 + grid * grid, W): what goes into the first block."""
        ...

    def block(self, number: int) -> AttentionBlock:
        """The block ``number`` (0-based), taken apart.

        Raises:
            ModelError: its attention is not the textbook's.
        """
        ...

    def tokens_after(self, pixels: Tensor, layer: int) -> Tensor:
        """(N, 3, S, S) -> (N, 1 + grid * grid, W): the output of block `layer` (0-based)."""
        ...

    def features_after(self, tokens: Tensor, layer: int) -> Tensor:
        """The output of block `layer` -> (N, D): the later blocks, final norm, class token and projection."""
        ...


class TwiceLooking(Protocol):
    """A model that looks a second time, through the features of one segmenter, for what its first look cannot tell.

    Attributes:
        second: what is known of that look before it is loaded.
    """

    second: About

    def second_look(self) -> SecondLook:
        """Loaded when it is asked for first: few prompts need it.

        Raises:
            ModelError: it is missing or damaged.
        """
        ...


class AttentiveModel(ImageTextModel, Protocol):
    """A model that is not looked into block by block, `block_count` is 0, but whose texts attend to regions of images.

    Attributes:
        answers: it tells itself whether what it is asked for is there; others are judged by their features.
    """

    answers: ClassVar[bool]

    def regions(self, pixels: Tensor) -> Tensor:
        """(N, 3, S, S) -> (N, 1 + R, D): the image as a whole, then its regions, row by row of a square."""
        ...

    def ask(self, wordings: Sequence[str], contrast: Sequence[str]) -> tuple[Tensor, ...]:
        """What `attend` needs of the texts of one prompt beside their features."""
        ...

    def attend(self, regions: Tensor, target: Tensor, asked: tuple[Tensor, ...]) -> tuple[Tensor, Tensor | None]:
        """Where a text is.

        Args:
            regions: (N, 1 + R, D) as of `regions`, float32.
            target: (D,) features of the text, of length 1.
            asked: as of `ask`.

        Returns:
            (N, R) saliency of regions, and (N,) probability that it is there, if the model `answers`.
        """
        ...


class MappedModel(ImageTextModel, Protocol):
    """A model that makes the feature of an image from a last map of R regions, a square row by row.

    Its two steps are those between which class activation maps are taken.
    """

    def cells_before(self, pixels: Tensor) -> Tensor:
        """(N, 3, S, S) -> (N, R, C), what goes into the layer at which maps are taken."""
        ...

    def activations(self, cells: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """(N, R, C) as of `cells_before` -> (N, R, C) at the layer, and what makes (N, D) features of such.

        What makes features lets gradients pass to its input.
        """
        ...


class DenseImageTextModel(ImageTextModel, Protocol):
    """A model whose image cells are aligned with its texts, and which knows what a cosine is worth.

    Attributes:
        dense_grid: cells per side.
    """

    dense_grid: int

    @property
    def vocabulary(self) -> Vocabulary:
        """The terms it was trained with; a text is weighed against them."""
        ...

    def look(self, pixels: Tensor) -> Tensor:
        """(N, 3, S, S) -> (N, 1 + dense_grid^2, D) float16 of length 1: the class token, then the cells."""
        ...

    def dense_logits(self, cosine: Tensor) -> Tensor:
        """Cosines of cells with texts -> logits of "this cell shows it", same shape."""
        ...

    def presence_logits(self, cosine: Tensor) -> Tensor:
        """Cosines of class tokens with texts -> logits of "this image shows it", same shape."""
        ...
