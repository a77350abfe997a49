"""Prompts become segments: the engine's session with stand-in models on real nodes."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest
import slicer

from MedCLIPSAMLib.engine.errors import Cancelled, InputError
from MedCLIPSAMLib.engine.prompt.prompt import Prompt, PromptSet
from MedCLIPSAMLib.engine.session.evidence import SegmentEvidence
from MedCLIPSAMLib.engine.session.session import Session
from MedCLIPSAMLib.engine.session.settings import Settings
from MedCLIPSAMLib.engine.volume import Volume, Window
from MedCLIPSAMLib.scene.files.saving import save
from MedCLIPSAMLib.scene.run import RunProgress, run
from MedCLIPSAMLib.scene.segmentation.provenance import ModelUse, read_provenance
from MedCLIPSAMLib.scene.segmentation.segments import (
    belongs_to,
    create_segmentation,
    find_segment,
    read_segment,
    write_segment,
)
from MedCLIPSAMLib.scene.volumes import node_from_volume, volume_from_node

from ..engine.fakes import BlindClip, GreyClip, GreySegmenter
from . import grids

PROMPTS = PromptSet((Prompt("bright", ("bright",)), Prompt("mid", ("mid",))))
BAR = (slice(5, 15), slice(30, 60), slice(20, 40))


@pytest.fixture
def node() -> Any:
    """A body of 80 with a bright bar on slices 5 to 14 of 20, and nothing of middle grey."""
    array = np.zeros((20, 96, 96), np.int16)
    array[:, 8:88, 8:88] = 80
    array[BAR] = 200
    return node_from_volume(Volume(array, np.diag([-2.0, -2, 3, 1]), "other", "bar"))


def session(node: Any, kind: type[Session] = Session) -> Session:
    models: tuple[Any, Any] = (GreyClip(), GreySegmenter())
    return kind(volume_from_node(node), *models, Settings(window=Window(0, 255)))


BRIGHT = PromptSet(PROMPTS.prompts[:1])


def segments(segmentation_node: Any) -> dict[str, Any]:
    segmentation = segmentation_node.GetSegmentation()
    return {
        segmentation.GetNthSegment(index).GetName(): segmentation.GetNthSegment(index)
        for index in range(segmentation.GetNumberOfSegments())
    }


def test_found_and_not_found(node):
    segmentation_node = create_segmentation(node)
    results = run(session(node), node, PROMPTS, segmentation_node)
    assert [result.found for result in results] == [True, False]
    bar = np.zeros((20, 96, 96), bool)
    bar[BAR] = True
    found = read_segment(segmentation_node, node, results[0].segment_id)
    assert 2 * (found & bar).sum() / (found.sum() + bar.sum()) > 0.95
    assert not read_segment(segmentation_node, node, results[1].segment_id).any()

    bright, mid = (read_provenance(segments(segmentation_node)[name]) for name in ("bright", "mid"))
    assert bright is not None
    assert mid is not None
    assert (bright.prompt, bright.found, bright.slices_found, bright.slices_searched) == (
        *PROMPTS.prompts[:1],
        True,
        10,
        20,
    )
    assert (mid.found, mid.slices_found) == (False, 0)
    assert bright.models == (ModelUse("clip", "grey", "0" * 64), ModelUse("segmenter", "grey", "1" * 64))
    assert bright.settings["saliency"] == "dense"
    assert bright.settings["window"] == {"low": 0, "high": 255}


def test_progress_rises_to_the_end(node):
    heard: list[RunProgress] = []
    run(session(node), node, PROMPTS, create_segmentation(node), progress=heard.append)
    fractions = [step.fraction for step in heard]
    assert fractions == sorted(fractions)
    assert fractions[0] > 0
    assert 0.75 <= fractions[-1] <= 1, "a prompt that is nowhere has no masks to make"
    assert {step.step.prompt for step in heard} == {"bright", "mid"}


def test_a_second_run_replaces_its_own_segments_only(node):
    segmentation_node = create_segmentation(node)
    drawn = np.zeros((20, 96, 96), bool)
    drawn[0, 0, 0] = True
    drawn_id = write_segment(segmentation_node, node, drawn, "bright")
    opened = session(node)
    (first,), (second,) = (run(opened, node, BRIGHT, segmentation_node) for _ in range(2))
    assert first.segment_id == second.segment_id != drawn_id
    assert list(segments(segmentation_node)) == ["bright", "bright 2"]
    np.testing.assert_array_equal(read_segment(segmentation_node, node, drawn_id), drawn)


@pytest.mark.parametrize("change", ["paint", "move", "rename"])
def test_what_the_user_changed_stays_beside_the_new_result(node, change: str):
    segmentation_node = create_segmentation(node)
    opened = session(node)
    (first,) = run(opened, node, BRIGHT, segmentation_node)
    segment = segments(segmentation_node)["bright"]
    written = read_segment(segmentation_node, node, first.segment_id)
    if change == "rename":
        segment.SetName("my bar")
    else:
        changed = np.roll(written, 1, axis=2) if change == "move" else written | (np.indices(written.shape).sum(0) == 9)
        slicer.util.updateSegmentBinaryLabelmapFromArray(
            changed.astype(np.uint8), segmentation_node, first.segment_id, node
        )
    before = read_segment(segmentation_node, node, first.segment_id)
    (second,), (third,) = (run(opened, node, BRIGHT, segmentation_node) for _ in range(2))
    names = ["my bar", "bright"] if change == "rename" else ["bright", "bright 2"]
    assert list(segments(segmentation_node)) == names
    np.testing.assert_array_equal(read_segment(segmentation_node, node, first.segment_id), before)
    np.testing.assert_array_equal(read_segment(segmentation_node, node, second.segment_id), written)
    assert third.segment_id == second.segment_id, "and that one, which nobody changed, is replaced"


def test_saving_is_no_change(app, node, tmp_path):
    """A scene that is saved, closed and loaded still knows its segments, the empty one too."""
    segmentation_node = create_segmentation(node)
    node.SetName("bar")
    run(session(node), node, PROMPTS, segmentation_node)
    drawn = np.zeros((20, 96, 96), bool)
    drawn[0, 0, 0] = True
    write_segment(segmentation_node, node, drawn, "drawn")
    save(segmentation_node, node, tmp_path / "labels.nii.gz")
    segmentation_node.GetSegmentation().CollapseBinaryLabelmaps(False)  # as the exports of 3D Slicer do
    assert [find_segment(segmentation_node, prompt.name) is not None for prompt in PROMPTS] == [True, True]
    save(segmentation_node, node, tmp_path / "scene.mrb")
    slicer.mrmlScene.Clear()
    assert app.io_manager.load_scene(tmp_path / "scene.mrb")
    (loaded,) = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    (volume,) = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    assert belongs_to(loaded, volume)
    assert [find_segment(loaded, prompt.name) is not None for prompt in PROMPTS] == [True, True]


def test_a_segmentation_of_another_volume_is_never_written_into(node):
    segmentation_node = create_segmentation(node)
    (first,) = run(session(node), node, BRIGHT, segmentation_node)
    before = read_segment(segmentation_node, node, first.segment_id)
    other = node_from_volume(Volume(slicer.util.arrayFromVolume(node)[::-1], np.diag([-2.0, -2, 3, 1]), "other", "b"))
    with pytest.raises(InputError, match="bar segmentation is not of b"):
        run(session(other, NeverRuns), other, BRIGHT, segmentation_node)
    assert list(segments(segmentation_node)) == ["bright"]
    np.testing.assert_array_equal(read_segment(segmentation_node, node, first.segment_id), before)


@pytest.mark.parametrize(
    ("spoilt", "said"), [("surfaces", "holds surfaces"), ("warped", "are not under the same transform")]
)
def test_an_unsuitable_segmentation_is_refused_before_the_work(node, spoilt: str, said: str):
    segmentation_node = create_segmentation(node)
    run(session(node), node, BRIGHT, segmentation_node)
    if spoilt == "surfaces":
        segmentation_node.GetSegmentation().SetSourceRepresentationName("Closed surface")
    else:
        segmentation_node.SetAndObserveTransformNodeID(grids.warp_node().GetID())
    with pytest.raises(InputError, match=said):
        run(session(node, NeverRuns), node, BRIGHT, segmentation_node)


def test_no_mask_stays_in_memory_but_that_of_the_segment(node):
    segmentation_node = create_segmentation(node)
    opened = session(node, Remembers)
    results = run(opened, node, PROMPTS, segmentation_node)
    gc.collect()
    assert isinstance(opened, Remembers)
    assert len(opened.masks) == 2 * len(results)
    assert [mask() for mask in opened.masks if mask() is not None] == []


def test_provenance_tells_what_was_left_to_program_and_user(node):
    segmentation_node = create_segmentation(node)
    models: tuple[Any, Any] = (BlindClip(), GreySegmenter())
    opened = Session(volume_from_node(node), *models, Settings(beta=0.5))
    opened.edit(6, BRIGHT.prompts[0], boxes=np.array([[25.0, 35, 45, 55]]))
    run(opened, node, BRIGHT, segmentation_node, slices=range(3, 10))
    provenance = read_provenance(segments(segmentation_node)["bright"])
    assert provenance is not None
    assert provenance.settings["window"] == {"low": opened.window.low, "high": opened.window.high}
    assert (provenance.settings["saliency"], provenance.settings["layer"], provenance.settings["beta"]) == (
        "m2ib",
        0,
        0.5,
    )
    assert provenance.settings["steps"] == 6
    assert (provenance.searched, provenance.edited) == ((3, 9), (6,))
    run(session(node), node, BRIGHT, segmentation_node)
    provenance = read_provenance(segments(segmentation_node)["bright"])
    assert provenance is not None
    assert "layer" not in provenance.settings, "what ran has none"
    assert (provenance.searched, provenance.edited) == ((0, 19), ())


class NeverRuns(Session):
    def segment(self, *arguments, **options):
        raise AssertionError("the work began")


class Remembers(Session):
    """Knows whether somebody still holds the masks that it gave."""

    masks: list[Any]

    def segment(self, *arguments, **options) -> SegmentEvidence:
        evidence = super().segment(*arguments, **options)
        assert evidence.mask.base is not None
        self.masks = [*getattr(self, "masks", []), weakref.ref(evidence.mask), weakref.ref(evidence.mask.base)]
        return evidence


def test_cancelled_runs_keep_earlier_prompts(node):
    segmentation_node = create_segmentation(node)
    with pytest.raises(Cancelled):
        run(session(node), node, PROMPTS, segmentation_node, cancelled=lambda: bool(segments(segmentation_node)))
    assert list(segments(segmentation_node)) == ["bright"]
    with pytest.raises(Cancelled):
        run(session(node), node, PROMPTS, create_segmentation(node), cancelled=lambda: True)


def test_some_slices_only(node):
    segmentation_node = create_segmentation(node)
    (result,) = run(session(node), node, BRIGHT, segmentation_node, slices=range(3, 9))
    found = read_segment(segmentation_node, node, result.segment_id).any(axis=(1, 2))
    np.testing.assert_array_equal(np.flatnonzero(found), [5, 6, 7, 8])


def test_some_slices_only_leave_the_others_as_they_were(node):
    segmentation_node = create_segmentation(node)
    opened = session(node)
    opened.edit(6, BRIGHT.prompts[0], boxes=np.array([[25.0, 35, 30, 40]]))
    (whole,) = run(opened, node, BRIGHT, segmentation_node)
    before = read_segment(segmentation_node, node, whole.segment_id)
    opened.forget_edits(BRIGHT.prompts[0])
    (part,) = run(opened, node, BRIGHT, segmentation_node, slices=range(9, 12))
    assert part.segment_id == whole.segment_id
    np.testing.assert_array_equal(read_segment(segmentation_node, node, whole.segment_id), before)
    provenance = read_provenance(segments(segmentation_node)["bright"])
    assert provenance is not None
    assert (provenance.searched, provenance.slices_found, provenance.slices_kept) == ((9, 11), 3, 7)
    run(opened, node, BRIGHT, segmentation_node, slices=range(5, 8))
    after = read_segment(segmentation_node, node, whole.segment_id)
    assert after[6].sum() > before[6].sum(), "what the run did search is new"
    np.testing.assert_array_equal(np.delete(after, 6, axis=0), np.delete(before, 6, axis=0))


@pytest.mark.parametrize("gone", ["volume", "segmentation"])
def test_node_removed_during_the_run(node, gone: str):
    segmentation_node = create_segmentation(node)
    removed = node if gone == "volume" else segmentation_node

    def remove(progress: RunProgress) -> None:
        slicer.mrmlScene.RemoveNode(removed)

    with pytest.raises(InputError, match="was removed from the scene during the run"):
        run(session(node), node, PROMPTS, segmentation_node, progress=remove)


def test_no_prompts(node):
    with pytest.raises(InputError, match="no prompt"):
        run(session(node), node, PromptSet(), create_segmentation(node))
