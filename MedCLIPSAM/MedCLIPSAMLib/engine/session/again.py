"""The part of a session that looks a second time, through the segmenter's features, for what the first cannot tell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import ClassVar, cast

import numpy as np
import torch
from torch.nn import functional as F

from ..clip.base import ImageTextModel, TwiceLooking
from ..clip.quickstart.second_look import SecondLook
from ..errors import InputError
from ..machine.arrays import to_array
from ..machine.cache import TensorCache, Tensors
from ..machine.device import Placed
from ..machine.precision import NumberFormat
from ..presence import UNDOUBTED
from ..prompt.prompt import Prompt
from ..saliency import TextQuery
from ..saliency.base import stop_if
from ..saliency.dense import weigh
from ..sam.base import PromptableSegmenter
from .evidence import heat_map
from .looking import Looker
from .masking import Masker
from .settings import Settings

_AT_ONCE = 8
_SMALLEST = 12  # cells of the smallest structure that is told: on a whole cross section about 5 mm wide
_BRIGHT = 0.9  # peak that a map is brought to, unless it has it
_FAINT = 0.2  # peak of a map that stays fainter than others: nothing is seen


def which_look(
    settings: Settings, clip: ImageTextModel, segmenter: PromptableSegmenter
) -> tuple[str, TwiceLooking | None]:
    """The saliency method, and who looks again; the first look alone where the segmenter is another.

    Raises:
        InputError: two looks were asked for, and the models do not go together.
    """
    name = settings.saliency_for(clip.recommended.saliency)
    if name != "two-looks":
        return name, None
    twice = cast(TwiceLooking, clip) if hasattr(clip, "second_look") else None
    if twice is not None and twice.second.segmenter == segmenter.checksum:
        return name, twice
    if settings.saliency is not None:
        raise InputError(
            f"The model {clip.name} has no second look for the segmenter {segmenter.name}: leave out two-looks."
        )
    return "dense", None


class SecondLooker:
    """Looks of the second kind, each computed once; as `Looker` does, for the prompts that it `answers`.

    Args:
        clip: whose second look is loaded when a prompt needs it.

    Attributes:
        about: what is known of that look.
        format: in which the head looks.
    """

    stage: ClassVar[str] = "second look"

    def __init__(self, looker: Looker, masker: Masker, clip: TwiceLooking, precision: str, cache: TensorCache) -> None:
        self._looker, self._masker, self._clip = looker, masker, clip
        self._queries: dict[tuple[tuple[str, ...], tuple[str, ...]], TextQuery] = {}
        self.about = clip.second
        self.format = NumberFormat(self.about.name, precision)
        self._cache = cache

    @cached_property
    def _placed(self) -> Placed[SecondLook]:
        return Placed(self._clip.second_look(), self._queries.clear)

    def at_once(self) -> int:
        """How many slices are best looked at together: on a CPU a second one gains nothing."""
        return 1 if self._masker.segmenter.device.type == "cpu" else _AT_ONCE

    def answers(self, prompt: Prompt) -> bool:
        """Whether only this look knows what the prompt means, and does well in such a volume."""
        return self._looker.meaning(prompt) == "" and self._does_well(self.meaning(prompt))

    def does_better(self, prompt: Prompt) -> bool:
        """Whether both know what it means, and this look does better in such a volume where the first is not sure."""
        known = self._looker.meaning(prompt)
        return bool(known) and self._does_well(known) and self.meaning(prompt) == known

    def _does_well(self, term: str | None) -> bool:
        return self._looker.viewer.stack.volume.modality in self.about.answers.get(term or "", ())

    def confirms(self, prompt: Prompt) -> bool:
        """Whether this look can tell that what the first one finds is not there."""
        meant = self._looker.meaning(prompt)
        return meant in self.about.confirms and self.meaning(prompt) == meant

    def presence(self, prompt: Prompt, indices: Sequence[int]) -> float:
        """The highest presence, in 0..1, on the slices in ``indices``; looked at in order until one leaves no doubt."""
        highest = 0.0
        for index in indices:
            highest = max(highest, self.look(prompt, [index])[1][0]["presence"])
            if highest >= UNDOUBTED:
                break
        return highest

    def as_a_whole(self, prompt: Prompt, index: int) -> float:
        """Presence in 0..1 of what a slice is as a whole, such as "ct", which has no place on it."""

        def judge() -> float:
            second, (kept,) = self._placed.model, self._kept([index])
            picture, _ = second.features(kept)
            return float(second.presence_logits(picture @ self._query(prompt).target).sigmoid())

        return self._placed.run(judge)

    def meaning(self, prompt: Prompt) -> str:
        """The term of its vocabulary that the prompt means, "" if it is near none."""
        return self._placed.run(lambda: self._placed.model.vocabulary.meaning(self._query(prompt).target)) or ""

    def look(
        self,
        prompt: Prompt,
        indices: Sequence[int],
        cancelled: Callable[[], bool] | None = None,
        *,
        quick: bool = False,
    ) -> tuple[np.ndarray, list[dict[str, float]]]:
        """As `Looker.look`: saliency (N, S, S) float16, of the size of the first look's; no other way is quicker.

        Raises:
            Cancelled: ``cancelled`` said so.
            DeviceError: there is too little memory, even for one slice on the CPU.
        """

        def explain(missing: list[int]) -> list[Tensors]:
            second, query = self._placed.model, self._query(prompt)
            rivals = torch.cat([query.contrast, second.vocabulary.rivals(query.target)])
            made = []
            for kept in self._kept([indices[position] for position in missing]):
                stop_if(cancelled)
                picture, cells = second.features(kept)
                probability, peak, presence = weigh(second, picture, cells, query.target, rivals, _SMALLEST)
                # In people never seen a cell that shows it often has less than one half. Whether it is there, the
                # presence tells; where, a map does better whose peak is bright (Dice 0.44, not 0.39, mean of 39 kinds).
                place = (probability * (_BRIGHT / peak.clamp(min=_FAINT)).clamp(min=1)).clamp(max=1)
                made.append({"map": place.unflatten(0, (second.dense_grid, -1)).half(), "presence": presence})
            return made

        def run() -> list[Tensors]:
            return self._cache.each((self._key(prompt, index) for index in indices), explain)

        looks = self._placed.run(run)
        return self._enlarged(looks).astype(np.float16), [{"presence": float(look["presence"])} for look in looks]

    def seen(self, prompt: Prompt, index: int) -> np.ndarray | None:
        """See `Looker.seen`."""
        kept = self._cache.get(self._key(prompt, index))
        if kept is None:
            return None
        viewer = self._looker.viewer
        return heat_map(self._enlarged([kept])[0], viewer.frame, viewer.stack.array.shape[1:], absolute=True)

    def _enlarged(self, looks: Sequence[Tensors]) -> np.ndarray:
        """(N, S, S) float32 maps of the size of the first look's."""
        maps = torch.stack([look["map"] for look in looks])[:, None].float()
        return to_array(F.interpolate(maps, (self._looker.model.image_size,) * 2, mode="bilinear")[:, 0])

    def _query(self, prompt: Prompt) -> TextQuery:
        """The prompt's texts in the space of this look."""
        if prompt.texts not in self._queries:
            self._queries[prompt.texts] = TextQuery.encode(self._placed.model, *prompt.texts)
        return self._queries[prompt.texts]

    def _key(self, prompt: Prompt, index: int) -> str:
        return f"second look {prompt.texts} {index}"

    def _kept(self, indices: Sequence[int]) -> list[Tensors]:
        """What the head makes of each slice, whatever the text."""

        def make(missing: list[int]) -> list[Tensors]:
            second = self._placed.model
            slices = [indices[position] for position in missing]
            features = torch.cat([embedding.features for embedding in self._masker.embed(slices)])
            pictures = self._looker.viewer.pictures(slices, second.picture_size)[..., 0]
            return self.format.run(second.device, lambda: second.look(features, pictures))

        return self._cache.each((f"second look {index}" for index in indices), make)
