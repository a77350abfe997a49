"""Prompts become segments: the engine's session with stand-in models on real nodes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import slicer

from MedCLIPSAMLib.engine.errors import Cancelled, InputError
from MedCLIPSAMLib.engine.prompt import Prompt, PromptSet
from MedCLIPSAMLib.engine.session import Session
from MedCLIPSAMLib.engine.settings import Settings
from MedCLIPSAMLib.engine.volume import Volume, Window
from MedCLIPSAMLib.scene.provenance import ModelUse, read_provenance
from MedCLIPSAMLib.scene.run import RunProgress, run
from MedCLIPSAMLib.scene.segments import create_segmentation, read_segment, write_segment
from MedCLIPSAMLib.scene.volumes import node_from_volume, volume_from_node

from ..engine.fakes import GreyClip, GreySegmenter

PROMPTS = PromptSet((Prompt("bright", ("bright",)), Prompt("mid", ("mid",))))
BAR = (slice(5, 15), slice(30, 60), slice(20, 40))


@pytest.fixture
def node() -> Any:
    """A body of 80 with a bright bar on slices 5 to 14 of 20, and nothing of middle grey."""
    array = np.zeros((20, 96, 96), np.int16)
    array[:, 8:88, 8:88] = 80
    array[BAR] = 200
    return node_from_volume(Volume(array, np.diag([-2.0, -2, 3, 1]), "other", "bar"))


def session(node: Any) -> Session:
    models: tuple[Any, Any] = (GreyClip(), GreySegmenter())
    return Session(volume_from_node(node), *models, Settings(window=Window(0, 255)))


def segments(segmentation_node: Any) -> dict[str, Any]:
    segmentation = segmentation_node.GetSegmentation()
    return {
        segmentation.GetNthSegment(index).GetName(): segmentation.GetNthSegment(index)
        for index in range(segmentation.GetNumberOfSegments())
    }


def test_found_and_not_found(node):
    segmentation_node = create_segmentation(node)
    results = run(session(node), node, PROMPTS, segmentation_node)
    assert [result.evidence.found for result in results] == [True, False]
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
    (first,), (second,) = (run(opened, node, PromptSet(PROMPTS.prompts[:1]), segmentation_node) for _ in range(2))
    assert first.segment_id == second.segment_id != drawn_id
    assert list(segments(segmentation_node)) == ["bright", "bright 2"]
    np.testing.assert_array_equal(read_segment(segmentation_node, node, drawn_id), drawn)


def test_cancelled_runs_keep_earlier_prompts(node):
    segmentation_node = create_segmentation(node)
    with pytest.raises(Cancelled):
        run(session(node), node, PROMPTS, segmentation_node, cancelled=lambda: bool(segments(segmentation_node)))
    assert list(segments(segmentation_node)) == ["bright"]
    with pytest.raises(Cancelled):
        run(session(node), node, PROMPTS, create_segmentation(node), cancelled=lambda: True)


def test_some_slices_only(node):
    segmentation_node = create_segmentation(node)
    (result,) = run(session(node), node, PromptSet(PROMPTS.prompts[:1]), segmentation_node, slices=range(3, 9))
    found = read_segment(segmentation_node, node, result.segment_id).any(axis=(1, 2))
    np.testing.assert_array_equal(np.flatnonzero(found), [5, 6, 7, 8])


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
