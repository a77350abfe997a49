"""The part of a session that looks: slices to model input, text to query, saliency and clues, each kept once made."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cachetools
import numpy as np
import psutil
import torch
from torch import Tensor

from .clip.base import ImageTextModel
from .device import within_memory
from .errors import InputError
from .presence import NEUTRAL_TEXTS, slice_clues, unit
from .prompt import Prompt
from .saliency import SaliencyBatch, SaliencyMethod, TextQuery, saliency_method
from .settings import Settings
from .volume import Frame, SliceStack, Window, automatic_window

_MEMORY_SHARE = 4  # the cache may take a quarter of what is free
_SMALLEST_CACHE = 64 << 20


def memory_budget() -> int:
    """Bytes that a cache of a session may hold: a quarter of the memory free now."""
    return max(psutil.virtual_memory().available // _MEMORY_SHARE, _SMALLEST_CACHE)


class Viewer:
    """The slices of a stack as the models see them: windowed, cropped to the body, square.

    Attributes:
        frame: the square that is shown; the whole slice if ``whole``.
    """

    def __init__(self, stack: SliceStack, window: Window | None, whole: bool) -> None:
        self.stack = stack
        self.window = window or automatic_window(stack.volume)
        shape, spacing = stack.array.shape[1:], stack.spacing[1:]
        self.frame = Frame.whole(shape, spacing) if whole else Frame.around(stack, self.window)

    def slice_uint8(self, index: int) -> np.ndarray:
        """(H, W) uint8 slice in the window."""
        return self.window.to_uint8(self.stack.array[index])

    def pictures(self, indices: Sequence[int], size: int) -> np.ndarray:
        """(N, size, size, 3) uint8 of the slices in ``indices``."""
        grey = np.stack([self.frame.crop(self.slice_uint8(index), size) for index in indices])
        return np.repeat(grey[..., None], 3, axis=3)


class Looker:
    """Saliency and clues of prompts on slices; what does not depend on the prompt is computed once per slice."""

    def __init__(self, viewer: Viewer, model: ImageTextModel, settings: Settings, budget: int) -> None:
        self.viewer = viewer
        self.model = model
        self.method = _method(model, settings)
        self._prepared: cachetools.LRUCache[int, tuple[Tensor, Tensor]] = cachetools.LRUCache(
            budget, getsizeof=lambda pair: sum(tensor.nbytes for tensor in pair)
        )
        self._queries: dict[tuple[tuple[str, ...], tuple[str, ...]], TextQuery] = {}
        self._neutral: Tensor | None = None

    def query(self, prompt: Prompt) -> TextQuery:
        """The prompt's texts in the model's joint space."""
        key = (prompt.wordings, prompt.contrast)
        if key not in self._queries:
            self._queries[key] = TextQuery.encode(self.model, *key)
        return self._queries[key]

    def meaning(self, prompt: Prompt) -> str | None:
        """The term of the vocabulary that the prompt means, "" if it is near none; None if the model has no list."""
        vocabulary = self.model.vocabulary
        return None if vocabulary is None else vocabulary.meaning(self.query(prompt).target) or ""

    def look(
        self, prompt: Prompt, indices: Sequence[int], cancelled: Callable[[], bool] | None = None
    ) -> tuple[SaliencyBatch, list[dict[str, float]]]:
        """Saliency (N, S, S) and clues of ``prompt`` on the slices in ``indices``.

        Raises:
            Cancelled: ``cancelled`` said so.
            InputError: the model's device has too little memory.
        """
        with within_memory(self.model.name, self.model.device):
            query = self.query(prompt)
            prepared, images = self._prepare(indices)
            batch = self.method.explain(self.model, prepared, query, indices, cancelled)
            if self._neutral is None:
                self._neutral = unit(self.model.encode_text(NEUTRAL_TEXTS))
        return batch, slice_clues(batch, images, query, self._neutral)

    def _prepare(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """What the method keeps of the slices, (N, ...), and their features of length 1, (N, D), D 0 if not needed."""
        missing = [index for index in indices if index not in self._prepared]
        made = {}
        if missing:
            pixels = self.model.preprocess(self.viewer.pictures(missing, self.model.image_size))
            prepared = self.method.prepare(self.model, pixels)
            images = unit(self.method.image_features(self.model, prepared))
            # On the CPU, so that the cache of many slices never fills a GPU.
            parts = zip(prepared.cpu(), images.cpu(), strict=True)
            made = {
                index: (tokens.clone(), image.clone()) for index, (tokens, image) in zip(missing, parts, strict=True)
            }
        pairs = [made[index] if index in made else self._prepared[index] for index in indices]
        for index, pair in made.items():
            if sum(tensor.nbytes for tensor in pair) <= self._prepared.maxsize:
                self._prepared[index] = pair
        prepared, images = (torch.stack(parts).to(self.model.device) for parts in zip(*pairs, strict=True))
        return prepared, images


def _method(model: ImageTextModel, settings: Settings) -> SaliencyMethod:
    name = "m2ib" if settings.exact else settings.saliency or model.recommended.saliency
    if name != "m2ib":
        return saliency_method(name)
    layer = model.recommended.layer if settings.layer is None else settings.layer
    if not 0 <= layer < model.block_count:
        raise InputError(f"Layer {layer} does not exist in {model.name}; choose from 0 to {model.block_count - 1}.")
    return saliency_method(
        name,
        layer=layer,
        beta=model.recommended.beta if settings.beta is None else settings.beta,
        steps=settings.steps,
        noise_samples=settings.noise_samples,
        seed=settings.seed,
        noise="published" if settings.exact else "per-slice",
    )
