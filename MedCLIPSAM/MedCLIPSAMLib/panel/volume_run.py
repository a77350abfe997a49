"""A run over the volume: prompt after prompt, seen while it grows, written at the end, or in part if it is stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..engine.errors import MedCLIPSAMError
from ..engine.prompt.prompt import Prompt
from ..engine.session.evidence import Progress, SegmentEvidence
from ..engine.volume.region import Region
from ..engine.worker.messages import Answer, Drawn, Failure, Segment
from ..scene.run import RunProgress
from ..scene.segmentation.results import Chain, Target
from ..scene.views.live_mask import LiveMask
from .link import EngineLink

_LATER = 0.2  # of the time of the first prompt, whose embeddings of the slices the later ones use again
_SHOW_S = 0.25  # between two times that the views draw the growing mask


@dataclass(frozen=True)
class Job:
    """One row of the table in a run: its key, what to look for, and its colour."""

    key: str
    prompt: Prompt
    colour: tuple[float, float, float]


@dataclass(frozen=True)
class Listener:
    """Whom a run tells.

    Attributes:
        before_writing: once, before the first segment changes.
        progressed: progress, and the seconds that are left, None while that is unknown.
        finished: the key of a row, its evidence, and the slices of its segment that a person has accepted.
        ended: the run is over; a sentence if it failed.
    """

    before_writing: Callable[[], None]
    progressed: Callable[[RunProgress, float | None], None]
    finished: Callable[[str, SegmentEvidence, tuple[int, ...]], None]
    ended: Callable[[str | None], None]


class VolumeRun:
    """One press of "Segment volume". After a cancellation `keep_part` or `discard_part` decides what stays.

    Attributes:
        region: nothing was looked for outside of it.
    """

    def __init__(
        self,
        link: EngineLink,
        target: Target,
        jobs: Sequence[Job],
        slices: range,
        region: Region | None,
        chain: Callable[[], Chain],
        listener: Listener,
    ) -> None:
        self._link, self._target, self._jobs, self._listener = link, target, list(jobs), listener
        self._slices, self.region, self._chain = slices, region, chain
        self._made_with: Chain | None = None  # the engine may have another volume open when a part is kept
        self._live = LiveMask()
        self._place = -1  # of the job at work
        self._number: int | None = None  # of the request at work
        self._drawn: list[int] = []
        self._shown = self._started = 0.0
        self._durations: list[float] = []  # seconds of each prompt that is done
        self._has_written = False

    @property
    def running(self) -> bool:
        """Whether an answer is awaited."""
        return self._number is not None

    @property
    def partial(self) -> int:
        """How many slices a cancelled run had drawn of the prompt at work."""
        return 0 if self.running else len(self._drawn)

    def start(self) -> None:
        """Asks for the first prompt; all else follows by itself."""
        self._next()

    def cancel(self) -> None:
        """Ends at once as seen from the window; the engine leaves off after the slice it is at."""
        if self._number is not None:
            self._link.cancel(self._number)
            self._number = None
            self._live.show()

    def keep_part(self) -> None:
        """Writes what was drawn of the prompt at work when the run was cancelled.

        Raises:
            InputError: as of `Target.write`; the part can still be kept or discarded then.
        """
        job, drawn, chain = self._jobs[self._place], sorted(self._drawn), self._made_with
        if not drawn or chain is None:
            return
        self._before_writing()
        kept = self._target.edited(job.prompt.name, chain)
        self._target.write_part(job.prompt, self._live.mask, drawn, chain, kept, job.colour)
        self.discard_part()

    def discard_part(self) -> None:
        """Forgets what was drawn and not written."""
        self._live.clear()
        self._drawn = []

    def stop(self) -> None:
        """Ends without a word and without a trace, as when the scene is closed."""
        self.cancel()
        self.discard_part()

    @property
    def job(self) -> Job:
        """The prompt at work, or the last one."""
        return self._jobs[self._place]

    def _next(self) -> None:
        self.discard_part()
        self._place += 1
        if self._place == len(self._jobs):
            self._place -= 1
            self._number = None
            self._listener.ended(None)
            return
        self._started = time.monotonic()
        job = self._jobs[self._place]
        later = tuple(other.prompt for other in self._jobs[self._place + 1 :])
        request = Segment(job.prompt, self._slices.start, self._slices.stop - 1, self.region, later)
        self._live.begin(self._target.volume_node, self._target.stack, self._slices, job.colour)
        self._number = self._link.ask(request, self._heard)

    def _heard(self, answer: Answer) -> None:
        if not isinstance(answer, Failure):
            self._made_with = self._made_with or self._chain()
        match answer:
            case Progress():
                progress = RunProgress(self._place + 1, len(self._jobs), answer)
                self._listener.progressed(progress, self._seconds_left(progress.in_prompt))
            case Drawn(index, mask):
                self._draw(index, mask)
            case SegmentEvidence():
                self._write(answer)
            case Failure(sentence):
                self._fail(sentence)

    def _draw(self, index: int, mask: np.ndarray) -> None:
        self._live.draw(index, mask)
        self._drawn.append(index)
        if time.monotonic() - self._shown > _SHOW_S:
            self._shown = time.monotonic()
            self._live.show()

    def _write(self, evidence: SegmentEvidence) -> None:
        job, chain = self._jobs[self._place], self._made_with or self._chain()
        try:
            self._before_writing()
            kept = self._target.edited(job.prompt.name, chain)
            self._target.write_run(job.prompt, evidence, chain, kept, job.colour)
        except MedCLIPSAMError as error:
            self._fail(str(error))
            return
        self._durations.append(time.monotonic() - self._started)
        self._listener.finished(job.key, evidence, kept)
        self._next()

    def _fail(self, sentence: str) -> None:
        self._number = None
        self.discard_part()
        self._listener.ended(sentence)

    def _before_writing(self) -> None:
        self._target.check()
        if not self._has_written:
            self._has_written = True
            self._listener.before_writing()

    def _seconds_left(self, in_prompt: float) -> float | None:
        """Of the prompt at work as it goes, and of each after it as long as those after the first have taken."""
        if in_prompt <= 0.02:
            return None
        spent = time.monotonic() - self._started
        whole = spent / in_prompt
        first, *later = [*self._durations, whole]
        each = sum(later) / len(later) if later else _LATER * first
        return whole - spent + each * (len(self._jobs) - 1 - self._place)
