"""How sure the chain is of a segment: what the engine is asked, and what becomes of its answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...engine.errors import InputError
from ...engine.prompt.prompt import Prompt
from ...engine.session.evidence import Progress, SegmentEvidence
from ...engine.session.settings import Settings
from ...engine.volume import SliceStack
from ...engine.volume.block import Block
from ...engine.volume.region import Region
from ...engine.worker.messages import Answer, Doubt, Doubted, Failure
from ...scene.segmentation.segments import find_segment, read_segment
from ...scene.views.doubt_map import clear_slice
from ..link import EngineLink
from .order import Order


@dataclass(frozen=True)
class Ran:
    """A run for one row.

    Attributes:
        basis: the volume as it was and how it was looked at, to compare.
        settings: of the session.
    """

    prompt: Prompt
    evidence: SegmentEvidence
    region: Region | None
    basis: tuple[Any, ...]
    settings: Settings


@dataclass(frozen=True)
class Segment:
    """What a run has written, as it is now: the voxels of a segment node."""

    ran: Ran
    stack: SliceStack
    segmentation_node: Any
    segment_id: str

    @classmethod
    def of(cls, ran: Ran, stack: SliceStack, segmentation_node: Any) -> Segment:
        """The segment of a run.

        Raises:
            InputError: it is not there any more.
        """
        name = ran.prompt.name
        found = None if segmentation_node is None else find_segment(segmentation_node, name, changed_too=True)
        if found is None:
            raise InputError(f"The segment {name!r} is not there any more; segment the volume again.")
        return cls(ran, stack, segmentation_node, found)

    @property
    def exists(self) -> bool:
        """Whether it is still in its segmentation node."""
        return self.segmentation_node.GetSegmentation().GetSegment(self.segment_id) is not None

    def question(self, volume_node: Any, accepted: Collection[int]) -> Doubt:
        """What the engine is asked; slices that were accepted, or painted on since, are a person's."""
        ran = self.ran
        mask = read_segment(self.segmentation_node, volume_node, self.segment_id)
        painted = np.flatnonzero(self.stack.arrange(mask != ran.evidence.mask).any((1, 2)))
        persons = {*painted.tolist(), *accepted}
        slices = (replace(part, edited=part.edited or part.index in persons) for part in ran.evidence.slices)
        return Doubt(ran.prompt, Block.of(mask), tuple(slices), ran.region)


class Measured:
    """How sure the chain is of a segment, and who has looked at it since.

    Attributes:
        bits: the map of `Doubted`; nothing is on the slices that a person has corrected.
        order: the way through the slices.
        corrected: slices that a person has corrected since.
    """

    def __init__(self, segment: Segment, answer: Doubted) -> None:
        self.segment = segment
        self.bits = replace(answer.map, array=np.array(answer.map.array))  # a large one is mapped and cannot be changed
        self.order = Order([index for index, _loss in answer.slices])
        self.corrected: frozenset[int] = frozenset()

    def correct(self, indices: Collection[int]) -> None:
        """A person has corrected slices: they count as seen, and are not doubted."""
        for index in frozenset(indices) - self.corrected:
            clear_slice(self.bits, self.segment.stack, index)
        self.corrected |= frozenset(indices)
        self.order.correct(indices)


@dataclass(frozen=True)
class Listener:
    """Whom a measurement tells.

    Attributes:
        progressed: progress, and the seconds that are left, None while that is unknown.
        ended: the answer, or a sentence.
    """

    progressed: Callable[[Progress, float | None], None]
    ended: Callable[[Doubted | str], None]


class Measurement:
    """One press of "How sure?"; it begins at once."""

    def __init__(self, link: EngineLink, question: Doubt, listener: Listener) -> None:
        self._link, self._listener = link, listener
        self._started = time.monotonic()
        self._number: int | None = link.ask(question, self._heard)

    @property
    def running(self) -> bool:
        """Whether an answer is awaited."""
        return self._number is not None

    def cancel(self) -> None:
        """Ends at once as seen from the window; the engine leaves off after the slice it is at."""
        if self._number is not None:
            self._link.cancel(self._number)
            self._number = None

    def _heard(self, answer: Answer) -> None:
        match answer:
            case Progress(done=done, total=total):
                spent = time.monotonic() - self._started
                self._listener.progressed(answer, spent * (total - done) / done if done else None)
            case Doubted():
                self._number = None
                self._listener.ended(answer)
            case Failure(sentence):
                self._number = None
                self._listener.ended(sentence)
