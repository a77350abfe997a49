"""What the engine is asked and answers: it arrives as it was sent, and the answers are the session's own."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.engine.prompt.prompt import Point, Prompt
from MedCLIPSAMLib.engine.session.evidence import Progress, SegmentEvidence
from MedCLIPSAMLib.engine.session.session import Session
from MedCLIPSAMLib.engine.session.settings import Settings
from MedCLIPSAMLib.engine.volume import Volume, Window
from MedCLIPSAMLib.engine.volume.block import Block
from MedCLIPSAMLib.engine.volume.region import Region
from MedCLIPSAMLib.engine.worker.messages import (
    ANSWERS,
    Cancel,
    Doubt,
    Doubted,
    Drawn,
    Edit,
    Failure,
    Mailbox,
    Open,
    Opened,
    Preview,
    Segment,
)
from MedCLIPSAMLib.engine.worker.process import Reply
from MedCLIPSAMLib.engine.worker.serving import Server

from ..fakes import Card, GreyClip, GreySegmenter

BRIGHT = Prompt("bar", ("bright",))
EVERYWHERE = ((0.001, 0.0, 0.0, 0.0), (0.0, 0.001, 0.0, 0.0), (0.0, 0.0, 0.001, 0.0), (0.0, 0.0, 0.0, 1.0))


def bar() -> Volume:
    array = np.zeros((12, 64, 64), np.int16)
    array[:, 6:58, 6:58] = 80
    array[3:9, 20:40, 16:36] = 200
    return Volume(array, np.diag([-2.0, -2, 3, 1]), "other", "bar")


def same(first: Any, second: Any) -> bool:
    """Equal in all but time, arrays included."""
    if isinstance(first, np.ndarray):
        return np.array_equal(first, second, equal_nan=True) and first.dtype == second.dtype
    if is_dataclass(first):
        names = [field.name for field in fields(first) if field.name != "seconds"]
        return type(first) is type(second) and all(same(getattr(first, n), getattr(second, n)) for n in names)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    return first == second


# Messages


def test_messages_arrive_as_they_were_sent(tmp_path):
    session = Session(bar(), GreyClip(), GreySegmenter())
    pointed = replace(BRIGHT, points=(Point((1.0, 2.0, 3.0), False),), instances=2, contrast=("white",))
    said = [
        Preview(5, pointed, True),
        Edit(5, BRIGHT, np.array([[1.0, 2, 3, 4]])),
        Segment(BRIGHT, 0, 11, Region(EVERYWHERE)),
        Cancel(3),
        Open(np.arange(6, dtype=np.int16).reshape(1, 2, 3), np.eye(4), "CT", "ü", "a", "b", "cpu", Settings()),
        Open(np.zeros(1), np.eye(4), "MR", "v", "a", "b", "cpu", Settings(window=Window(1, 2), layer=3)),
        Opened(12, Window(0, 1), (("clip", "name", "sum"),), {"layer": 7, "window": {"low": 0.0, "high": 1.0}}),
        Drawn(4, np.eye(3, dtype=bool)),
        Doubt(BRIGHT, Block.of(np.eye(6, dtype=bool)[None]), session.segment(BRIGHT).slices, Region(EVERYWHERE)),
        Doubted(Block.of(np.eye(6, dtype=np.uint8)[None]), ((3, 0.5), (2, 0.25))),
        Failure("No.", dead=True),
        Progress("bar", "mask", 1, 2),
        session.preview(5, BRIGHT),
        session.segment(BRIGHT),
    ]
    sender, receiver = Mailbox(tmp_path, "s"), Mailbox(tmp_path, "r")
    for number, message in enumerate(said):
        line = sender.write(number, message)
        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1
        heard_number, heard = receiver.read(line)
        assert heard_number == number
        assert same(heard, message), message
    assert not list(tmp_path.iterdir()), "arrays that were read leave nothing behind"


def test_a_large_array_is_mapped(tmp_path):
    mask = np.zeros((10, 1000, 1000), bool)
    mask[3, 4, 5] = True
    _, heard = Mailbox(tmp_path, "r").read(Mailbox(tmp_path, "s").write(0, Drawn(0, mask)))
    assert isinstance(heard.mask, np.memmap)
    assert np.array_equal(heard.mask, mask)


def test_nothing_but_messages_is_made_of_what_is_read(tmp_path):
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "outside.npy", np.zeros(3))
    mailbox = Mailbox(tmp_path / "in", "r")
    with pytest.raises(KeyError):
        mailbox.read(json.dumps([0, {"type": "Popen", "fields": {}}]).encode())
    with pytest.raises(FileNotFoundError):
        mailbox.read(json.dumps([0, {"npy": "../outside.npy"}]).encode())
    np.save(tmp_path / "in" / "code.npy", np.array([print], object), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle"):
        mailbox.read(json.dumps([0, {"npy": "code.npy"}]).encode())


# The engine's side


class Talk:
    """A server in a thread of this process, with stand-in models; lines go through a real pipe."""

    def __init__(self, folder: Path) -> None:
        reading, writing = os.pipe()
        self.folder, self.stream = folder, os.fdopen(writing, "wb")
        self.mailbox, self.replies, self.read = Mailbox(folder, "request"), [], 0
        self.models, self.loaded = (GreyClip(), GreySegmenter()), []
        self.asked = 0
        server = Server(folder, os.fdopen(reading, "rb"), self.load)
        self.thread = threading.Thread(target=server.run)
        self.thread.start()

    def load(self, *names: str) -> Any:
        self.loaded.append(names)
        if names[0] == "missing":
            raise InputError("There is no such model; choose another.")
        if names[0] == "broken":
            raise ZeroDivisionError
        if names[0] == "huge":
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")
        return self.models

    def ask(self, *requests: Any) -> int:
        """Sends requests in one go; the number of the first."""
        first = self.asked
        self.stream.write(b"".join(self.mailbox.write(first + n, request) for n, request in enumerate(requests)))
        self.stream.flush()
        self.asked += len(requests)
        return first

    def hear(self, number: int) -> list[Any]:
        """All that is said about a request, the last being how it ended."""

        def ended() -> bool:
            self.listen()
            return any(reply.final for reply in self.replies if reply.number == number)

        wait_for(ended)
        return [reply.answer for reply in self.replies if reply.number == number]

    def listen(self) -> None:
        lines = (self.folder / ANSWERS).read_bytes().splitlines(keepends=True)
        whole = [line for line in lines if line.endswith(b"\n")]
        self.replies += [Reply(*self.mailbox.read(line)) for line in whole[self.read :]]
        self.read = len(whole)

    def close(self) -> None:
        self.stream.close()
        self.thread.join(20)
        assert not self.thread.is_alive()


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.01)


@pytest.fixture
def talk(tmp_path) -> Iterator[Talk]:
    talking = Talk(tmp_path)
    yield talking
    talking.close()


def request_to_open(clip: str = "grey") -> Open:
    volume = bar()
    return Open(volume.array, volume.ijk_to_ras, "other", "bar", clip, "grey", "cpu", Settings())


@pytest.mark.row("prompt-negation")
@pytest.mark.row("prompt-mistake")
def test_prompts_are_read_before_the_first_slice(talk):
    negated, mistaken = Prompt("name", ("no liver",)), Prompt("name", ("Leber",))
    first = talk.ask(
        request_to_open(),
        Segment(BRIGHT, 2, 10, later=(BRIGHT, negated)),
        Segment(mistaken, 2, 10),
        Preview(5, negated, False),
        Segment(BRIGHT, 2, 10, later=(Prompt("other", ("white",)),)),
    )
    answers = [talk.hear(first + n)[-1] for n in range(1, 5)]
    assert all(isinstance(answer, Failure) for answer in answers[:3])
    for answer, said in zip(answers, ("'no liver' says", "'Leber' is German", "'no liver' says"), strict=False):
        assert said in answer.sentence
    assert talk.hear(first + 1) == answers[:1], "nothing was done"
    assert isinstance(answers[3], SegmentEvidence)


def test_answers_are_those_of_a_session(talk):
    session = Session(bar(), GreyClip(), GreySegmenter())
    box = np.array([[20.0, 22, 30, 35]])
    first = talk.ask(
        request_to_open(),
        Preview(5, BRIGHT, False),
        Edit(5, BRIGHT, box),
        Segment(BRIGHT, 2, 10),
    )
    (opened,), (seen,), (edited,) = (talk.hear(first + n) for n in range(3))
    assert (opened.slices, opened.window, opened.choices) == (12, session.window, session.choices)
    assert opened.models == (("clip", "grey", "0" * 64), ("segmenter", "grey", "1" * 64))
    assert same(seen, session.preview(5, BRIGHT))
    assert same(edited, session.edit(5, BRIGHT, box))
    assert not same(edited.mask, seen.mask)
    session.forget_edits(BRIGHT)
    *heard, result = talk.hear(first + 3)
    assert same(result, session.segment(BRIGHT, range(2, 11))), "an edit that nobody accepted changes no run"
    steps = [step for step in heard if isinstance(step, Progress)]
    assert steps[-1] == Progress("bar", "mask", 6, 6)
    drawn = {step.index: step.mask for step in heard if isinstance(step, Drawn)}
    assert sorted(drawn) == list(range(3, 9))
    assert all(np.array_equal(mask, result.mask[index][::1, ::1]) for index, mask in drawn.items())


def test_how_sure_the_chain_is_is_what_the_session_says(talk):
    session = Session(bar(), GreyClip(), GreySegmenter())
    made = session.segment(BRIGHT, range(2, 11))
    slices = tuple(replace(part, edited=part.index == 4) for part in made.slices)
    expected = session.uncertainty(BRIGHT, made.mask, slices)
    talk.hear(talk.ask(request_to_open()))
    *steps, said = talk.hear(talk.ask(Doubt(BRIGHT, Block.of(made.mask), slices)))
    assert said.map.array.dtype == np.uint8
    np.testing.assert_allclose(said.map.whole() / 255, expected.map(), atol=0.5 / 255)
    assert said.map.array.max() > 25
    assert dict(said.slices) == expected.slices
    assert [index for index, _ in said.slices] == expected.least_sure(99)
    assert sorted(dict(said.slices)) == [3, 5, 6, 7, 8], "what a person corrected is not doubted"
    assert {step.stage for step in steps} == {"uncertainty"}
    assert steps[-1].done == steps[-1].total
    (empty,) = talk.hear(talk.ask(Doubt(BRIGHT, Block.of(np.zeros_like(made.mask)), slices)))
    assert empty.sentence.startswith("The segment 'bar' is empty")


def test_a_measurement_is_cancelled_while_it_goes(talk, monkeypatch):
    made = Session(bar(), GreyClip(), GreySegmenter()).segment(BRIGHT)
    talk.hear(talk.ask(request_to_open()))
    started, go_on = threading.Event(), threading.Event()
    embed = talk.models[1].embed

    def slowly(rgb: np.ndarray) -> Any:
        started.set()
        assert go_on.wait(20)
        return embed(rgb)

    monkeypatch.setattr(talk.models[1], "embed", slowly)
    doubt = talk.ask(Doubt(BRIGHT, Block.of(made.mask), made.slices))
    assert started.wait(20)
    talk.ask(Cancel(doubt))
    time.sleep(0.1)  # the cancellation is heard by another thread
    go_on.set()
    *_, ended = talk.hear(doubt)
    assert ended.cancelled
    assert talk.hear(talk.ask(Preview(5, BRIGHT, False)))[-1].found


@pytest.mark.row("gpu-lost")
def test_a_run_says_that_a_model_had_to_go_to_the_cpu(talk, monkeypatch):
    model: Any = GreyClip()
    model.device, model.on_cpu = Card(), GreyClip
    talk.models = (model, GreySegmenter())
    request = replace(request_to_open(), settings=Settings(precision="fp32"))
    for gone in (False, True):
        if gone:
            monkeypatch.setattr(model, "look", fail)
        talk.hear(talk.ask(request))
        *steps, result = talk.hear(talk.ask(Segment(BRIGHT, 0, 5)))
        assert {step.moved for step in steps if isinstance(step, Progress)} == {gone}
        assert isinstance(result, SegmentEvidence)


def fail(pixels: Any) -> None:
    raise RuntimeError("CUDA error: unspecified launch failure")


def test_models_stay_while_they_are_the_same(talk):
    for names in ("grey", "grey", "other"):
        talk.hear(talk.ask(request_to_open(names)))
    assert talk.loaded == [("grey", "grey", "cpu"), ("other", "grey", "cpu")]


def test_every_fault_is_told_in_a_sentence_and_ends_nothing(talk):
    (early,) = talk.hear(talk.ask(Preview(0, BRIGHT, False)))
    assert early == Failure("No volume is open; choose one.")
    sentences = {
        "missing": "There is no such model; choose another.",
        "broken": "The engine met an error that it does not know (ZeroDivisionError); see the application's log.",
        "huge": "There is not enough memory for this; close other programs or choose a smaller model.",
    }
    for names, sentence in sentences.items():
        assert talk.hear(talk.ask(request_to_open(names))) == [Failure(sentence)]
    talk.hear(talk.ask(request_to_open()))
    (outside,) = talk.hear(talk.ask(Preview(99, BRIGHT, False)))
    assert outside == Failure("Slice 99 does not exist; choose from 0 to 11.")
    (seen,) = talk.hear(talk.ask(Preview(5, BRIGHT, False)))
    assert seen.found


def test_only_the_newest_preview_is_computed(talk):
    talk.hear(talk.ask(request_to_open()))
    first = talk.ask(*(Preview(index, BRIGHT, False) for index in (3, 4, 5)))
    ends = [talk.hear(first + n)[-1] for n in range(3)]
    assert ends[2].index == 5
    # The first may have been done before the others were heard.
    assert [isinstance(end, Failure) and end.cancelled for end in ends[1:]] == [True, False]


def test_a_cancelled_run_ends_and_the_next_request_is_answered(talk, monkeypatch):
    talk.hear(talk.ask(request_to_open()))
    segmenter = talk.models[1]
    started, go_on = threading.Event(), threading.Event()
    embed = segmenter.embed

    def slowly(rgb: np.ndarray) -> Any:
        started.set()
        assert go_on.wait(20)
        return embed(rgb)

    monkeypatch.setattr(segmenter, "embed", slowly)
    run = talk.ask(Segment(BRIGHT, 0, 11))
    assert started.wait(20)
    waiting = talk.ask(Segment(BRIGHT, 0, 5), Cancel(run), Cancel(run + 1), Preview(5, BRIGHT, False))
    wait_for(lambda: True)
    time.sleep(0.1)  # the cancellation is heard by another thread
    go_on.set()
    *_, ended = talk.hear(run)
    assert ended.cancelled
    assert talk.hear(waiting) == [Failure("The request was cancelled.", cancelled=True)]
    assert talk.hear(waiting + 3)[-1].found
