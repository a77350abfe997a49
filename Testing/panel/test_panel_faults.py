"""The panel when something is missing, refused, deleted or killed: a sentence, and nothing lost."""

from __future__ import annotations

import os
import signal

import pytest


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no such signal")
def test_a_killed_engine_ends_in_a_sentence_and_starts_again(desk):
    desk.type(0, "liver")
    desk.ui.segmentButton.click()
    desk.wait(lambda: len(desk.panel.run._drawn) >= 1)
    os.kill(desk.panel.link._process._process.pid, signal.SIGKILL)
    desk.wait(lambda: not desk.panel.run.running)
    assert "The engine was ended" in desk.ui.statusLabel.text
    assert desk.segments == 0
    assert len(desk.nodes("vtkMRMLSegmentationNode")) == 1
    desk.segment()
    assert desk.state(0) == "found on 4 of 6 slices"


@pytest.mark.parametrize("which", ["volume", "segmentation"])
def test_a_node_is_deleted_during_a_run(desk, which):
    import slicer

    desk.type(0, "liver")
    desk.ui.segmentButton.click()
    desk.wait(lambda: len(desk.panel.run._drawn) >= 1)
    slicer.mrmlScene.RemoveNode(getattr(desk.parameters, which))
    assert "was removed; the run has ended" in desk.ui.statusLabel.text
    assert not desk.ui.cancelButton.enabled
    assert len(desk.nodes("vtkMRMLSegmentationNode")) == (1 if which == "volume" else 0)


@pytest.mark.parametrize("text", ["", "x" * 301])
def test_a_prompt_that_cannot_be_used_is_told(desk, text):
    desk.type(0, text)
    for button in (desk.ui.previewButton, desk.ui.segmentButton):
        desk.ui.statusLabel.text = ""
        button.click()
        assert desk.ui.statusLabel.text
    assert desk.panel.run is None


def test_other_alphabets_are_told_and_the_next_text_is_searched(desk):
    desk.type(0, "肝臓 🫀")
    desk.segment()
    assert "is Japanese, and the models read English; did you mean liver?" in desk.ui.statusLabel.text
    assert desk.segments == 0
    desk.type(0, "liver (肝臓 🫀)")
    desk.segment()
    assert "did you mean liver?" in desk.ui.statusLabel.text
    assert desk.segments == 0
    desk.type(0, "liver")
    desk.segment()
    assert desk.ui.statusLabel.text == "Done."
    assert desk.segments == 1


def test_closing_the_scene_ends_the_process(desk):
    import slicer

    desk.type(0, "liver")
    desk.ui.segmentButton.click()
    desk.wait(lambda: desk.panel.link.running and desk.panel.opened.answer is not None)
    pid = desk.panel.link._process._process.pid
    slicer.mrmlScene.Clear()
    assert not desk.panel.link.running
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not desk.nodes("vtkMRMLSegmentationNode")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no such signal")
def test_an_engine_that_is_killed_in_a_preview_is_told(desk):
    desk.type(0, "liver")
    desk.look_at(1)
    desk.ui.previewButton.click()
    os.kill(desk.panel.link._process._process.pid, signal.SIGKILL)
    desk.wait(lambda: not desk.panel.link.running)
    assert "The engine was ended" in desk.ui.statusLabel.text
    assert desk.preview().found, "the next request starts another"
