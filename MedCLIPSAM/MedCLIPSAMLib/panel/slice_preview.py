"""One slice as the model sees it, with everything that a person corrects on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engine.prompt.prompt import Point, Prompt
from ..engine.session.evidence import SliceEvidence
from ..engine.volume import SliceStack
from ..engine.volume.region import Region
from ..engine.worker.messages import Answer, Edit, Failure, Preview, Request
from ..scene.segmentation.results import Chain
from ..scene.views.boxes import BoxHandles
from ..scene.views.heat_map import HeatMap
from ..scene.views.live_mask import LiveMask
from ..scene.views.points import PointMarks
from .link import EngineLink
from .volume_choice import VolumeChoice


@dataclass(frozen=True)
class Look:
    """What to look for, and where: slice ``index`` of the stack of a volume node.

    Attributes:
        key: of the row of the table.
        choice: what the engine has open for it.
        points: clicked for the prompt, in RAS mm of the volume node itself; those of the prompt are in RAS of the
            world.
    """

    key: str
    choice: VolumeChoice
    stack: SliceStack
    index: int
    prompt: Prompt
    points: tuple[Point, ...]
    colour: tuple[float, float, float]
    region: Region | None

    @property
    def volume_node(self) -> Any:
        """The volume that is looked at."""
        return self.choice.volume_node


@dataclass(frozen=True)
class Shown:
    """What is seen in the views: what was asked for, the answer, and what it was made with."""

    look: Look
    evidence: SliceEvidence
    chain: Chain


class SlicePreview:
    """Asks for one slice at a time, shows what comes, and asks again when a box was dragged.

    Args:
        chain: what the engine has open.
        seen: told of each evidence that is shown.
        failed: told a sentence if there is none; then nothing is shown.
        clicked: told all points after one was placed, moved or removed.

    Attributes:
        shown: what is seen, None for nothing.
        look: what was asked for last, None for nothing.
    """

    def __init__(
        self,
        link: EngineLink,
        chain: Callable[[], Chain],
        seen: Callable[[SliceEvidence], None],
        failed: Callable[[str], None],
        clicked: Callable[[tuple[Point, ...]], None],
    ) -> None:
        self._link, self._chain, self._seen, self._failed = link, chain, seen, failed
        self._heat, self._live = HeatMap(), LiveMask()
        self._boxes = BoxHandles(self._dragged)
        self._marks = PointMarks(lambda: clicked(self._marks.points()))
        self._number: int | None = None  # of the request at work
        self._waiting: np.ndarray | None = None  # boxes that were dragged meanwhile
        self._opacity = 0.5
        self.shown: Shown | None = None
        self.look: Look | None = None

    @property
    def busy(self) -> bool:
        """Whether an answer is awaited."""
        return self._number is not None

    def ask(self, look: Look, *, keep_boxes: bool = False) -> None:
        """Looks at a slice, in place of whatever was asked for before; that of another row is no longer shown.

        Args:
            keep_boxes: boxes that a person has drawn on this slice stay, and the mask is made from them.
        """
        if self.look is not None and self.look.key != look.key:
            self.clear()
        shown = self.shown
        drawn = shown.evidence.boxes if shown is not None and shown.evidence.edited else None
        same = self.look is not None and self.look.index == look.index
        if self._number is not None:
            self._link.cancel(self._number)
        self._waiting, self.look = None, look
        if keep_boxes and same and drawn is not None:
            self._send(Edit(look.index, look.prompt, drawn, look.region))
        else:
            self._send(Preview(look.index, look.prompt, True, look.region))

    def set_opacity(self, opacity: float) -> None:
        """Of the heat map, 0 to 1."""
        self._opacity = opacity
        self._heat.set_opacity(opacity)

    def place(self, positive: bool) -> None:
        """The next click into a view is a point of the prompt."""
        if self.look is not None:
            self._marks.show(self.look.volume_node, self.look.points)
        self._marks.place(positive)

    def clear(self) -> None:
        """Shows nothing more, and hears nothing more."""
        if self._number is not None:
            self._link.cancel(self._number)
        self._number = self._waiting = self.shown = self.look = None
        self._heat.hide()
        self._boxes.clear()
        self._marks.clear()
        self._live.clear()

    def _send(self, request: Request) -> None:
        self._number = self._link.ask(request, self._heard)

    def _heard(self, answer: Answer) -> None:
        self._number = None
        if isinstance(answer, Failure):
            if not answer.cancelled:
                self.clear()
                self._failed(answer.sentence)
        elif isinstance(answer, SliceEvidence):
            self._show(answer)

    def _show(self, evidence: SliceEvidence) -> None:
        look = self.look
        assert look is not None
        place = (look.volume_node, look.stack, evidence.index)
        self.shown = Shown(look, evidence, self._chain())
        self._live.begin(look.volume_node, look.stack, range(evidence.index, evidence.index + 1), look.colour)
        self._live.draw(evidence.index, evidence.mask)
        self._live.show()
        if self._waiting is not None:  # the user is still dragging: the boxes on the screen are newer
            boxes, self._waiting = self._waiting, None
            self._send(Edit(evidence.index, look.prompt, boxes, look.region))
        else:
            if not evidence.edited:
                self._heat.show(*place, evidence.heat_map(), self._opacity)
                self._boxes.show(*place, evidence.boxes, look.colour)
            self._marks.show(look.volume_node, look.points)
        self._seen(evidence)

    def _dragged(self) -> None:
        look, boxes = self.look, self._boxes.boxes()
        if look is None or self.shown is None:
            return
        if self._number is not None:
            self._waiting = boxes
        else:
            self._send(Edit(look.index, look.prompt, boxes, look.region))
