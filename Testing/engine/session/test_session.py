"""The chain around the models: presence, points, edits, caches, cancellation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from MedCLIPSAMLib.engine.errors import Cancelled, InputError
from MedCLIPSAMLib.engine.prompt.prompt import Point, Prompt
from MedCLIPSAMLib.engine.session.session import Session
from MedCLIPSAMLib.engine.session.settings import Settings
from MedCLIPSAMLib.engine.volume import Frame, Modality, Volume

from ..bars import BRIGHT, WINDOW, dice, ras, session
from ..fakes import BlindClip, GreyClip, GreySegmenter
from ..storing import ORDERS, stored


def test_finds_both_bars_and_only_where_they_are(scene):
    volume, left, right = scene
    evidence = session(volume).segment(BRIGHT)
    assert [part.index for part in evidence.slices if part.found] == list(range(5, 15))
    assert dice(evidence.mask, left | right) > 0.95
    assert evidence.found
    assert evidence.summary["slices_found"] == 10


@pytest.mark.row("orientation")
@pytest.mark.parametrize("order", ORDERS)
def test_the_same_object_in_voxels_of_any_order(scene, order):
    volume, left, right = scene
    to_ras = np.diag([2.0, 2, 3, 1])
    array, matrix = stored(volume.array.T[::-1, ::-1], order, to_ras)
    truth, _ = stored((left | right).T[::-1, ::-1], order, to_ras)
    chain = session(Volume(array, matrix, "other"))
    assert dice(chain.segment(BRIGHT).mask, truth) > 0.95
    assert (chain.choices["axis"], chain.choices["axis_because"]) == ("axial", "trained")


def test_absent_structure_is_not_found(scene):
    evidence = session(scene[0]).segment(Prompt("white", ("white",)))
    assert not evidence.found
    assert not evidence.mask.any()
    assert max(part.score for part in evidence.slices) < 0.3


def test_slicewise_draws_on_every_slice(scene):
    evidence = session(scene[0], slicewise=True, localize="threshold").segment(BRIGHT)
    assert all(len(part.boxes) == 1 for part in evidence.slices), "the published scripts draw one box everywhere"
    assert evidence.slices[0].boxes.tolist() == [[0, 0, 95, 95]], "the whole slice where nothing stands out"


@pytest.mark.row("presence-forced")
@pytest.mark.parametrize("choice", [{"slicewise": True}, {"exact": True}])
def test_as_published_presence_is_not_judged(scene: Any, choice: dict[str, Any]) -> None:
    made = session(scene[0], BlindClip(), **choice)
    evidence = made.segment(BRIGHT)
    assert not evidence.judged
    assert all(len(part.boxes) == 1 and part.verdict == "presence not judged" for part in evidence.slices)
    assert (evidence.summary["found"], evidence.summary["slices_found"]) == (None, None)
    seen = made.preview(0, BRIGHT)
    assert (seen.judged, seen.verdict) == (False, "presence not judged")
    drawn = made.edit(0, BRIGHT, np.array([[10.0, 10, 20, 20]]))
    assert drawn.judged, "by whoever drew it"
    assert session(scene[0]).segment(BRIGHT).judged


def test_what_a_run_saw_is_seen_again_without_looking(scene: Any) -> None:
    clip = BlindClip()
    made = session(scene[0], clip)
    assert made.heat_map(5, BRIGHT) is None
    evidence = made.segment(BRIGHT)
    looked = clip.bottlenecks
    for part in evidence.slices:
        heat = made.heat_map(part.index, BRIGHT)
        assert (heat is not None) == ("information" in part.clues), "no map was made where it is not"
    assert clip.bottlenecks == looked
    found = next(part.index for part in evidence.slices if part.found)
    seen = made.heat_map(found, BRIGHT)
    assert seen is not None
    assert np.array_equal(seen, made.preview(found, BRIGHT).heat_map())


@pytest.mark.parametrize(("modality", "whole"), [("other", True), ("MR", False)])
def test_a_picture_is_seen_whole(modality: Modality, whole: bool):
    """Whoever made it chose its frame; of a slice of a patient the models see the body."""
    grey = np.zeros((1, 80, 80), np.uint8)
    grey[0, 20:50, 30:60] = 120
    grey[0, 30:40, 40:50] = 200
    evidence = session(Volume(grey, np.diag([-1.0, -1, 1, 1]), modality)).preview(0, BRIGHT)
    assert (evidence.frame == Frame.whole((80, 80), (1, 1))) == whole
    assert dice(evidence.mask, grey[0] == 200) > 0.9


class HalfSureClip(GreyClip):
    """Scores about 0.4 on slices with little of the structure: it counts where it continues others."""

    def look(self, pixels):
        seen = super().look(pixels)
        little = seen[:, 1:, 0].sum(1) < 500
        seen[little, 0] = torch.tensor([0.417, 0, 0.909]).half()
        return seen


class DoubtingSegmenter(GreySegmenter):
    """Expects nothing good of small boxes."""

    def decode(self, *args, **named):
        made = super().decode(*args, **named)
        made.scores[made.masks.sum((2, 3)) < 1000] = 0.3
        return made


def test_the_segmenter_must_confirm_slices_that_only_continue_others(scene):
    volume, _left, right = scene
    array = volume.array.copy()
    array[right] = 80
    array[13:15, 45:60, 20:40] = 80  # half of the left bar on its last slices
    shorter = Volume(array, volume.ijk_to_ras, "other", "shorter")
    found = lambda evidence: [part.index for part in evidence.slices if part.found]  # noqa: E731
    assert found(session(shorter, HalfSureClip()).segment(BRIGHT)) == list(range(5, 15))
    doubted = session(shorter, HalfSureClip(), DoubtingSegmenter()).segment(BRIGHT)
    assert found(doubted) == list(range(5, 13))
    assert doubted.slices[14].segmenter_score == pytest.approx(0.3)
    assert doubted.slices[0].segmenter_score is None
    clicked = Prompt("bright", ("bright",), points=(Point((-60.0, -60.0, 42.0)),))
    assert 14 in found(session(shorter, HalfSureClip(), DoubtingSegmenter()).segment(clicked))


def test_a_gap_and_a_flash(scene):
    volume, _left, _right = scene
    array = volume.array.copy()
    array[9][array[9] == 200] = 80  # one slice of artefact inside the organ
    array[18, 30:60, 20:40] = 200  # one slice alone
    evidence = session(Volume(array, volume.ijk_to_ras, "other", "gap")).segment(BRIGHT)
    assert [part.index for part in evidence.slices if part.found] == [5, 6, 7, 8, 10, 11, 12, 13, 14]


def test_instances_limits_the_parts(scene):
    volume, left, right = scene
    array = volume.array.copy()
    array[right & ~np.roll(right, 3, 1)] = 80  # the right bar is now the smaller
    evidence = session(Volume(array, volume.ijk_to_ras, "other", "one")).segment(
        Prompt("bright", ("bright",), instances=1)
    )
    assert dice(evidence.mask, left) > 0.95


@pytest.mark.parametrize("place", [(6, 45, 66), (10, 40, 60), (14, 45, 80)])
def test_a_click_says_which_and_is_followed(scene, place):
    volume, _, right = scene
    prompt = Prompt("bright", ("bright",), points=(Point(ras(volume, place)),))
    mask = session(volume).segment(prompt).mask.copy()
    if place[2] == 80:  # beside the bar: its own slice may hold what was clicked
        mask[place[0]] &= right[place[0]]
    assert dice(mask, right) > 0.95


def test_a_negative_click_removes_one_part(scene):
    volume, _left, right = scene
    prompt = Prompt("bright", ("bright",), points=(Point(ras(volume, (10, 45, 30)), positive=False),))
    assert dice(session(volume).segment(prompt).mask, right) > 0.95


def test_a_click_on_a_right_result_changes_nothing(scene):
    volume, _left, _ = scene
    one = Prompt("bright", ("bright",), points=(Point(ras(volume, (10, 45, 30))),))
    two = Prompt("bright", ("bright",), points=(*one.points, Point(ras(volume, (8, 40, 30)))))
    assert np.array_equal(session(volume).segment(one).mask, session(volume).segment(two).mask)


def test_a_click_outside_of_the_volume_is_refused(scene):
    with pytest.raises(InputError, match="outside"):
        session(scene[0]).segment(Prompt("bright", ("bright",), points=(Point((500, 0, 0)),)))


def test_a_second_run_looks_and_embeds_nothing_twice(scene):
    clip, segmenter = GreyClip(), GreySegmenter()
    chain = session(scene[0], clip, segmenter)
    chain.segment(BRIGHT)
    looked, embedded = clip.looked, segmenter.embedded
    chain.segment(Prompt("again", ("bright", "bright")))
    assert (clip.looked, segmenter.embedded) == (looked, embedded)
    assert (looked, embedded) == (20, 10), "every slice is looked at once, only those with a box are embedded"


def test_slices_keep_their_numbers(scene):
    evidence = session(scene[0]).segment(BRIGHT, slices=range(8, 12))
    assert [part.index for part in evidence.slices] == [8, 9, 10, 11]
    assert np.flatnonzero(evidence.mask.any((1, 2))).tolist() == [8, 9, 10, 11]
    with pytest.raises(InputError, match="Slice 20"):
        session(scene[0]).segment(BRIGHT, slices=[20])


@pytest.mark.parametrize("axis", ["coronal", "sagittal"])
def test_other_axes_give_the_same_object(scene, axis):
    volume, left, right = scene
    assert dice(session(volume, axis=axis).segment(BRIGHT).mask, left | right) > 0.9


def test_progress_and_cancel(scene):
    reports = []
    session(scene[0]).segment(BRIGHT, progress=reports.append)
    assert [(r.stage, r.done, r.total) for r in reports][-1] == ("mask", 10, 10)
    assert reports[0].stage == "saliency"
    calls = iter([False, False, True])
    with pytest.raises(Cancelled):
        session(scene[0]).segment(BRIGHT, cancelled=lambda: next(calls))


@pytest.mark.parametrize("voting", ["best", "average", "weighted", "staple"])
def test_several_masks_are_combined(scene, voting):
    volume, left, right = scene
    assert dice(session(volume, voting=voting).segment(BRIGHT).mask, left | right) > 0.95


@pytest.mark.parametrize("visual", ["points", "both"])
def test_other_visual_prompts_mark_the_same_place(scene, visual):
    volume, left, right = scene
    evidence = session(volume).segment(Prompt("bright", ("bright",), visual=visual))
    inside = np.count_nonzero(evidence.mask & (left | right)) / np.count_nonzero(evidence.mask)
    assert inside > 0.6


def test_unknown_choices_are_refused(scene, monkeypatch):
    with pytest.raises(InputError, match="localisation"):
        session(scene[0], localize="guess")
    with pytest.raises(InputError, match="saliency"):
        session(scene[0], saliency="guess")
    monkeypatch.delattr(GreyClip, "look")
    with pytest.raises(InputError, match="dense does not go with the model grey; choose of m2ib"):
        session(scene[0], saliency="dense")


def kept(evidence, volume):
    """Voxels of the left and of the right half of the body that are in the mask."""
    half = volume.array.shape[2] // 2
    return int(evidence.mask[:, :, :half].sum()), int(evidence.mask[:, :, half:].sum())


def at(volume, column, row, index):
    return Point(ras(volume, (index, row, column)))


def test_a_click_where_the_text_found_nothing_gives_what_is_there_and_nothing_else(scene):
    volume, _left, _right = scene
    array = volume.array.copy()
    array[7:10, 76:87, 40:52] = 140  # not bright enough for the text
    faint = Volume(array, volume.ijk_to_ras, "other", "faint")
    prompt = Prompt("bright", ("bright",), points=(at(faint, 46, 82, 8),))
    evidence = session(faint).segment(prompt)
    assert evidence.mask[8, 82, 46]
    assert not evidence.mask[8, 45, 30], "40 mm away and not clicked"
    assert [part.index for part in evidence.slices if part.found] == [8]


@pytest.mark.parametrize("asked", [{"instances": 2}, {"points": ((30, 45, 9), (84, 40, 9))}])
def test_a_small_part_stays_when_each_part_was_asked_for(scene: Any, asked: dict[str, Any]) -> None:
    volume, _left, right = scene
    array = volume.array.copy()
    array[right] = 80
    array[8:11, 37:43, 82:87] = 200  # 90 voxels, beside 6000
    small = Volume(array, volume.ijk_to_ras, "other", "small")
    if "points" in asked:
        asked = {"points": tuple(at(small, *place) for place in asked["points"])}
    assert kept(session(small).segment(BRIGHT), small)[1] == 0, "a speck, where nobody asked for it"
    assert kept(session(small).segment(Prompt("bright", ("bright",), **asked)), small)[1] > 60


def test_what_was_not_chosen_does_not_come_back_through_the_saliency(scene):
    class Unsure(GreySegmenter):
        def decode(self, *args, **named):
            made = super().decode(*args, **named)
            made.scores[:] = 0.6  # the saliency counts for more than its masks
            return made

    volume, _left, right = scene
    prompt = Prompt("bright", ("bright",), points=(at(volume, 30, 45, 9),))
    chain = session(volume, segmenter=Unsure())
    assert kept(chain.segment(prompt), volume)[1] == 0
    assert not (chain.preview(9, prompt).mask & right[9]).any()


def test_points_beside_the_body_and_slices_out_of_order_are_refused(scene):
    volume, _left, _right = scene
    array = np.zeros((20, 96, 192), np.int16)
    array[:, :, :96] = volume.array
    wide = Volume(array, volume.ijk_to_ras, "other", "wide")
    with pytest.raises(InputError, match="beside the body"):
        session(wide).segment(Prompt("bright", ("bright",), points=(at(wide, 180, 48, 9),)))
    with pytest.raises(InputError, match="not neighbours"):
        session(volume).segment(BRIGHT, slices=range(0, 20, 2))
    with pytest.raises(InputError, match="slice 9, which is not searched"):
        session(volume).segment(Prompt("bright", ("bright",), points=(at(volume, 30, 45, 9),)), slices=range(12, 18))


def test_a_voting_that_does_not_exist_is_refused_at_once(scene):
    with pytest.raises(InputError, match="no voting 'loudest'"):
        session(scene[0], voting="loudest")


def test_m2ib_runs_only_where_the_image_as_a_whole_says_that_the_structure_is(scene):
    clip, reports = BlindClip(), []
    evidence = session(scene[0], clip).segment(BRIGHT, progress=reports.append)
    assert [part.index for part in evidence.slices if part.score > 0.5] == list(range(5, 15))
    assert {report.stage: report.total for report in reports} == {"presence": 20, "saliency": 10, "mask": 10}
    assert sorted(evidence.slices[0].clues) == ["contrast"]
    assert sorted(evidence.slices[9].clues) == ["concentration", "contrast", "information"]
    assert clip.looked == 20


def test_m2ib_runs_on_every_slice_where_every_slice_gets_a_box(scene):
    reports = []
    evidence = session(scene[0], BlindClip(), slicewise=True).segment(BRIGHT, progress=reports.append)
    assert {report.stage: report.total for report in reports} == {"saliency": 20, "mask": 20}
    assert "information" in evidence.slices[0].clues


def test_the_same_words_run_no_method_twice(scene):
    clip = BlindClip()
    chain = session(scene[0], clip, localize="otsu")
    chain.segment(BRIGHT)
    before = clip.bottlenecks
    chain.segment(Prompt("again", ("bright",)))
    chain.preview(9, BRIGHT)
    assert clip.bottlenecks == before
    chain.preview(9, Prompt("new", ("white",)))
    assert clip.bottlenecks > before


def test_results_do_not_depend_on_how_much_is_remembered(scene):
    masks = []
    for memory in (0, None):
        chain = Session(scene[0], GreyClip(), GreySegmenter(), Settings(window=WINDOW), memory)
        chain.segment(BRIGHT)
        masks.append(chain.segment(BRIGHT).mask)
    assert np.array_equal(*masks)


def test_an_unknown_precision_is_refused(scene):
    with pytest.raises(InputError, match="no precision 'half'"):
        session(scene[0], precision="half")


def test_a_session_tells_all_that_was_chosen(scene):
    exact = session(scene[0], BlindClip(), exact=True).choices
    assert (exact["steps"], exact["noise_samples"], exact["antithetic"], exact["noise"]) == (10, 10, False, "published")
    usual = session(scene[0], BlindClip(), precision="bf16").choices
    assert (usual["steps"], usual["noise_samples"], usual["antithetic"], usual["noise"]) == (6, 4, True, "per-slice")
    assert (exact["growing"], usual["growing"]) == (False, True)
    assert (exact["learning_rate"], usual["learning_rate"]) == (1, 9 / 5)
    assert [set(chain["precision"].values()) for chain in (exact, usual)] == [{"fp32"}, {"bf16"}]
    assert (usual["saliency"], usual["localize"], usual["window"]) == ("m2ib", "kmeans", {"low": 0, "high": 255})
    chosen = session(scene[0], BlindClip(), steps=10).choices
    assert (chosen["steps"], chosen["learning_rate"]) == (10, 1)
