"""What the chain asks of a segmenter: embed a slice once, then decode any boxes and points on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError


@dataclass(frozen=True)
class ImageEmbeddings:
    """Image features of N pictures of H x W pixels.

    Attributes:
        features: (N, C, h, w) float16 on the CPU, so that a cache of many slices is small and never fills a GPU.
        shape: (H, W) of the pictures, in whose pixels boxes and points are given.
    """

    features: Tensor
    shape: tuple[int, int]

    def __len__(self) -> int:
        return len(self.features)

    def slice(self, index: int) -> ImageEmbeddings:
        """The embedding of one picture; it does not keep the others in memory."""
        return ImageEmbeddings(self.features[index][None].clone(), self.shape)


@dataclass(frozen=True)
class MaskBatch:
    """Answers to B prompts, M masks each.

    Attributes:
        masks: (B, M, H, W) float32 probabilities.
        scores: (B, M) float32, the intersection over union that the segmenter expects of each mask.
    """

    masks: np.ndarray
    scores: np.ndarray


class PromptableSegmenter(Protocol):
    """A segmenter of the SAM family (Kirillov et al., arXiv:2304.02643).

    Attributes:
        name: what was loaded, for people.
        checksum: SHA-256 of the weights file.
        image_size: pixels per side of the square picture that it sees; larger pictures gain nothing.
        device: where it runs.
        on_cpu: reads the same model anew onto the CPU; None if it was not loaded by `registry.load_segmenter`.
    """

    name: str
    checksum: str
    image_size: int
    device: torch.device
    on_cpu: Callable[[], PromptableSegmenter] | None

    def embed(self, rgb: np.ndarray) -> ImageEmbeddings:
        """(N, H, W, 3) uint8 pictures of any size -> their embeddings, the slow part.

        Raises:
            InputError: not such an array.
            DeviceError: there is too little memory on the device for a single picture, or it is gone.
        """
        ...

    def decode(
        self,
        embedding: ImageEmbeddings,
        boxes: np.ndarray | None = None,
        points: np.ndarray | None = None,
        point_labels: np.ndarray | None = None,
        multimask: bool = False,
    ) -> MaskBatch:
        """Masks of B prompts on one picture, the quick part.

        Positions are in pixels of the picture, integers at pixel centres.

        Args:
            embedding: of one picture.
            boxes: (B, 4) x0, y0, x1, y1.
            points: (B, P, 2) x, y.
            point_labels: (B, P), 1 where the structure is, 0 where it is not, -1 for a place left empty, so
                that prompts with different numbers of points fit in one call.
            multimask: three masks for each prompt (part, whole, more) instead of one.

        Raises:
            InputError: neither boxes nor points; not of these shapes; not finite; or a box without extent.
        """
        ...


def check_prompts(boxes: np.ndarray | None, points: np.ndarray | None, labels: np.ndarray | None) -> int:
    """How many prompts the arguments of `PromptableSegmenter.decode` are.

    Raises:
        InputError: they are none.
    """
    if (points is None) != (labels is None):
        raise InputError("Points and point labels belong together: give both or neither.")
    counts = {len(given) for given in (boxes, points) if given is not None}
    if len(counts) != 1:
        raise InputError("There must be boxes, or points, or as many sets of points as boxes.")
    count = counts.pop()
    if boxes is not None:
        _check(boxes, "Boxes", (count, 4))
        if not (boxes[:, :2] < boxes[:, 2:]).all():
            raise InputError("A box has no extent: give x0, y0, x1, y1 with x0 < x1 and y0 < y1.")
    if points is not None and labels is not None:
        _check(points, "Points", (*points.shape[:2], 2))
        _check(labels, "Point labels", points.shape[:2])
    return count


def _check(values: np.ndarray, what: str, shape: tuple[int, ...]) -> None:
    if values.shape != shape or not values.size or not np.isfinite(values).all():
        raise InputError(f"{what} must be finite numbers of shape {shape}, not {values.shape}.")
