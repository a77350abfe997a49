"""Small stand-ins for the models, exact enough that the chain around them can be judged to the pixel."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from MedCLIPSAMLib.engine.clip.base import Recommendation
from MedCLIPSAMLib.engine.clip.vocabulary import Vocabulary
from MedCLIPSAMLib.engine.sam.base import ImageEmbeddings


class Card(str):
    """A graphics card for this package, the CPU for PyTorch."""

    type = "cuda"

    def __new__(cls) -> Card:
        return super().__new__(cls, "cpu")

    def __str__(self) -> str:
        return "cuda"


class GreyClip:
    """Sees grey levels: the text "bright" means 140 to 230, "white" more; it was taught no other text.

    One feature axis for each; cells are 2 x 2 pixels of a 192 x 192 picture.
    """

    name = "grey"
    checksum = "0" * 64
    image_size = 192
    dense_grid = 96
    grid = 4
    mean = std = (0.5, 0.5, 0.5)
    logit_scale = 100.0
    block_count = 1
    token_width = 3
    recommended = Recommendation("dense", 0, 0.1)
    device = torch.device("cpu")
    on_cpu: Any = None

    def __init__(self) -> None:
        self.looked = 0
        parts = {text: frozenset({text}) for text in ("bright", "white")}
        self.vocabulary = Vocabulary(parts, self.encode_text(list(parts)))

    def encode_text(self, texts):
        axis = {"bright": 0, "white": 1}
        return F.one_hot(torch.tensor([axis.get(text, 2) for text in texts]), 3).float()

    def preprocess(self, rgb):
        return torch.from_numpy(rgb).permute(0, 3, 1, 2).float()

    def _cells(self, pixels):
        grey = F.avg_pool2d(pixels[:, :1], 2)[:, 0]
        bright, white = (grey > 140) & (grey <= 230), grey > 230
        return torch.stack([bright, white, ~(bright | white)], -1).float().flatten(1, 2)

    def look(self, pixels):
        self.looked += len(pixels)
        cells = self._cells(pixels)
        seen = (cells.sum(1) > 16).float()
        seen[:, 2] = 0.01
        return torch.cat([F.normalize(seen, dim=1)[:, None], cells], 1).half()

    def dense_logits(self, cosine):
        return 20 * cosine - 10

    presence_logits = dense_logits

    def encode_image(self, pixels):
        return self._cells(pixels).mean(1)

    def tokens_before(self, pixels):
        raise AssertionError("the dense method needs no tokens")

    def block(self, number):
        raise AssertionError("the dense method looks into no block")

    def tokens_after(self, pixels, layer):
        raise AssertionError("the dense method needs no tokens")

    def features_after(self, tokens, layer):
        raise AssertionError("the dense method needs no features")


class BlindClip(GreyClip):
    """Its cells know no texts: M2IB has to find out what its features depend on."""

    recommended = Recommendation("m2ib", 0, 0.1)

    def __init__(self):
        super().__init__()
        self.vocabulary = None
        self.bottlenecks = 0

    def tokens_after(self, pixels, layer):
        self.looked += len(pixels)
        cells = self._cells(pixels).unflatten(1, (4, 24, 4, 24)).mean((2, 4)).flatten(1, 2)
        return torch.cat([torch.zeros(len(pixels), 1, 3), cells], 1)

    def features_after(self, tokens, layer):
        self.bottlenecks += len(tokens)
        return tokens[:, 1:].mean(1) * torch.tensor([30, 30, 1])


class GreySegmenter:
    """In a box: what is nearer to the bright than to the body around it; at a click: around the click."""

    name = "grey"
    checksum = "1" * 64
    image_size = 128
    device = torch.device("cpu")
    on_cpu: Any = None

    def __init__(self) -> None:
        self.embedded = 0

    def embed(self, rgb):
        self.embedded += len(rgb)
        return ImageEmbeddings(torch.from_numpy(rgb[:, None, :, :, 0]).half(), rgb.shape[1:3])

    def decode(
        self,
        embedding: Any,
        boxes: Any = None,
        points: Any = None,
        point_labels: Any = None,
        multimask: bool = False,
    ) -> Any:
        picture = embedding.features[0, 0].numpy().astype(float)
        y, x = np.mgrid[: len(picture), : len(picture)]
        masks = []
        for n in range(len(boxes if boxes is not None else points)):
            mask = np.zeros(picture.shape, bool)
            if boxes is not None:
                x0, y0, x1, y1 = boxes[n]
                inside = (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
                mask = inside & (picture > 140)
            if points is not None:
                for (px, py), sign in zip(points[n], point_labels[n], strict=True):
                    disc = (x - px) ** 2 + (y - py) ** 2 < 64
                    mask = mask | disc if sign == 1 else mask & ~disc if sign == 0 else mask
            masks.append(mask)
        stack = np.stack(masks)[:, None].astype(np.float32)
        scores = np.full(stack.shape[:2], 0.9, np.float32)
        if multimask:
            stack, scores = np.repeat(stack, 3, 1), np.repeat(scores, 3, 1)
        return SimpleNamespace(masks=stack, scores=scores)
