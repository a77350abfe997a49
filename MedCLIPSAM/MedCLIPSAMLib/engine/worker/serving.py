"""The engine's side: one session at a time, requests in their order, cancelled ones dropped."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..clip.base import ImageTextModel
from ..errors import Cancelled, InputError, MedCLIPSAMError
from ..machine.device import ran_out
from ..models.importing import import_model
from ..models.store import Store
from ..prompt.advice import check_meanings, check_texts
from ..prompt.prompt import Prompt
from ..sam.base import PromptableSegmenter
from ..session.evidence import Progress, SegmentEvidence
from ..session.run import ReportProgress
from ..session.session import Session
from ..volume import Volume
from ..volume.block import Block
from .messages import (
    ANSWERS,
    Answer,
    Cancel,
    Doubt,
    Doubted,
    Download,
    Drawn,
    Edit,
    Failure,
    Import,
    Mailbox,
    Open,
    Opened,
    Preview,
    Segment,
    Stored,
)

_NO_MEMORY = "There is not enough memory for this; close other programs or choose a smaller model."
_log = logging.getLogger(__name__)

LoadModels = Callable[[str, str, str], tuple[ImageTextModel, PromptableSegmenter]]


class Server:
    """Answers requests until there are no more.

    Args:
        folder: shared with the window.
        requests: lines of `Mailbox.write`, read in a thread of its own, so that a cancellation is heard at once.
        load: both models from the names of clip, segmenter and device.
    """

    def __init__(self, folder: Path, requests: BinaryIO, load: LoadModels) -> None:
        self._requests = requests
        self._load = load
        self._mailbox = Mailbox(folder, "answer")
        self._answers = (folder / ANSWERS).open("ab", buffering=0)
        self._waiting: queue.SimpleQueue[tuple[int, Any] | None] = queue.SimpleQueue()
        self._unwanted: set[int] = set()
        self._newest_preview: int | None = None
        self._alone = False  # nobody listens any more
        self._loaded: tuple[tuple[str, str, str], tuple[ImageTextModel, PromptableSegmenter]] | None = None
        self._session: Session | None = None
        self._devices: tuple[str, str] | None = None  # when the session was opened
        self._checked: set[Prompt] = set()  # whose texts the session's model can read

    def run(self) -> None:
        """Until the requests end, as they do when the window is gone."""
        threading.Thread(target=self._listen, daemon=True).start()
        with self._answers:
            while (waiting := self._waiting.get()) is not None:
                number, request = waiting
                self._say(number, self._answer(number, request))

    def _listen(self) -> None:
        try:
            for line in self._requests:
                number, request = self._mailbox.read(line)
                if isinstance(request, Cancel):
                    self._unwanted.add(request.number)
                    continue
                if isinstance(request, Preview):
                    if self._newest_preview is not None:
                        self._unwanted.add(self._newest_preview)
                    self._newest_preview = number
                self._waiting.put((number, request))
        finally:
            self._alone = True
            self._waiting.put(None)

    def _say(self, number: int, answer: Answer) -> None:
        self._answers.write(self._mailbox.write(number, answer))

    def _answer(self, number: int, request: Any) -> Answer:
        def unwanted() -> bool:
            return self._alone or number in self._unwanted

        try:
            if unwanted():
                raise Cancelled("The request was cancelled.")
            match request:
                case Open():
                    return self._open(request)
                case Import(path):
                    return Stored(import_model(Path(path), Store()).name)
                case Download(name):
                    return self._download(number, name, unwanted)
            session = self._opened()
            session.limit(request.region)
            match request:
                case Preview(index, prompt, quick):
                    self._check(session, (prompt,))
                    return session.preview(index, prompt, unwanted, quick=quick)
                case Edit(index, prompt, boxes):
                    return session.edit(index, prompt, boxes)
                case Doubt():
                    return self._doubt(session, number, request, unwanted)
                case _:
                    return self._segment(session, number, request, unwanted)
        except Cancelled as error:
            return Failure(str(error), cancelled=True)
        except MedCLIPSAMError as error:
            return Failure(str(error))
        except Exception as error:
            _log.exception("Request %d failed", number)
            if ran_out(error):
                return Failure(_NO_MEMORY)
            return Failure(
                f"The engine met an error that it does not know ({type(error).__name__}); see the application's log."
            )

    def _opened(self) -> Session:
        if self._session is None:
            raise InputError("No volume is open; choose one.")
        return self._session

    def _open(self, request: Open) -> Opened:
        if self._session is not None and self._loaded is not None:  # they may have had to go to the CPU
            self._loaded = self._loaded[0], (self._session.clip, self._session.segmenter)
        self._session = None
        names = (request.clip, request.segmenter, request.device)
        if self._loaded is None or self._loaded[0] != names:
            self._loaded = None  # so that there never are two sets in memory
            self._loaded = names, self._load(*names)
        volume = Volume(request.array, request.ijk_to_ras, request.modality, request.name)
        session = self._session = Session(volume, *self._loaded[1], request.settings)
        self._devices, self._checked = _devices(session), set()
        return Opened(len(session.stack), session.window, session.models, session.choices)

    def _check(self, session: Session, prompts: tuple[Prompt, ...]) -> None:
        """Raises InputError for prompts that must be worded differently."""
        new = [prompt for prompt in prompts if prompt not in self._checked]
        if new:
            check_texts(new, session.vocabulary)
            check_meanings(new, session.clip)
            self._checked.update(new)

    def _download(self, number: int, name: str, unwanted: Callable[[], bool]) -> Stored:
        from ..models.download import download_model

        def progress(here: int, total: int) -> None:
            self._say(number, Progress(name, "download", here, total))

        return Stored(download_model(name, Store(), progress, unwanted).name)

    def _segment(
        self, session: Session, number: int, request: Segment, unwanted: Callable[[], bool]
    ) -> SegmentEvidence:
        self._check(session, (request.prompt, *request.later))
        session.forget_edits(request.prompt)
        return session.segment(
            request.prompt,
            range(request.first, request.last + 1),
            self._reporter(session, number),
            unwanted,
            lambda index, mask: self._say(number, Drawn(index, mask)),
        )

    def _doubt(self, session: Session, number: int, request: Doubt, unwanted: Callable[[], bool]) -> Doubted:
        progress = self._reporter(session, number)
        result = session.uncertainty(request.prompt, request.mask.whole(), request.slices, progress, unwanted)
        order = result.least_sure(len(result.slices))
        # For the eye 255 steps are enough, and without faint traces far away there is less to send.
        bits = Block.of(np.rint(255 * result.map()).astype(np.uint8))
        return Doubted(bits, tuple((index, result.slices[index]) for index in order))

    def _reporter(self, session: Session, number: int) -> ReportProgress:
        return lambda progress: self._say(number, replace(progress, moved=self._devices != _devices(session)))


def _devices(session: Session) -> tuple[str, str]:
    return session.clip.device.type, session.segmenter.device.type
