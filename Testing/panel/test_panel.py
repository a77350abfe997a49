"""The panel by its real buttons, on the built-in models and a real CT."""

from __future__ import annotations

from typing import Any

import numpy as np

from .desk import GRID, TEXT


def test_from_a_typed_word_to_a_segment_and_back(desk, capsys, tmp_path):
    desk.type(0, "liver")
    desk.type(1, "brain")
    desk.look_at(1)
    desk.ui.promptTable.setCurrentCell(0, TEXT)
    seen = desk.preview()
    assert seen.found
    assert "liver, slice 1: found" in desk.ui.previewLabel.text
    shown = [view.GetForegroundVolumeID() for view in desk.nodes("vtkMRMLSliceCompositeNode")]
    assert all(shown), "the heat map lies over the slice"
    assert len(desk.nodes("vtkMRMLMarkupsROINode")) == len(seen.boxes)

    # A box is dragged: the mask is that of the engine for this box.
    (roi,) = desk.nodes("vtkMRMLMarkupsROINode")[:1]
    size = list(roi.GetSize())
    roi.SetSize(size[0] * 0.6, size[1] * 0.8, size[2])
    desk.wait(lambda: desk.evidence is not seen and not desk.panel.preview.busy)
    edited = desk.evidence
    assert edited.edited
    assert edited.boxes.shape == seen.boxes.shape
    assert edited.mask.sum() < seen.mask.sum()
    assert np.allclose(edited.boxes, desk.panel.preview._boxes.boxes(), atol=0.01)

    desk.ui.acceptButton.click()
    assert desk.state(0) == "edited"
    assert np.array_equal(desk.voxels(0)[1], edited.mask)

    desk.segment()
    assert desk.ui.statusLabel.text == "Done."
    assert desk.state(0) == "found on 4 of 6 slices, 1 edited"
    assert desk.state(1) == "not found"
    assert np.array_equal(desk.voxels(0)[1], edited.mask), "what was accepted survives the run"
    assert desk.voxels(0)[[0, 2, 3]].any((1, 2)).all()
    assert not desk.voxels(1).any()
    assert "liver" in desk.ui.evidenceLabel.text or "brain" in desk.ui.evidenceLabel.text

    desk.ui.undoButton.click()
    assert desk.segments == 1
    assert desk.state(0) == "edited"
    desk.ui.undoButton.click()
    assert desk.segments == 0
    assert desk.state(0) == "not run"
    assert not desk.ui.undoButton.enabled
    desk.ui.redoButton.click()
    desk.ui.redoButton.click()
    assert desk.segments == 2
    assert desk.state(0) == "found on 4 of 6 slices, 1 edited"
    with capsys.disabled():
        print(f"\nlongest time that the window's thread was held: {1000 * desk.longest:.0f} ms")


def test_points_steer_the_preview_and_stay_with_the_prompt(desk):
    import slicer
    import vtk

    desk.type(0, "kidneys")
    desk.look_at(1)
    seen = desk.preview()
    assert seen.found
    rows, columns = np.nonzero(seen.mask)
    ijk = [int(columns[0]), int(rows[0]), 1]
    ras = (GRID @ [*ijk, 1])[:3]
    assert desk.ui.negativeButton.enabled
    desk.ui.negativeButton.click()
    negative = next(n for n in desk.nodes("vtkMRMLMarkupsFiducialNode") if "Negative" in n.GetName())
    negative.AddControlPoint(vtk.vtkVector3d(ras))
    desk.wait(lambda: desk.evidence is not seen and not desk.panel.preview.busy)
    after = desk.evidence
    assert not after.mask[ijk[1], ijk[0]]
    assert not np.array_equal(after.mask, seen.mask)
    (point,) = desk.panel.table.row.points
    assert not point.positive
    assert np.allclose(point.ras, ras)
    desk.ui.clearPointsButton.click()
    desk.wait(lambda: desk.evidence is not after and not desk.panel.preview.busy)
    assert np.array_equal(desk.evidence.mask, seen.mask)
    assert not slicer.mrmlScene.GetNodeByID(negative.GetID()) or not negative.GetNumberOfControlPoints()


def test_a_run_is_cancelled_half_way(desk):
    desk.type(0, "liver")
    desk.ui.segmentButton.click()
    assert not desk.ui.segmentButton.enabled
    assert desk.ui.cancelButton.enabled
    desk.wait(lambda: len(desk.panel.run._drawn) >= 2)
    desk.ui.cancelButton.click()
    assert not desk.panel.run.running
    assert "keep them?" in desk.ui.statusLabel.text
    assert desk.segments == 0
    desk.ui.keepButton.click()
    assert desk.state(0).startswith("cancelled, kept")
    assert desk.voxels(0).any((1, 2)).sum() >= 2
    desk.ui.undoButton.click()
    assert desk.segments == 0
    desk.segment()
    assert desk.state(0) == "found on 4 of 6 slices"


def test_the_scene_is_saved_and_reopened(desk, tmp_path):
    import slicer

    desk.type(0, "liver")
    desk.ui.axisComboBox.currentIndex = 1
    desk.ui.wordingsEdit.setPlainText("hepar")
    path = tmp_path / "scene.mrml"
    slicer.mrmlScene.Commit(str(path))
    slicer.mrmlScene.Clear()
    assert desk.ui.promptTable.rowCount == 0
    slicer.mrmlScene.SetURL(str(path))
    slicer.mrmlScene.Connect()
    desk.widget.initializeParameterNode()
    assert desk.ui.promptTable.item(0, TEXT).text() == "liver"
    assert desk.ui.axisComboBox.currentText == "axial"
    assert desk.panel.table.row.wordings == ("hepar",)


def test_a_volume_of_one_slice_is_segmented(desk):
    import slicer

    array = slicer.util.arrayFromVolume(desk.volume)[:1].copy()
    desk.volume = slicer.util.addVolumeFromArray(array, np.diag([-3.0, -3, 3, 1]), "slice")
    desk.ui.volumeSelector.setCurrentNode(desk.volume)
    desk.type(0, "liver")
    desk.segment()
    assert desk.state(0) == "found on 1 of 1 slices"
    assert desk.voxels(0).any()


def test_a_table_of_fifty_rows(desk):
    for number in range(50):
        desk.type(number, f"structure {number}")
    assert len(desk.panel.table.rows) == 50
    desk.ui.removeButton.click()
    desk.ui.upButton.click()
    assert [row.text for row in desk.panel.table.rows.rows][-2:] == ["structure 48", "structure 47"]
    assert desk.parameters.rows == desk.panel.table.rows.to_json()


def test_prompts_come_from_the_library_and_from_files(desk, tmp_path, monkeypatch):
    import qt  # pyright: ignore[reportMissingImports]

    from MedCLIPSAMLib.engine.prompt.prompt import PromptSet

    def chosen(menu: Any, *titles: str) -> Any:
        for title in titles:
            action = next(action for action in menu.actions() if action.text == title)
            menu = action.menu()
        return action

    chosen(desk.ui.libraryButton.menu(), "CT Abdomen", "liver", "several wordings").trigger()
    row = desk.panel.table.row
    assert (row.title, len(row.wordings) > 1) == ("liver", True)
    path = tmp_path / "prompts.json"
    monkeypatch.setattr(qt.QFileDialog, "getSaveFileName", lambda *_: str(path))
    chosen(desk.ui.fileButton.menu(), "Write prompts...").trigger()
    (written,) = PromptSet.from_json(path.read_text("utf-8"))
    assert written == row.prompt()
    monkeypatch.setattr(qt.QFileDialog, "getOpenFileName", lambda *_: (str(path), "Prompts"))
    chosen(desk.ui.fileButton.menu(), "Read prompts...").trigger()
    assert [row.title for row in desk.panel.table.rows.rows] == ["liver", "liver 2"]
    path.write_text("{", "utf-8")
    chosen(desk.ui.fileButton.menu(), "Read prompts...").trigger()
    assert "not JSON" in desk.ui.statusLabel.text
    monkeypatch.setattr(qt.QFileDialog, "getSaveFileName", lambda *_: str(tmp_path / "no folder" / "x.json"))
    chosen(desk.ui.fileButton.menu(), "Write prompts...").trigger()
    assert "cannot be written" in desk.ui.statusLabel.text
    chosen(desk.ui.exportButton.menu(), "Report (text)...").trigger()
    assert desk.ui.statusLabel.text == "There is no segmentation yet; segment a volume first."


def test_the_result_is_exported(desk, tmp_path, monkeypatch):
    import qt  # pyright: ignore[reportMissingImports]

    desk.type(0, "liver")
    desk.segment()
    export, _dicom, report = desk.ui.exportButton.menu().actions()
    for name in ("result.seg.nrrd", "result.nii.gz", "result.stl"):
        monkeypatch.setattr(qt.QFileDialog, "getSaveFileName", lambda *_, name=name: str(tmp_path / name))
        export.trigger()
        assert (tmp_path / name).stat().st_size > 500
    monkeypatch.setattr(qt.QFileDialog, "getSaveFileName", lambda *_: str(tmp_path / "result.rtstruct.dcm"))
    export.trigger()
    assert "was not read from such; give the DICOM folder" in desk.ui.statusLabel.text
    assert not (tmp_path / "result.rtstruct.dcm").exists()
    monkeypatch.setattr(qt.QFileDialog, "getSaveFileName", lambda *_: str(tmp_path / "report"))
    report.trigger()
    assert "SHA-256" in (tmp_path / "report.txt").read_text("utf-8")
    monkeypatch.setattr(qt.QFileDialog, "getSaveFileName", lambda *_: "")
    before = desk.ui.statusLabel.text
    report.trigger()
    assert desk.ui.statusLabel.text == before, "nothing was chosen"


def test_another_volume_gets_a_segmentation_of_its_own(desk):
    import slicer

    desk.type(0, "liver")
    desk.segment()
    first = desk.parameters.segmentation
    array = slicer.util.arrayFromVolume(desk.volume)[:2].copy()
    desk.volume = slicer.util.addVolumeFromArray(array, np.diag([-3.0, -3, 3, 1]), "later")
    desk.ui.volumeSelector.setCurrentNode(desk.volume)
    desk.segment()
    assert desk.state(0) == "found on 2 of 2 slices"
    assert desk.parameters.segmentation.GetName() == "later segmentation"
    assert first.GetSegmentation().GetNumberOfSegments() == 1


def test_parameter_sets_are_worked_on_in_turn(desk):
    import gc

    desk.type(0, "liver")
    selector = desk.ui.parameterSetSelector
    first, second = selector.currentNode(), selector.addNode()
    assert desk.parameters.parameterNode is second
    assert desk.ui.promptTable.rowCount == 0
    desk.ui.volumeSelector.setCurrentNode(desk.volume)
    desk.type(0, "spleen")
    desk.ui.axisComboBox.currentIndex = 2
    selector.setCurrentNode(first)
    assert desk.ui.promptTable.item(0, TEXT).text() == "liver"
    assert desk.ui.axisComboBox.currentText == "automatic"
    desk.segment()
    selector.setCurrentNode(second)
    gc.collect()
    first.Modified()  # what observes it must still be there
    assert (desk.ui.promptTable.item(0, TEXT).text(), desk.state(0)) == ("spleen", "not run")
    assert desk.ui.axisComboBox.currentText == "coronal"


def test_the_last_parameter_set_is_removed(desk):
    import slicer

    desk.type(0, "liver")
    slicer.mrmlScene.RemoveNode(desk.ui.parameterSetSelector.currentNode())
    assert desk.parameters is None
    assert not desk.ui.segmentButton.enabled
    desk.ui.parameterSetSelector.addNode()
    assert desk.ui.promptTable.rowCount == 0
    assert desk.ui.inputsCollapsibleButton.enabled


def test_the_fields_for_slices_know_the_volume(desk):
    desk.type(0, "liver")
    desk.ui.wholeVolumeCheckBox.checked = False
    assert (desk.ui.firstSpinBox.value, desk.ui.lastSpinBox.value) == (0, 5)
    desk.ui.axisComboBox.currentIndex = 2
    assert desk.ui.firstSpinBox.value == 0
    assert desk.ui.lastSpinBox.value > 5, "all slices along the other axis"
    desk.ui.axisComboBox.currentIndex = 0
    desk.ui.firstSpinBox.value, desk.ui.lastSpinBox.value = 2, 99
    assert desk.ui.lastSpinBox.value == 5
    desk.segment()
    assert desk.state(0) == "found on 2 of 4 slices"


def test_a_colour_is_that_of_the_segment(desk, monkeypatch):
    import qt  # pyright: ignore[reportMissingImports]

    def chosen(colour: tuple[float, float, float]) -> None:
        monkeypatch.setattr(qt.QColorDialog, "getColor", lambda *_: qt.QColor.fromRgbF(*colour))
        desk.ui.promptTable.cellDoubleClicked.emit(0, 1)

    desk.type(0, "some liver")
    chosen((1.0, 0.0, 1.0))
    desk.segment()
    segment = desk.parameters.segmentation.GetSegmentation().GetNthSegment(0)
    assert segment.GetColor() == (1.0, 0.0, 1.0)
    chosen((0.0, 1.0, 0.0))
    assert segment.GetColor() == (0.0, 1.0, 0.0)
    segment.SetColor(0.0, 0.0, 1.0)
    desk.segment()
    assert segment.GetColor() == (0.0, 0.0, 1.0), "a run leaves what the user changed in the segments table"


def test_along_which_axis_a_volume_is_cut_and_why_is_said(desk):
    import slicer

    status = desk.ui.statusLabel
    assert status.text == "Slices are axial, which the models know best."
    thick = slicer.util.addVolumeFromArray(np.zeros((6, 7, 8), np.int16), np.diag([1, 5, 1, 1]), "knee")
    desk.parameters.volume = thick
    assert status.text.startswith("Slices are coronal, as they were acquired")
    desk.ui.axisComboBox.currentIndex = desk.ui.axisComboBox.findData("axial")
    assert status.text == "", "a person has chosen it"
