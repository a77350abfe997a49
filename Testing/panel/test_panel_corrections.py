"""What a person has corrected or painted is never lost, moved to another structure, or told of another one."""

from __future__ import annotations

from typing import Any

import numpy as np

from .desk import NAME, TEXT


def slices(desk: Any, name: str) -> list[int]:
    """Numbers of voxels on each slice of the segment that is called ``name``."""
    from MedCLIPSAMLib.scene.segmentation.segments import read_segment

    segmentation = desk.parameters.segmentation.GetSegmentation()
    segment_id = segmentation.GetSegmentIdBySegmentName(name)
    return read_segment(desk.parameters.segmentation, desk.volume, segment_id).sum((1, 2)).tolist()


def paint(desk: Any, name: str) -> None:
    """As in the Segment Editor: ten by ten voxels in a corner of slice 0."""
    import slicer

    node = desk.parameters.segmentation
    segment_id = node.GetSegmentation().GetSegmentIdBySegmentName(name)
    array = slicer.util.arrayFromSegmentBinaryLabelmap(node, segment_id, desk.volume)
    array[0, :10, :10] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, node, segment_id, desk.volume)


def accept(desk: Any, row: int, index: int) -> None:
    desk.ui.promptTable.setCurrentCell(row, TEXT)
    desk.look_at(index)
    desk.preview()
    desk.ui.acceptButton.click()


def drag(desk: Any) -> Any:
    """A box is made smaller; the evidence of it."""
    seen = desk.evidence
    roi = desk.nodes("vtkMRMLMarkupsROINode")[0]
    size = roi.GetSize()
    roi.SetSize(size[0] * 0.5, size[1] * 0.5, size[2])
    desk.wait(lambda: desk.evidence is not seen and not desk.panel.preview.busy)
    return desk.evidence


def test_a_mask_is_accepted_for_the_prompt_that_it_is_of(desk):
    desk.type(0, "liver")
    desk.type(1, "spleen")
    desk.ui.promptTable.setCurrentCell(0, TEXT)
    desk.look_at(1)
    desk.preview()
    desk.ui.promptTable.setCurrentCell(1, TEXT)
    assert desk.panel.preview.shown is None, "what is shown is of the selected row"
    assert not desk.ui.acceptButton.enabled
    desk.ui.previewButton.click()
    assert not desk.ui.acceptButton.enabled
    desk.wait(lambda: not desk.panel.preview.busy)
    spleen = desk.preview().mask.sum()
    desk.ui.acceptButton.click()
    assert slices(desk, "spleen")[1] == spleen


def test_a_preview_ends_with_what_it_was_asked_for(desk):
    import slicer

    def seen() -> None:
        desk.look_at(1)
        desk.preview()
        assert desk.evidence is not None

    desk.type(0, "liver")
    seen()
    desk.type(0, "spleen")
    assert desk.evidence is None
    seen()
    desk.ui.promptTable.item(0, NAME).setText("milt")
    assert desk.evidence is None
    seen()
    desk.ui.axisComboBox.currentIndex = 2
    assert desk.evidence is None
    desk.ui.axisComboBox.currentIndex = 0
    seen()
    desk.ui.restartButton.click()
    assert desk.evidence is None
    assert not desk.ui.previewLabel.text
    seen()
    array = slicer.util.arrayFromVolume(desk.volume).copy()
    other = slicer.util.addVolumeFromArray(array, np.diag([-3.0, -3, 3, 1]), "other patient")
    desk.ui.volumeSelector.setCurrentNode(other)
    assert desk.evidence is None
    desk.ui.volumeSelector.setCurrentNode(desk.volume)
    seen()
    desk.ui.removeButton.click()
    assert desk.evidence is None


def test_accepted_slices_are_those_of_the_segment(desk):
    desk.type(0, "liver")
    desk.segment()
    before = slices(desk, "liver")[0]
    accept(desk, 0, 1)
    paint(desk, "liver")
    accept(desk, 0, 2)
    assert desk.segments == 1, "the slice goes into the segment that the user paints on"
    assert slices(desk, "liver")[0] == before + 100, "what was painted stays"
    desk.segment()
    assert desk.segments == 2, "a run does not replace what was painted"
    assert all(count > 0 for count in slices(desk, "liver 2")[:4]), "and leaves no holes for slices of another segment"
    assert "edited" not in desk.state(0)
    report = desk_report(desk)
    assert "since then: changed by hand" in report


def desk_report(desk: Any) -> str:
    from MedCLIPSAMLib.scene.segmentation.report import report_of

    return report_of(desk.parameters.segmentation)


def test_what_became_of_a_prompt_is_told_for_its_volume_and_axis(desk):
    import slicer

    desk.type(0, "liver")
    desk.segment()
    accept(desk, 0, 1)
    told = desk.state(0)
    assert told == "found on 4 of 6 slices, 1 edited"
    desk.ui.axisComboBox.currentIndex = 2
    assert desk.state(0) == "not run"
    assert not desk.ui.evidenceLabel.text
    desk.ui.axisComboBox.currentIndex = 0
    assert desk.state(0) == told
    array = slicer.util.arrayFromVolume(desk.volume).copy()
    other = slicer.util.addVolumeFromArray(array, np.diag([-3.0, -3, 3, 1]), "other patient")
    desk.ui.volumeSelector.setCurrentNode(other)
    assert desk.state(0) == "not run"
    desk.segment()
    assert desk.state(0) == "found on 4 of 6 slices"
    assert "edited slices" not in desk_report(desk)


def test_the_question_about_a_part_waits_for_its_answer(desk):
    desk.type(0, "liver")
    desk.type(1, "spleen")
    desk.ui.segmentButton.click()
    desk.wait(lambda: len(desk.panel.run._drawn) >= 2)
    assert not desk.ui.parameterSetSelector.enabled
    desk.ui.cancelButton.click()
    ui = desk.ui
    for widget in (ui.promptsCollapsibleButton, ui.inputsCollapsibleButton, ui.parameterSetSelector, ui.previewButton):
        assert not widget.enabled
    assert not ui.segmentButton.enabled
    assert not ui.undoButton.enabled
    ui.restartButton.click()
    ui.keepButton.click()
    assert desk.state(0).startswith("cancelled, kept")
    assert sum(slices(desk, "liver")) > 0
    assert ui.promptsCollapsibleButton.enabled


def test_a_correction_is_accepted_before_a_run(desk):
    desk.type(0, "liver")
    desk.look_at(1)
    desk.preview()
    corrected = int(drag(desk).mask.sum())
    desk.segment()
    assert slices(desk, "liver")[1] == corrected
    assert desk.state(0) == "found on 4 of 6 slices, 1 edited"


def test_undo_goes_with_the_table_after_painting(desk):
    desk.type(0, "liver")
    desk.segment()
    accept(desk, 0, 1)
    ui = desk.ui
    ui.undoButton.click()
    assert desk.state(0) == "found on 4 of 6 slices"
    paint(desk, "liver")
    desk.panel.refresh()
    assert not ui.redoButton.enabled, "what was undone is lost when somebody paints"
    while ui.undoButton.enabled:
        ui.undoButton.click()
        found = desk.segments > 0 and sum(slices(desk, "liver")) > 0
        assert desk.state(0) == ("found on 4 of 6 slices" if found else "not run")
    assert desk.segments == 0


def test_leaving_a_run_leaves_nothing_behind(desk):
    import slicer

    desk.type(0, "liver")
    desk.ui.segmentButton.click()
    desk.wait(lambda: len(desk.panel.run._drawn) >= 1)
    slicer.mrmlScene.Clear()
    assert not desk.ui.progressBar.visible
    assert desk.ui.statusLabel.text == "The run has ended."
    assert not desk.ui.cancelButton.enabled


def test_saving_the_scene_ends_the_preview(desk):
    import slicer

    desk.type(0, "liver")
    desk.look_at(1)
    desk.preview()
    slicer.mrmlScene.StartState(slicer.mrmlScene.SaveState)
    slicer.mrmlScene.EndState(slicer.mrmlScene.SaveState)
    assert desk.evidence is None
    assert not any(view.GetForegroundVolumeID() for view in desk.nodes("vtkMRMLSliceCompositeNode"))
