"""Two looks: the second answers what the first does not know, is computed once, and goes with one segmenter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from MedCLIPSAMLib.engine.clip.base import Recommendation
from MedCLIPSAMLib.engine.clip.vocabulary import Vocabulary
from MedCLIPSAMLib.engine.errors import Cancelled, InputError
from MedCLIPSAMLib.engine.prompt.prompt import Point, Prompt

from ..bars import BRIGHT, dice, session
from ..fakes import GreyClip, GreySegmenter


class Second:
    """Knows "lamp" by that name only, and sees there what `GreyClip` calls bright, on 32 x 32 cells.

    Args:
        blind: sees nothing; agrees: sees the bright too; unsure: no cell is likelier than 0.7.
    """

    name = "second"
    checksum = "3" * 64
    segmenter = GreySegmenter.checksum
    dense_grid, picture_size = 32, 64
    answers: Mapping[str, frozenset[str]] = {"lamp": frozenset({"other"})}  # what `two_bars` is
    confirms: frozenset[str] = frozenset()
    device = torch.device("cpu")
    on_cpu: Any = None

    def __init__(self, blind: bool = False, agrees: bool = False, unsure: bool = False) -> None:
        self.looked, self._blind, self._agrees, self._unsure = 0, blind, agrees, unsure
        parts = {text: frozenset({text}) for text in ("lamp", "bright")}
        self.vocabulary = Vocabulary(parts, self.encode_text(list(parts)))

    def encode_text(self, texts: Sequence[str]) -> torch.Tensor:
        return F.one_hot(torch.tensor([{"lamp": 0, "bright": 1}.get(text, 2) for text in texts]), 3).float()

    def look(self, features: torch.Tensor, pictures: np.ndarray) -> list[dict[str, torch.Tensor]]:
        assert features.shape[0] == len(pictures)
        assert pictures.shape[1:] == (64, 64)
        self.looked += len(pictures)
        grey = F.avg_pool2d(torch.from_numpy(pictures)[:, None].float(), 2)[:, 0]
        bright = ((grey > 140) & (grey <= 230)).float() * (not self._blind)
        cells = torch.stack([bright, bright * self._agrees, 1 - bright], 1)
        there = (bright.flatten(1).sum(1) > 12).float()
        pictures_seen = torch.stack([there, there * self._agrees, 0.01 + 0 * there], 1)
        return [{"cells": each, "picture": seen} for each, seen in zip(cells, pictures_seen, strict=True)]

    def features(self, kept: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        return kept["picture"], kept["cells"].flatten(1).T

    def dense_logits(self, cosine: torch.Tensor) -> torch.Tensor:
        return 20 * cosine - (20.2 if self._unsure else 10)

    presence_logits = dense_logits


class TwiceClip(GreyClip):
    """Knows "bright" and "white"; its second look knows a lamp."""

    recommended = Recommendation("two-looks", 0, 0.1)

    def __init__(self, second: Second) -> None:
        super().__init__()
        self.second = second

    def second_look(self) -> Second:
        return self.second


LAMP = Prompt("lamp", ("lamp",))


def test_what_the_first_look_does_not_know_the_second_answers(scene: Any) -> None:
    volume, left, right = scene
    second, segmenter = Second(), GreySegmenter()
    clip = TwiceClip(second)
    made = session(volume, clip, segmenter)
    evidence = made.segment(LAMP)
    assert dice(evidence.mask, left | right) > 0.9
    assert [part.index for part in evidence.slices if part.found] == list(range(5, 15))
    assert second.looked == segmenter.embedded == len(evidence.slices)
    assert not clip.looked, "once is enough"
    assert (evidence.saliency_method, evidence.taken_for) == ("two-looks", "lamp")
    assert "second look" in evidence.seconds
    assert made.models[2] == ("second look", "second", "3" * 64)
    assert made.vocabulary == ("bright", "white", "lamp")
    made.segment(Prompt("again", LAMP.wordings))
    assert second.looked == len(evidence.slices), "what was seen is kept, whatever the prompt's name"


def test_what_the_first_look_knows_it_answers_at_no_further_cost(scene: Any) -> None:
    volume, left, right = scene
    second, segmenter = Second(), GreySegmenter()
    evidence = session(volume, TwiceClip(second), segmenter).segment(BRIGHT)
    assert dice(evidence.mask, left | right) > 0.9
    assert evidence.taken_for == "bright"
    assert not second.looked
    assert segmenter.embedded == 10


class Better(Second):
    """Asked for the bright, too, in volumes of one modality."""

    def __init__(self, modality: str, agrees: bool = True) -> None:
        super().__init__(agrees=agrees)
        self.answers = {"bright": frozenset({modality})}


class Unsure(TwiceClip):
    """Sees the bright, but is not sure anywhere."""

    def presence_logits(self, cosine: torch.Tensor) -> torch.Tensor:
        return self.dense_logits(cosine).clamp(max=-0.8)  # with the cells 0.56


@pytest.mark.parametrize(
    ("clip", "second", "looked"),
    [(Unsure, Better("other"), 20), (Unsure, Better("CT"), 0), (TwiceClip, Better("other"), 0)],
)
def test_where_the_first_is_not_sure_the_one_answers_that_does_better(
    scene: Any, clip: type[TwiceClip], second: Better, looked: int
) -> None:
    volume, left, right = scene
    made = session(volume, clip(second))
    evidence = made.segment(BRIGHT)
    assert dice(evidence.mask, left | right) > 0.9
    assert second.looked == looked
    assert made.vocabulary == ("bright", "white")
    heat, seen = made.heat_map(9, BRIGHT), made.preview(9, BRIGHT)
    assert heat is not None
    assert seen.found
    assert np.allclose(heat, seen.heat_map(), atol=2e-3)


def test_where_the_second_sees_nothing_on_a_few_slices_it_looks_at_no_more(scene: Any) -> None:
    second = Better("other", agrees=False)
    evidence = session(scene[0], Unsure(second)).segment(BRIGHT)
    assert evidence.found, "it is no confirmation"
    assert second.looked == 5


class Confirming(Second):
    confirms = frozenset({"bright"})


def test_where_the_second_look_sees_it_too_one_slice_is_enough(scene: Any) -> None:
    volume, left, right = scene
    second, segmenter = Confirming(agrees=True), GreySegmenter()
    evidence = session(volume, TwiceClip(second), segmenter).segment(BRIGHT)
    assert dice(evidence.mask, left | right) > 0.9
    assert (second.looked, segmenter.embedded) == (1, 10)
    assert "second look" in evidence.seconds
    assert all("second look" not in part.clues for part in evidence.slices)


def test_what_the_second_look_does_not_see_is_not_found(scene: Any) -> None:
    second, segmenter = Confirming(), GreySegmenter()
    made = session(scene[0], TwiceClip(second), segmenter)
    evidence = made.segment(BRIGHT)
    assert not evidence.found
    assert (second.looked, segmenter.embedded) == (3, 3), "no more than three slices of a stretch are asked"
    doubted = [part for part in evidence.slices if "second look" in part.clues]
    assert [part.index for part in doubted] == list(range(5, 15))
    assert all(part.score == part.clues["second look"] < 0.1 < part.clues["presence"] for part in doubted)
    seen = made.preview(9, BRIGHT)
    assert (seen.found, seen.score) == (False, seen.clues["second look"])


def test_nothing_is_confirmed_where_nothing_was_found_or_a_person_pointed(scene: Any) -> None:
    second = Confirming()
    made = session(scene[0], TwiceClip(second))
    assert not made.segment(Prompt("white", ("white",))).found
    assert not second.looked
    (ras,) = made.stack.slice_to_ras(np.array([[9.0, 24.0, 24.0]]))
    pointed = Prompt("bright", ("bright",), points=(Point((float(ras[0]), float(ras[1]), float(ras[2]))),))
    assert made.segment(pointed).found
    assert made.preview(9, pointed).found
    assert not second.looked


def test_what_neither_look_was_taught_costs_no_second_one(scene: Any) -> None:
    second = Second()
    evidence = session(scene[0], TwiceClip(second)).segment(Prompt("other", ("other",)))
    assert evidence.taken_for == ""
    assert not second.looked


def test_the_second_look_decides_that_nothing_is_there(scene: Any) -> None:
    evidence = session(scene[0], TwiceClip(Second(blind=True))).segment(LAMP)
    assert not evidence.found
    assert max(part.score for part in evidence.slices) < 0.1


def test_where_the_second_look_is_unsure_its_map_is_as_bright_as_where_it_is_sure(scene: Any) -> None:
    sure, unsure = (session(scene[0], TwiceClip(Second(unsure=each))).preview(9, LAMP) for each in (False, True))
    assert unsure.found
    assert unsure.score < sure.score
    assert unsure.heat_map().max() == pytest.approx(0.9, abs=0.02)
    assert ((unsure.heat_map() > 0.45) == (sure.heat_map() > 0.5)).mean() > 0.98


def test_a_preview_and_the_heat_map_of_a_run_show_the_second_look(scene: Any) -> None:
    blind = session(scene[0], TwiceClip(Second(blind=True)))
    assert blind.preview(9, LAMP).saliency.max() < 0.05
    made = session(scene[0], TwiceClip(Second()))
    seen = made.preview(9, LAMP)
    assert (seen.found, seen.taken_for) == (True, "lamp")
    heat = made.heat_map(9, LAMP)
    assert heat is not None
    assert np.allclose(heat, seen.heat_map(), atol=2e-3)
    assert made.heat_map(0, LAMP) is None, "where nobody looked"
    assert made.preview(9, BRIGHT).found
    assert made.heat_map(9, BRIGHT) is not None


def test_another_segmenter_gets_the_first_look_alone(scene: Any) -> None:
    class Other(GreySegmenter):
        checksum = "2" * 64

    second = Second()
    made = session(scene[0], TwiceClip(second), Other())
    assert (made.choices["saliency"], made.vocabulary) == ("dense", ("bright", "white"))
    assert made.segment(BRIGHT).found
    assert made.segment(LAMP).taken_for == ""
    assert not second.looked
    with pytest.raises(InputError, match="no second look for the segmenter grey"):
        session(scene[0], TwiceClip(second), Other(), saliency="two-looks")
    with pytest.raises(InputError, match="no second look"):
        session(scene[0], GreyClip(), saliency="two-looks")


def test_a_run_is_cancelled_between_two_second_looks(scene: Any) -> None:
    second = Second()
    made = session(scene[0], TwiceClip(second))
    with pytest.raises(Cancelled):
        made.segment(LAMP, cancelled=lambda: second.looked > 2)
    assert second.looked <= 4


def test_progress_tells_of_the_second_look(scene: Any) -> None:
    told: list[Any] = []
    session(scene[0], TwiceClip(Second())).segment(LAMP, progress=told.append)
    assert list(dict.fromkeys(progress.stage for progress in told)) == ["second look", "mask"]
