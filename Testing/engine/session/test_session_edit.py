"""A session on one slice: previews, and what a person changes on them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.engine.prompt.prompt import Prompt

from ..bars import BRIGHT, dice, session
from ..fakes import BlindClip, GreySegmenter


def test_the_heat_map_is_for_the_eye_whatever_the_unit_of_the_saliency(scene):
    seen = session(scene[0]).preview(10, BRIGHT)
    other = replace(seen, saliency=40 * seen.saliency - 7, absolute=False)
    assert (other.heat_map().min(), other.heat_map().max()) == (0, 1)
    assert np.corrcoef(seen.heat_map().ravel(), other.heat_map().ravel())[0, 1] > 0.99
    flat = replace(other, saliency=np.full_like(seen.saliency, 5))
    assert not flat.heat_map().any()


class TimidSegmenter(GreySegmenter):
    """Draws the lower half of what is in a box, and is not sure of it."""

    def decode(self, embedding: Any, boxes: Any = None, *others: Any, **named: Any) -> Any:
        drawn = super().decode(embedding, boxes, *others, **named)
        rows = np.arange(drawn.masks.shape[2])[None, None, :, None]
        middle = (boxes[:, 1] + boxes[:, 3])[:, None, None, None] / 2
        drawn.masks *= np.asarray(rows > np.asarray(middle))
        drawn.scores[:] = 0.2
        return drawn


def test_in_a_drawn_box_the_saliency_counts_if_it_fills_it(scene):
    volume, left, _ = scene
    chain = session(volume, segmenter=TimidSegmenter())
    box = np.array([[20, 30, 39, 59]])
    assert dice(chain.edit(10, BRIGHT, boxes=box).mask, left[10]) > 0.95
    other = chain.edit(10, Prompt("mid", ("mid",)), boxes=box).mask
    assert 0.5 < dice(other, left[10]) < 0.8, "the person knows better than a saliency that is elsewhere"


def test_preview_and_edit(scene):
    volume, left, right = scene
    segmenter = GreySegmenter()
    chain = session(volume, segmenter=segmenter)
    seen = chain.preview(10, BRIGHT)
    assert seen.found
    assert dice(seen.mask, (left | right)[10]) > 0.95
    assert seen.heat_map().shape == (96, 96)
    assert seen.heat_map()[left[10]].mean() > 0.9 > seen.heat_map()[~(left | right)[10]].mean()
    embedded = segmenter.embedded
    edited = chain.edit(10, BRIGHT, boxes=np.array([[20, 30, 39, 59]]))
    assert segmenter.embedded == embedded, "a changed box needs no new embedding"
    assert dice(edited.mask, left[10]) > 0.95
    evidence = chain.segment(BRIGHT)
    assert np.array_equal(evidence.mask[10], edited.mask), "a correction survives a run over the volume"
    assert [part.index for part in evidence.slices if part.edited] == [10]
    chain.forget_edits(BRIGHT)
    assert dice(chain.segment(BRIGHT).mask[10], (left | right)[10]) > 0.95


def test_edit_by_clicks_and_its_errors(scene):
    chain = session(scene[0])
    wiped = chain.edit(10, BRIGHT, points=[(30, 45, False)])
    assert not wiped.mask[45, 30]
    with pytest.raises(InputError, match="area"):
        chain.edit(10, BRIGHT, boxes=np.array([[20, 30, 20, 50]]))


def test_an_edit_starts_from_the_preview_and_is_found_whatever_the_case_of_the_name(scene):
    volume, _left, _right = scene
    chain = session(volume)
    seen = chain.preview(9, BRIGHT)
    assert (chain.edit(9, BRIGHT).mask == seen.mask).all()
    agreeing = chain.edit(9, BRIGHT, points=[(30, 45, True)])
    assert (agreeing.mask == seen.mask).all(), "a click on a right result changes nothing"
    more = chain.edit(9, BRIGHT, points=[(48, 75, True)])
    assert more.mask[75, 48]
    assert (chain.edit(9, BRIGHT).mask == seen.mask).all(), "an edit replaces the one before it"
    chain.edit(9, BRIGHT, points=[(48, 75, True)])
    evidence = chain.segment(Prompt("Bright", ("bright",)))
    assert (evidence.mask[9] == more.mask).all()


def test_a_quick_preview_uses_the_method_that_stands_in_and_an_edit_starts_from_it(scene):
    clip = BlindClip()
    chain = session(scene[0], clip)
    seen = chain.preview(9, BRIGHT, quick=True)
    assert (seen.saliency_method, seen.absolute) == ("gradient", False)
    once = clip.bottlenecks
    assert once < 10, "the features of the image and four noise samples"
    edited = chain.edit(9, BRIGHT, boxes=np.array([[20, 30, 40, 60]]))
    assert (edited.saliency_method, clip.bottlenecks) == ("gradient", once)
    assert chain.preview(9, BRIGHT).saliency_method == "m2ib"
    assert clip.looked == 1, "both methods start from the same tokens"
    assert session(scene[0]).preview(9, BRIGHT, quick=True).saliency_method == "dense", "which is quick itself"
