"""A box in space: which slices and pixels are in it, and nothing is found outside of it."""

from __future__ import annotations

import numpy as np
import pytest

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.engine.prompt.prompt import Prompt
from MedCLIPSAMLib.engine.session.session import Session
from MedCLIPSAMLib.engine.session.settings import Settings
from MedCLIPSAMLib.engine.volume import AXES, SliceStack, Volume, Window
from MedCLIPSAMLib.engine.volume.region import Region

from ..bars import two_bars
from ..fakes import GreyClip, GreySegmenter

BRIGHT = Prompt("bar", ("bright",))


def box(centre: np.ndarray, axes: np.ndarray, half: tuple[float, float, float]) -> Region:
    """A region by its centre in RAS mm, its axes (columns of length 1) and half its lengths in mm."""
    box_to_ras = np.eye(4)
    box_to_ras[:3, :3], box_to_ras[:3, 3] = axes * half, centre
    return Region(tuple(map(tuple, np.linalg.inv(box_to_ras).tolist())))


def oblique() -> Volume:
    cos, sin = np.cos(0.4), np.sin(0.4)
    matrix = np.array([[-2 * cos, 3 * sin, 0, 5], [-2 * sin, -3 * cos, 0, 7], [0, 0, 4.0, 9], [0, 0, 0, 1]])
    return Volume(np.zeros((9, 10, 11), np.int16), matrix, "other")


@pytest.mark.parametrize("axis", AXES)
def test_pixels_and_slices_are_those_whose_centres_are_inside(axis):
    stack = SliceStack(oblique(), axis)
    turn = np.array([[np.cos(1), -np.sin(1), 0], [np.sin(1), np.cos(1), 0], [0, 0, 1]])
    centre = stack.slice_to_ras(np.array([np.array(stack.array.shape) / 2.2]))[0]
    region = box(centre, turn, (7.0, 5.0, 9.0))
    every = np.indices(stack.array.shape).reshape(3, -1).T
    offsets = (stack.slice_to_ras(every) - centre) @ turn
    expected = (np.abs(offsets) <= (7, 5, 9)).all(1).reshape(stack.array.shape)
    assert expected.any()
    assert not expected.all()
    for index, plane in enumerate(expected):
        assert np.array_equal(region.on_slice(stack, index), plane)
    occupied = np.flatnonzero(expected.any((1, 2)))
    assert set(occupied) <= set(region.slices(stack))
    assert len(region.slices(stack)) <= len(occupied) + 2, "corners of a turned box may touch no pixel"


def test_a_box_beside_the_volume_has_no_slices():
    stack = SliceStack(oblique())
    assert not len(box(np.array([0, 0, 500.0]), np.eye(3), (5, 5, 5)).slices(stack))


@pytest.mark.parametrize("matrix", [np.zeros((4, 4)), np.full((4, 4), np.nan), np.eye(3)])
def test_a_box_without_extent_is_refused(matrix):
    with pytest.raises(InputError, match="no extent"):
        Region(tuple(map(tuple, matrix.tolist())))


@pytest.fixture
def bars() -> tuple[Volume, np.ndarray, np.ndarray]:
    return two_bars((1.0, 1.0, 1.0))


def test_nothing_is_found_outside_of_a_region(bars):
    volume, left, right = bars
    session = Session(volume, GreyClip(), GreySegmenter(), Settings(window=Window(0, 255)))
    region = box(np.array([-25.0, -45.0, 9.0]), np.eye(3), (11.5, 50.0, 100.0))  # columns 14 to 36
    session.limit(region)
    found = session.segment(BRIGHT).mask
    assert not (found & right).any()
    assert not found[:, :, 37:].any(), "cut at the region"
    assert (found & left).sum() > 0.9 * left[:, :, :37].sum()
    looked = session.preview(10, BRIGHT)
    assert len(looked.boxes) == 1
    edited = session.edit(10, BRIGHT, np.array([[15.0, 25, 90, 65]]))
    assert edited.mask.any()
    assert not edited.mask[:, 37:].any()
    session.limit(None)
    assert (session.segment(BRIGHT).mask & right).any()
    assert len(session.preview(10, BRIGHT).boxes) == 2


def test_a_prompt_is_as_sensitive_as_it_says(bars):
    volume, *_ = bars

    class Unsure(GreyClip):
        def presence_logits(self, cosine):
            return super().presence_logits(cosine).clamp(max=-1.5)  # a score of 0.43

    def found(sensitivity: float) -> bool:
        prompt = Prompt("bar", ("bright",), sensitivity=sensitivity)
        return Session(volume, Unsure(), GreySegmenter(), Settings(window=Window(0, 255))).segment(prompt).found

    assert [found(sensitivity) for sensitivity in (0.2, 0.5, 0.9)] == [False, False, True]


def test_a_prompt_chooses_its_own_localisation(bars):
    volume, *_ = bars
    session = Session(volume, GreyClip(), GreySegmenter(), Settings(window=Window(0, 255)))
    assert session.segment(BRIGHT).localizer == "kmeans"
    assert session.segment(Prompt("bar", ("bright",), localize="otsu")).localizer == "otsu"
    with pytest.raises(InputError, match="no localisation 'magic'"):
        session.segment(Prompt("bar", ("bright",), localize="magic"))
