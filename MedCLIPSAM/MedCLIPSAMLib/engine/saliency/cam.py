"""Class activation maps at one layer of the image tower, weighted by gradients: GradCAM and those that followed it."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from ..clip.base import ImageTextModel
from ..errors import InputError
from .base import Choices, SaliencyMethod, chosen_layer
from .last_map import LastMap
from .patches import Patchwise

Part = Literal["norm1", "norm2", "output"]


@dataclass(frozen=True)
class Layer:
    """Where in the image tower a map is taken.

    Attributes:
        block: number (0-based) of a block.
        part: the output of its first or second layer norm, or of the block.
    """

    block: int
    # After the attention of the last block only the class token is read: no patch has a gradient there.
    part: Part = "norm1"

    @classmethod
    def chosen(cls, model: ImageTextModel, choices: Choices) -> Layer:
        """The norm before the attention of the last block, or of the block that was chosen.

        As published with MedCLIP-SAM it is the norm after the attention for BiomedCLIP, and the block's output for
        OpenAI's models.
        """
        block = chosen_layer(model, choices, model.block_count - 1)
        return cls(block, getattr(model, "published_part", "output")) if choices.exact else cls(block)

    @property
    def prepared_as(self) -> str:
        """What `before` gives, by name; the same as of `OfTokens`, which can share it."""
        return f"block {self.block - 1}"

    def reaches_patches(self, model: ImageTextModel) -> bool:
        """Whether patches have gradients there: whether anything that follows reads more than the class token."""
        if self.part == "norm1" or self.block < model.block_count - 1:
            return True
        shape = 1, 1 + model.grid**2, model.token_width
        tokens = torch.linspace(-1, 1, math.prod(shape), device=model.device).view(shape).requires_grad_()
        with torch.enable_grad():
            (gradient,) = torch.autograd.grad(model.features_after(tokens, self.block).sum(), tokens)
        return bool(gradient[:, 1:].any())

    def before(self, model: ImageTextModel, pixels: Tensor) -> Tensor:
        """(N, 3, S, S) -> (N, T, W): what goes into the block."""
        return model.tokens_after(pixels, self.block - 1) if self.block else model.tokens_before(pixels)

    def activations(self, model: ImageTextModel, tokens: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """(N, T, W) before the block -> (N, T, W) at the layer, and what makes (N, D) features of that."""
        block = model.block(self.block)

        def read_out(tokens: Tensor) -> Tensor:
            return model.features_after(tokens, self.block)

        if self.part == "norm1":
            return block.norm1(tokens), lambda seen: read_out(block.from_attended(tokens + block.attend(seen)))
        if self.part == "output":
            return block(tokens), read_out
        attended = tokens + block.attend(block.norm1(tokens))
        return block.norm2(attended), lambda seen: read_out(block.after(attended + block.feed(seen)))


def logits(model: ImageTextModel, images: Tensor, target: Tensor) -> Tensor:
    """(N, D) features of images against (D,) of a text, of length 1 -> (N,) cosines times the model's scale."""
    with torch.autocast(images.device.type, enabled=False):  # few numbers, whose small differences count
        return model.logit_scale * F.normalize(images.float(), dim=1) @ target


@dataclass(frozen=True)
class ByGradient(Patchwise):
    """sum over channels c of w_c A_c, what is negative left out: A at a layer, w from the logit's gradient G there.

    The logit is s cos(image, text). So MedCLIP-SAM (Koleilat et al., MICCAI 2024) and gScoreCAM (Chen et al., ACCV
    2022) have it, but for the layer: theirs, in a vision transformer, has no gradient at any patch.

    Attributes:
        layer: where A is taken.
    """

    layer: Layer | LastMap

    options: ClassVar[tuple[str, ...]] = ("layer",)

    @classmethod
    def chosen(cls, model: ImageTextModel, choices: Choices) -> SaliencyMethod:
        """See `SaliencyMethod.chosen`."""
        return cls((Layer if model.block_count else LastMap).chosen(model, choices))

    @property
    def prepared_as(self) -> str:
        """See `SaliencyMethod.prepared_as`."""
        return self.layer.prepared_as

    def prepare(self, model: ImageTextModel, pixels: Tensor) -> Tensor:
        """(N, 3, S, S) -> (N, T, W) before the block of the layer, or (N, 1 + R, C), see `LastMap`."""
        return self.layer.before(model, pixels)

    @torch.no_grad()
    def image_features(self, model: ImageTextModel, prepared: Tensor) -> Tensor:
        """What was prepared -> (N, D)."""
        seen, read_out = self.layer.activations(model, prepared)
        return read_out(seen)

    @property
    def choices(self) -> dict[str, Any]:
        """Where the map is taken."""
        return asdict(self.layer)

    @abstractmethod
    def weigh(self, seen: Tensor, gradient: Tensor) -> Tensor:
        """Activations and gradients, both (N, T, W) -> weights of patches, (N, 1, W) or (N, T - 1, W)."""

    def look(self, model: ImageTextModel, tokens: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """(N, T, W) before the block -> activations and gradients at the layer, both (N, T, W)."""
        with torch.no_grad():
            seen, read_out = self.layer.activations(model, tokens)
        with torch.enable_grad():
            seen.requires_grad_()
            (gradient,) = torch.autograd.grad(logits(model, read_out(seen), target).sum(), seen)
        return seen.detach(), gradient

    def patches(
        self, model: ImageTextModel, tokens: Tensor, target: Tensor, stop_if_cancelled: Callable[[], None]
    ) -> Tensor:
        """See `Patchwise.patches`."""
        seen, gradient = self.look(model, tokens, target)
        return (self.weigh(seen, gradient) * seen[:, 1:]).sum(-1).clamp(min=0)


@dataclass(frozen=True)
class GradCAM(ByGradient):
    """w_c = mean of G_c over the patches (Selvaraju et al., ICCV 2017).

    Attributes:
        class_token_gradient: w_c = G_c of the class token instead.
    """

    class_token_gradient: bool = False

    name: ClassVar[str] = "gradcam"
    preview: ClassVar[str] = name
    as_published: ClassVar[bool] = True

    @classmethod
    def chosen(cls, model: ImageTextModel, choices: Choices) -> SaliencyMethod:
        """See `SaliencyMethod.chosen`.

        Raises:
            InputError: as published, its maps would all be empty.
        """
        method = cast(GradCAM, super().chosen(model, choices))
        if not method.layer.reaches_patches(model):
            raise InputError(
                f"As published, gradcam finds nothing with {model.name}, for no patch has a gradient at"
                f" {method.layer.part} of its last block: leave out --exact, or choose an earlier layer."
            )
        return method

    def weigh(self, seen: Tensor, gradient: Tensor) -> Tensor:
        """See `ByGradient.weigh`."""
        return gradient[:, :1] if self.class_token_gradient else gradient[:, 1:].mean(1, keepdim=True)


@dataclass(frozen=True)
class GradCAMPlusPlus(ByGradient):
    """w_c = sum of max(G, 0) a, a = G^2 / (2 G^2 + S_c G^3), S_c the sum of A_c (Chattopadhay et al., WACV 2018)."""

    name: ClassVar[str] = "gradcam++"
    preview: ClassVar[str] = name

    def weigh(self, seen: Tensor, gradient: Tensor) -> Tensor:
        """See `ByGradient.weigh`."""
        seen, gradient = seen[:, 1:], gradient[:, 1:]
        square, cube = gradient**2, gradient**3
        share = square / (2 * square + seen.sum(1, keepdim=True) * cube + 1e-6)
        share = torch.where(gradient == 0, 0, share)
        return (gradient.clamp(min=0) * share).sum(1, keepdim=True)


@dataclass(frozen=True)
class XGradCAM(ByGradient):
    """w_c = sum of G A over the patches, as a share of the sum of A_c (Fu et al., BMVC 2020)."""

    name: ClassVar[str] = "xgradcam"
    preview: ClassVar[str] = name

    def weigh(self, seen: Tensor, gradient: Tensor) -> Tensor:
        """See `ByGradient.weigh`."""
        seen, gradient = seen[:, 1:], gradient[:, 1:]
        return (gradient * seen).sum(1, keepdim=True) / (seen.sum(1, keepdim=True) + 1e-7)


@dataclass(frozen=True)
class LayerCAM(ByGradient):
    """The weight of each patch and channel is max(G, 0) (Jiang et al., IEEE TIP 2021)."""

    name: ClassVar[str] = "layercam"
    preview: ClassVar[str] = name

    def weigh(self, seen: Tensor, gradient: Tensor) -> Tensor:
        """See `ByGradient.weigh`."""
        return gradient[:, 1:].clamp(min=0)
