"""The part of a session that looks: slices to model input, text to query, saliency and clues, each kept once made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from ..clip.base import ImageTextModel
from ..machine.arrays import to_array
from ..machine.cache import TensorCache, Tensors
from ..machine.device import Placed, halving
from ..machine.precision import NumberFormat
from ..presence.presence import NEUTRAL_TEXTS, image_clues, map_clues, unit
from ..prompt.prompt import Prompt
from ..saliency import SaliencyBatch, SaliencyMethod, TextQuery, choose, saliency_method
from ..volume import Frame, SliceStack, Window, automatic_window
from ..volume.region import Region
from .evidence import heat_map
from .settings import Settings

WindowReason = Literal["asked", "automatic", "contrast"]


class Viewer:
    """The slices of a stack as the models see them: windowed, cropped to the body, square.

    Attributes:
        frame: the square that is shown; the whole slice if ``whole``, and of a picture.
        region: outside of it there is nothing to be found.
        reason: why the window was taken: it was "asked" for; it is the "automatic" one; or, of a picture, it gives
            "contrast" to a CT slice that was saved without.
    """

    region: Region | None = None

    def __init__(self, stack: SliceStack, window: Window | None, whole: bool, *, contrast: bool = False) -> None:
        self.stack = stack
        self.reason: WindowReason = "contrast" if contrast else "automatic" if window is None else "asked"
        self.window = window or automatic_window(stack.volume)
        shape, spacing = stack.array.shape[1:], stack.spacing[1:]
        whole = whole or stack.volume.is_picture
        self.frame = Frame.whole(shape, spacing) if whole else Frame.around(stack, self.window)

    def slice_uint8(self, index: int) -> np.ndarray:
        """(H, W) uint8 slice in the window."""
        return self.window.to_uint8(self.stack.array[index])

    def within(self, index: int, plane: np.ndarray) -> np.ndarray:
        """(H, W) of slice ``index`` with zeros outside of the region."""
        return plane if self.region is None else plane * self.region.on_slice(self.stack, index)

    def pictures(self, indices: Sequence[int], size: int) -> np.ndarray:
        """(N, size, size, 3) uint8 of the slices in ``indices``."""
        grey = np.stack([self.frame.crop(self.slice_uint8(index), size) for index in indices])
        return np.repeat(grey[..., None], 3, axis=3)


class Looker:
    """Saliency and clues of prompts on slices, each computed once.

    Attributes:
        method: of a run over the volume.
        quick: the method that stands in for it where a person waits.
        stage: what a run calls it.
        format: in which the model looks at images; texts, which are few, are encoded in float32.
    """

    stage: ClassVar[str] = "saliency"

    def __init__(
        self,
        viewer: Viewer,
        model: ImageTextModel,
        saliency: str,
        settings: Settings,
        precision: str,
        cache: TensorCache,
    ) -> None:
        self.viewer = viewer
        self._placed = Placed(model, self._encode_again)
        self.method = choose(saliency, model, settings)
        # What only stands in is nothing published.
        stands_in = self.method.preview != self.method.name
        self.quick = choose(self.method.preview, model, replace(settings, exact=False)) if stands_in else self.method
        self.format = NumberFormat(model.name, precision)
        self._cache = cache
        self._queries: dict[tuple[tuple[str, ...], tuple[str, ...]], TextQuery] = {}
        self._neutral: Tensor | None = None

    @property
    def model(self) -> ImageTextModel:
        """On the device where it is now."""
        return self._placed.model

    @property
    def told_by_maps(self) -> bool:
        """Whether only the making of a map tells that a structure is there."""
        return self.method.absolute or getattr(self.model, "answers", False)

    def query(self, prompt: Prompt) -> TextQuery:
        """The prompt's texts in the model's joint space."""
        if prompt.texts not in self._queries:
            self._queries[prompt.texts] = self._placed.run(lambda: TextQuery.encode(self.model, *prompt.texts))
        return self._queries[prompt.texts]

    def at_once(self) -> int:
        """How many slices are best looked at together."""
        return self._placed.run(lambda: self.method.at_once(self.model))

    def meaning(self, prompt: Prompt) -> str | None:
        """The term of the vocabulary that the prompt means, "" if it is near none; None if the model has no list."""

        def mean() -> str | None:
            vocabulary = self.model.vocabulary
            return None if vocabulary is None else vocabulary.meaning(self.query(prompt).target) or ""

        return self._placed.run(mean)

    def seen(self, prompt: Prompt, index: int) -> np.ndarray | None:
        """As `heat_map`, of a slice that `method` has looked at; None if it has not, or no longer keeps what it saw."""
        kept = self._cache.get(self._key(self.method, prompt, index)) if prompt.texts in self._queries else None
        if kept is None:
            return None
        saliency, shape = to_array(kept["map"]).astype(np.float32), self.viewer.stack.array.shape[1:]
        return heat_map(saliency, self.viewer.frame, shape, absolute=self.method.absolute)

    def judge(self, prompt: Prompt, indices: Sequence[int]) -> list[dict[str, float]]:
        """Clues of the slices in ``indices`` before saliency; empty if the method's maps are needed to tell.

        Raises:
            DeviceError: there is too little memory, even for one slice on the CPU.
        """
        return [{} for _ in indices] if self.told_by_maps else self._placed.run(lambda: self._judge(prompt, indices))

    def look(
        self,
        prompt: Prompt,
        indices: Sequence[int],
        cancelled: Callable[[], bool] | None = None,
        *,
        quick: bool = False,
    ) -> tuple[np.ndarray, list[dict[str, float]]]:
        """Saliency (N, S, S), float16 if it is a probability, and clues of ``prompt`` on the slices in ``indices``.

        Args:
            quick: by `quick` instead of `method`.

        Raises:
            Cancelled: ``cancelled`` said so.
            DeviceError: there is too little memory, even for one slice on the CPU.
        """
        return self._placed.run(lambda: self._look(prompt, indices, cancelled, self.quick if quick else self.method))

    def _judge(self, prompt: Prompt, indices: Sequence[int]) -> list[dict[str, float]]:
        if self.model.vocabulary is not None and hasattr(self.model, "look"):  # it was taught to tell, whatever draws
            dense = saliency_method("dense")
            prepared = torch.stack([each["prepared"] for each in self._seen(dense, indices)]).to(self.model.device)
            return map_clues(dense.explain(self.model, prepared, self.query(prompt)))
        if self._neutral is None:
            self._neutral = unit(self.model.encode_text(NEUTRAL_TEXTS))
        seen = self._seen(self.method, indices)
        images = torch.stack([each["image"] for each in seen]).to(self.model.device)
        return image_clues(unit(images), self.query(prompt), self._neutral, self.model.logit_scale)

    def _look(
        self, prompt: Prompt, indices: Sequence[int], cancelled: Callable[[], bool] | None, way: SaliencyMethod
    ) -> tuple[np.ndarray, list[dict[str, float]]]:
        query = self.query(prompt)

        def explain(missing: list[int]) -> list[Tensors]:
            slices = [indices[position] for position in missing]
            prepared = torch.stack([seen["prepared"] for seen in self._seen(way, slices)]).to(self.model.device)

            def work() -> list[Tensors]:
                batch = way.explain(self.model, prepared, query, slices, cancelled)
                return [_kept(batch, position, way.absolute) for position in range(len(slices))]

            return self.format.run(self.model.device, work)

        looks = self._cache.each((self._key(way, prompt, index) for index in indices), halving(explain))
        batch = SaliencyBatch(
            torch.stack([look["map"] for look in looks]),
            torch.stack([look["information"] for look in looks]),
            torch.stack([look["presence"] for look in looks]) if "presence" in looks[0] else None,
        )
        clues = zip(self.judge(prompt, indices), map_clues(batch), strict=True)
        return to_array(batch.maps), [judged | seen for judged, seen in clues]

    def _key(self, way: SaliencyMethod, prompt: Prompt, index: int) -> str:
        """Where the saliency of a prompt that was encoded is kept."""
        return f"{way.name} {getattr(way, 'seed', '')} {list(self._queries).index(prompt.texts)} {index}"

    def _seen(self, method: SaliencyMethod, indices: Sequence[int]) -> list[Tensors]:
        """What a method keeps of each slice ("prepared"), and the features of the image, if it needs them."""

        def prepare(missing: list[int]) -> list[Tensors]:
            pictures = self.viewer.pictures([indices[position] for position in missing], self.model.image_size)

            def work() -> list[Tensors]:
                prepared = method.prepare(self.model, self.model.preprocess(pictures))
                images = method.image_features(self.model, prepared).float()
                return [{"prepared": tokens, "image": image} for tokens, image in zip(prepared, images, strict=True)]

            return self.format.run(self.model.device, work)

        return self._cache.each((f"{method.prepared_as} {index}" for index in indices), halving(prepare))

    def _encode_again(self) -> None:
        """The texts, by the model as it is on its new device."""
        self._neutral = None
        self._queries = {texts: TextQuery.encode(self.model, *texts) for texts in self._queries}


def _kept(batch: SaliencyBatch, position: int, absolute: bool) -> Tensors:
    # Probabilities are as good in half the memory; what is stretched afterwards is not.
    kept = {
        "map": batch.maps[position].half() if absolute else batch.maps[position],
        "information": batch.information[position],
    }
    return kept if batch.presence is None else kept | {"presence": batch.presence[position]}
