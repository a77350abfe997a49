"""What all segmenters with SAM's three parts (image encoder, prompt encoder, mask decoder) share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import DeviceError, InputError
from ..machine.arrays import to_array, to_tensor
from ..machine.device import free_unused, within_memory
from .base import ImageEmbeddings, MaskBatch, PromptableSegmenter, check_prompts
from .decoding import MaskDecoding

_PROMPTS_AT_ONCE = 16
# Pictures at once gain nothing on a CPU, where one already keeps all cores busy and more outgrow the caches.
_PICTURES_AT_ONCE = {"cpu": 1, "cuda": 8}


class Preparation(Protocol):
    """How a picture becomes the square input of a network.

    Attributes:
        size: pixels per side of the input.
    """

    size: int

    def content(self, shape: tuple[int, int]) -> tuple[int, int]:
        """(h, w) of the upper left part of the input that a picture (H, W) fills; the rest is padding."""
        ...

    def __call__(self, rgb: np.ndarray) -> Tensor:
        """(N, H, W, 3) uint8 -> (N, 3, size, size) float32."""
        ...


def to_unit_range(pixels: Tensor) -> Tensor:
    """Stretches each picture of (N, 3, h, w) to 0..1; a picture of one colour becomes 0."""
    low, high = pixels.amin((1, 2, 3), keepdim=True), pixels.amax((1, 2, 3), keepdim=True)
    return (pixels - low) / (high - low).clamp_min(1e-8)


class SamNetwork:
    """A `PromptableSegmenter` made of a network with SAM's parts and the preparation it was trained with."""

    on_cpu: Callable[[], PromptableSegmenter] | None = None

    def __init__(
        self, name: str, checksum: str, network: nn.Module, prepare: Preparation, device: torch.device
    ) -> None:
        self.name = name
        self.checksum = checksum
        self.image_size = prepare.size
        self.device = device
        self._network: Any = network.requires_grad_(False).eval().to(device)
        self._prepare = prepare
        with torch.inference_mode():
            positions = self._network.prompt_encoder.get_dense_pe()
            self._decoding = MaskDecoding(self._network.mask_decoder, positions)

    @torch.inference_mode()
    def embed(self, rgb: np.ndarray) -> ImageEmbeddings:
        """See `PromptableSegmenter.embed`."""
        if rgb.ndim != 4 or rgb.shape[3] != 3 or rgb.dtype != np.uint8 or not rgb.size:
            raise InputError(f"Pictures must be (N, H, W, 3) uint8, not {rgb.shape} {rgb.dtype}.")

        def encode(part: slice) -> tuple[Tensor]:
            return (self._network.image_encoder(self._prepare(rgb[part]).to(self.device)),)

        (features,) = self._in_parts(encode, len(rgb), _PICTURES_AT_ONCE.get(self.device.type, 1))
        return ImageEmbeddings(features.half(), (rgb.shape[1], rgb.shape[2]))

    @torch.inference_mode()
    def decode(
        self,
        embedding: ImageEmbeddings,
        boxes: np.ndarray | None = None,
        points: np.ndarray | None = None,
        point_labels: np.ndarray | None = None,
        multimask: bool = False,
    ) -> MaskBatch:
        """See `PromptableSegmenter.decode`."""
        if len(embedding) != 1:
            raise InputError(f"Prompts belong to one picture, not to {len(embedding)}: take one by `slice`.")
        count = check_prompts(boxes, points, point_labels)
        features, shape = embedding.features.to(self.device).float(), embedding.shape

        def run(part: slice) -> tuple[Tensor, Tensor]:
            clicks = corners = None
            if points is not None and point_labels is not None:
                labels = to_tensor(point_labels[part].astype(np.float32)).to(self.device)
                clicks = self._to_input(points[part], shape), labels
            if boxes is not None:
                corners = self._to_input(boxes[part].reshape(-1, 2, 2), shape).flatten(1)
            sparse, dense = self._network.prompt_encoder(points=clicks, boxes=corners, masks=None)
            logits, scores = self._decoding(features, sparse, dense, multimask)
            return self._to_picture(logits, shape).sigmoid_(), scores

        masks, scores = self._in_parts(run, count, _PROMPTS_AT_ONCE)
        return MaskBatch(to_array(masks), to_array(scores))

    def _to_input(self, xy: np.ndarray, shape: tuple[int, int]) -> Tensor:
        """(B, P, 2) x, y from pixels of the picture to pixels of the input, integers at pixel centres."""
        scale = np.divide(self._prepare.content(shape), shape)[::-1]
        return to_tensor(((xy + 0.5) * scale - 0.5).astype(np.float32)).to(self.device)

    def _to_picture(self, logits: Tensor, shape: tuple[int, int]) -> Tensor:
        """(B, M, h, w) logits of the input to (B, M, H, W) of the picture, without the padding; bilinear."""
        height, width = self._prepare.content(shape)
        logits = F.interpolate(logits, (self.image_size, self.image_size), mode="bilinear", align_corners=False)
        return F.interpolate(logits[..., :height, :width], shape, mode="bilinear", align_corners=False)

    def _in_parts(self, run: Callable[[slice], tuple[Tensor, ...]], count: int, at_once: int) -> tuple[Tensor, ...]:
        """Results of `run` on all of `count`, joined on the CPU; where memory runs out, with half as many at once."""
        done: list[tuple[Tensor, ...]] = []
        start = 0
        while start < count:
            try:
                with within_memory(self.name, self.device):
                    done.append(tuple(result.cpu() for result in run(slice(start, start + at_once))))
                start += at_once
                continue
            except DeviceError:
                if at_once == 1:
                    raise
            at_once //= 2  # in vain where the device is gone, which the next try tells again
            free_unused()
        return tuple(torch.cat(parts) for parts in zip(*done, strict=True))
