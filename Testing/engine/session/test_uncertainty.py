"""Uncertainty of a segment: where its map lies, what it costs, and that it is the same each time."""

from __future__ import annotations

import gc
import weakref
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from MedCLIPSAMLib.engine.errors import Cancelled, InputError
from MedCLIPSAMLib.engine.prompt.prompt import Point, Prompt
from MedCLIPSAMLib.engine.session import doubting
from MedCLIPSAMLib.engine.session.session import Session
from MedCLIPSAMLib.engine.uncertainty.doubt import Uncertainty
from MedCLIPSAMLib.engine.uncertainty.spread import Spread
from MedCLIPSAMLib.engine.volume import Volume

from ..bars import BRIGHT, ras, session
from ..fakes import BlindClip, GreyClip, GreySegmenter
from ..storing import ORDERS, stored

TWO = Prompt("bright", ("bright", "bright indeed"))


class SoftSegmenter(GreySegmenter):
    """Half sure of the rim of what it draws, as real ones are; counts what it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = self.decoded = 0

    def decode(self, *args: Any, **named: Any) -> Any:
        made = super().decode(*args, **named)
        self.calls += 1
        self.decoded += len(made.masks)
        masks = torch.from_numpy(made.masks)
        made.masks = torch.nn.functional.avg_pool2d(masks, 5, 1, 2).numpy()
        return made


class WordyClip(GreyClip):
    """Takes more words for "bright"."""

    words = ("bright", "bright indeed", "very bright")

    def encode_text(self, texts: Any) -> Any:
        return super().encode_text(["bright" if text in self.words else text for text in texts])


def doubt(made: Session, prompt: Prompt = BRIGHT, slices: Any = None, **options: Any) -> tuple[Any, Uncertainty]:
    evidence = made.segment(prompt, slices)
    return evidence, made.uncertainty(prompt, evidence.mask, evidence.slices, **options)


def test_it_is_on_the_rim_of_the_segment_and_nowhere_else(scene: Any) -> None:
    volume, left, right = scene
    evidence, unsure = doubt(session(volume, segmenter=SoftSegmenter()))
    bits = unsure.map()
    assert bits.shape == volume.array.shape
    assert bits.dtype == np.float32
    assert (bits.min(), bits.max()) == (0, pytest.approx(1, abs=0.05))
    truth = left | right
    assert set(np.flatnonzero(bits.any((1, 2)))) == set(range(5, 15)) == set(unsure.slices)
    inner = truth[10] & ~bits[10].astype(bool)
    assert inner.sum() > 300, "the middle of the bars is certain"
    assert np.array_equal(unsure.probability > 0.5, evidence.mask) or (
        np.count_nonzero((unsure.probability > 0.5) != evidence.mask) < 0.06 * evidence.mask.sum()
    )
    assert all(0 < value < 0.5 for value in unsure.slices.values())
    assert unsure.masks == 3, "as it was asked, and twice with shaken boxes"


@pytest.mark.parametrize("order", ORDERS[5::17])
def test_it_lies_where_the_segment_lies_whatever_the_order_of_voxels(scene: Any, order: np.ndarray) -> None:
    volume = scene[0]
    to_ras = np.diag([2.0, 2, 3, 1])
    turned = np.array([[0.8, -0.6, 0, 5], [0.6, 0.8, 0, -7], [0, 0, 1, 2], [0, 0, 0, 1.0]])
    array, matrix = stored(volume.array.T[::-1, ::-1], order, to_ras)
    oblique = Volume(array, turned @ matrix, "other")
    _, unsure = doubt(session(oblique, segmenter=SoftSegmenter()))
    plain, _ = stored(volume.array.T[::-1, ::-1], np.eye(3), to_ras)
    _, expected = doubt(session(Volume(plain, to_ras, "other"), segmenter=SoftSegmenter()))
    moved, _ = stored(expected.map().T, order, to_ras)
    # Slices may be counted from the other end, and then their boxes are shaken in another way.
    assert np.abs(unsure.map() - moved).mean() < 0.4 * moved.mean()


def test_it_is_the_same_each_time_and_for_each_slice_by_itself(scene: Any) -> None:
    _, first = doubt(session(scene[0], segmenter=SoftSegmenter()))
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if threads > 1 else 2)
    try:
        _, again = doubt(session(scene[0], segmenter=SoftSegmenter()))
    finally:
        torch.set_num_threads(threads)
    assert np.array_equal(first.probability, again.probability)
    _, part = doubt(session(scene[0], segmenter=SoftSegmenter()), slices=range(8, 12))
    assert set(part.slices) == {8, 9, 10, 11}
    # Boxes are steadied over their neighbours, of which the outer slices have one less.
    assert np.array_equal(part.probability[9:11], first.probability[9:11])
    assert not part.probability[:8].any()
    assert not part.probability[12:].any()


def test_what_it_costs(scene: Any) -> None:
    clip, segmenter = WordyClip(), SoftSegmenter()
    made = session(scene[0], clip, segmenter)
    evidence = made.segment(TWO)
    embedded, looked, calls, decoded = segmenter.embedded, clip.looked, segmenter.calls, segmenter.decoded
    unsure = made.uncertainty(TWO, evidence.mask, evidence.slices, spread=Spread(2, 1, 2))
    assert unsure.wordings == ("bright", "bright indeed")
    assert segmenter.embedded == embedded, "no slice is embedded again"
    assert clip.looked == looked, "nor looked at again: only texts are new"
    assert segmenter.calls - calls == 10 * 3, "a call for each wording on the ten slices with the bars"
    assert segmenter.decoded - decoded == 10 * (3 + 1 + 1) * 2, "each of both bars: shaken twice, and two wordings"


def test_another_wording_counts_only_if_it_means_the_same(scene: Any) -> None:
    made = session(scene[0], WordyClip(), SoftSegmenter())
    _, unsure = doubt(made, Prompt("bright", ("bright", "nonsense", "very bright")), spread=Spread(3, 0, 0))
    assert unsure.wordings == ("bright", "very bright")


def test_what_a_wording_does_not_find_is_less_sure(scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is held to mean the same, and sees nothing."""

    class Misled(WordyClip):
        def __init__(self) -> None:
            super().__init__()
            known = self.vocabulary
            self.vocabulary = SimpleNamespace(terms=known.terms, rivals=known.rivals, meaning=lambda _: "bright")

        def encode_text(self, texts: Any) -> Any:
            return super().encode_text(["white" if text == "very bright" else text for text in texts])

    made = session(scene[0], Misled(), SoftSegmenter())
    _, alone = doubt(made)
    monkeypatch.setattr(doubting, "other_wordings", lambda *_: iter(["very bright"]))
    _, both = doubt(made)
    assert both.slices[10] > alone.slices[10] + 0.03
    assert alone.probability.max() == 1
    assert both.probability.max() == pytest.approx(3 / 4), "one of four draws nothing"


def test_seeds_count_where_the_method_draws_random_numbers(scene: Any) -> None:
    clip = BlindClip()
    made = session(scene[0], clip, SoftSegmenter())
    evidence = made.segment(BRIGHT, range(8, 12))
    steps = clip.bottlenecks
    unsure = made.uncertainty(BRIGHT, evidence.mask, evidence.slices)
    assert (unsure.seeds, unsure.wordings) == (1, ())
    assert clip.bottlenecks - steps <= 2 * steps, "at most twice the time of the run"
    again = clip.bottlenecks
    assert np.array_equal(made.uncertainty(BRIGHT, evidence.mask, evidence.slices).probability, unsure.probability)
    assert clip.bottlenecks == again, "what another seed saw is kept"
    assert doubt(session(scene[0], segmenter=SoftSegmenter()))[1].seeds == 0


def test_proposals_of_the_segmenter_count_if_asked_for(scene: Any) -> None:
    _, unsure = doubt(session(scene[0], segmenter=SoftSegmenter()), spread=Spread(0, 0, 0, proposals=True))
    assert unsure.masks == 4
    assert unsure.probability.max() == pytest.approx(1)


def test_cancelling_and_progress(scene: Any) -> None:
    made = session(scene[0], WordyClip(), SoftSegmenter())
    evidence = made.segment(TWO)
    steps: list[Any] = []
    made.uncertainty(TWO, evidence.mask, evidence.slices, steps.append)
    assert {step.stage for step in steps} == {"uncertainty"}
    done = [step.done for step in steps]
    assert done == sorted(set(done))
    assert done[-1] == steps[-1].total
    with pytest.raises(Cancelled):
        made.uncertainty(TWO, evidence.mask, evidence.slices, cancelled=lambda: True)
    asked: list[int] = []
    with pytest.raises(Cancelled):
        made.uncertainty(TWO, evidence.mask, evidence.slices, cancelled=lambda: asked.append(0) or len(asked) > 12)


def test_an_empty_segment_has_none(scene: Any) -> None:
    made = session(scene[0])
    evidence = made.segment(Prompt("white", ("white",)))
    with pytest.raises(InputError, match="'white' is empty"):
        made.uncertainty(Prompt("white", ("white",)), evidence.mask, evidence.slices)


def test_a_picture(scene: Any) -> None:
    volume = scene[0]
    picture = Volume(volume.array[10:11].astype(np.uint8), np.diag([-1.0, -1, 1, 1]), "other")
    _, unsure = doubt(session(picture, segmenter=SoftSegmenter()))
    assert list(unsure.slices) == [0]
    assert unsure.map()[0].any()


def test_what_a_person_corrected_is_not_doubted(scene: Any) -> None:
    made = session(scene[0], segmenter=SoftSegmenter())
    made.edit(10, BRIGHT, np.array([[20.0, 30, 40, 60]]))
    evidence, unsure = doubt(made)
    assert evidence.slices[10].edited
    assert 10 not in unsure.slices
    assert not unsure.map()[10].any()
    assert np.array_equal(unsure.probability[10] > 0.5, evidence.mask[10])


def test_a_side_that_was_not_meant_stays_out(scene: Any) -> None:
    volume, left, right = scene
    one = Prompt("bright", ("bright",), points=(Point(ras(volume, (10, 45, 30))),))
    _, unsure = doubt(session(volume, segmenter=SoftSegmenter()), one)
    assert unsure.map()[right].max() == 0
    assert unsure.probability[left].min() > 0.2


def test_a_click_outside_of_what_the_text_finds(scene: Any) -> None:
    volume = scene[0]
    clicked = Prompt("bright", ("bright",), points=(Point(ras(volume, (2, 45, 30))),))
    evidence, unsure = doubt(session(volume, segmenter=SoftSegmenter()), clicked)
    assert evidence.mask[2].any()
    assert 2 in unsure.slices
    assert (unsure.probability[2] > 0.5).any()


def test_a_session_goes_with_its_user(scene: Any) -> None:
    made = session(scene[0], BlindClip(), SoftSegmenter())
    doubt(made, slices=range(9, 11))
    gone = weakref.ref(made)
    gc.disable()  # nothing but the last name for it may be needed
    try:
        del made
        assert gone() is None
    finally:
        gc.enable()


def test_as_published_every_slice_has_a_number(scene: Any) -> None:
    _, unsure = doubt(session(scene[0], segmenter=SoftSegmenter(), slicewise=True, localize="threshold"))
    assert set(unsure.slices) >= set(range(5, 15))
