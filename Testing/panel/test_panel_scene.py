"""The panel and the rest of 3D Slicer: scenes, sequences, files, full disks, shortcuts, styles."""

from __future__ import annotations

import resource as limits
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from .desk import GRID

ICONS = Path(__file__).parents[2] / "MedCLIPSAM" / "Resources" / "Icons"

# Run in another process, as after a restart of 3D Slicer.
REOPEN = """
import sys
from Testing.host import application
app = application.start()
import slicer
from Testing.panel.desk import Desk, slice_views, TEXT
slice_views()
assert slicer.mrmlScene.ReadFromMRB(sys.argv[1])
volume = slicer.util.getNode("CT")
desk = Desk(app, volume)
table = desk.ui.promptTable
print("texts", [table.item(row, TEXT).text() for row in range(table.rowCount)])
print("states", [desk.state(row) for row in range(table.rowCount)])
print("axis", desk.ui.axisComboBox.currentText)
print("points", desk.panel.table.rows[0].points)
print("segmentation", desk.parameters.segmentation.GetName())
before = desk.voxels(0)
desk.type(1, "spleen")
import qt
table.item(0, 0).setCheckState(qt.Qt.Unchecked)
desk.segment()
print("then", [desk.state(row) for row in range(table.rowCount)], desk.segments, (desk.voxels(0) == before).all())
application.unload_modules()
"""


# In another process, because PySide6 does not always survive that a test holds the editor of a table's cell.
TYPING = """
from Testing.host import application
app = application.start()
from PySide6.QtTest import QTest
from Testing.panel.desk import Desk, ct, slice_views
slice_views()
desk = Desk(app, ct())
window = desk.widget.parent.window()
window.show()
window.activateWindow()
assert QTest.qWaitForWindowActive(window)
desk.ui.addButton.click()
app.processEvents()
QTest.keyClicks(app.focusWidget(), "liver")
print("typed", repr(desk.panel.table.row.text))
desk.ui.segmentButton.click()
print("taken", repr(desk.panel.table.row.text))
desk.ui.cancelButton.click()
desk.ui.wordingsEdit.setFocus()
desk.ui.previewButton.click()
print("focus", app.focusWidget().objectName)
application.unload_modules()
"""


def test_a_text_that_is_being_typed_counts_and_other_fields_keep_the_focus():
    ended = subprocess.run(
        [sys.executable, "-c", TYPING],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
    )
    for line in ("typed ''", "taken 'liver'", "focus wordingsEdit"):
        assert line in ended.stdout, ended.stderr[-3000:]


def test_a_saved_scene_goes_on_in_another_process(desk, tmp_path):
    import slicer

    desk.type(0, "liver")
    desk.ui.axisComboBox.currentIndex = 1
    desk.segment()
    path = tmp_path / "a scene.mrb"
    assert slicer.mrmlScene.WriteToMRB(str(path))
    ended = subprocess.run(
        [sys.executable, "-c", REOPEN, str(path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,
    )
    said = ended.stdout
    assert "texts ['liver']" in said, ended.stderr[-2000:]
    assert "states ['found on 4 of 6 slices']" in said, ended.stderr[-3000:]
    assert "axis axial" in said, ended.stderr[-3000:]
    assert "segmentation CT segmentation" in said, ended.stderr[-3000:]
    assert "then ['found on 4 of 6 slices', 'found on" in said, ended.stderr[-3000:]
    assert "2 True" in said, ended.stderr[-3000:]


def test_a_sequence_is_segmented_on_its_frame_and_says_so(desk):
    import slicer

    from MedCLIPSAMLib.scene.segmentation.provenance import read_provenance

    logic = slicer.vtkSlicerSequencesLogic()
    logic.SetMRMLScene(slicer.mrmlScene)
    sequence = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", "cine")
    for frame in range(3):
        array = slicer.util.arrayFromVolume(desk.volume)
        slicer.util.updateVolumeFromArray(desk.volume, array if frame == 1 else np.full_like(array, -1000))
        sequence.SetDataNodeAtValue(desk.volume, str(frame))
        slicer.util.updateVolumeFromArray(desk.volume, array)
    browser = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "browser")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    logic.UpdateProxyNodesFromSequences(browser)
    frame = browser.GetProxyNode(sequence)
    desk.volume = frame
    desk.ui.volumeSelector.setCurrentNode(frame)
    desk.type(0, "liver")
    for number, state in ((1, "found on 4 of 6 slices"), (2, "not found")):
        browser.SetSelectedItemNumber(number)
        logic.UpdateProxyNodesFromSequences(browser)
        desk.segment()
        assert f"frame {number} of a sequence, numbered 0 to 2" in desk.ui.statusLabel.text
        assert desk.state(0) == state
        segment = desk.parameters.segmentation.GetSegmentation().GetNthSegment(0)
        made = read_provenance(segment)
        assert made is not None
        assert made.settings["frame"] == number


@contextmanager
def full_disk(free: int) -> Iterator[None]:
    """Files cannot grow beyond ``free`` bytes: the system refuses to write, as on a full disk."""
    before = limits.getrlimit(limits.RLIMIT_FSIZE)
    limits.setrlimit(limits.RLIMIT_FSIZE, (free, before[1]))
    try:
        yield
    finally:
        limits.setrlimit(limits.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_the_files_that_were_there(desk, tmp_path, monkeypatch):
    import qt  # pyright: ignore[reportMissingImports]

    desk.type(0, "liver")
    desk.segment()
    actions = {action.text: action for action in desk.ui.exportButton.menu().actions()}
    for title, name in (
        ("Segmentation (NRRD, NIfTI)...", "old.seg.nrrd"),
        ("Segmentation (NRRD, NIfTI)...", "old.nii.gz"),
        ("Report (text)...", "old.txt"),
    ):
        path = tmp_path / name
        path.write_bytes(b"kept")
        monkeypatch.setattr(qt.QFileDialog, "getSaveFileName", lambda *_, path=path: str(path))
        with full_disk(100):
            actions[title].trigger()
        assert "could not be written" in desk.ui.statusLabel.text or "cannot be written" in desk.ui.statusLabel.text
        assert path.read_bytes() == b"kept"
        assert sorted(each.name for each in tmp_path.iterdir()) == [name]
        path.unlink()
    assert desk.segments == 1


def test_dicom_seg_is_offered_where_there_is_an_exporter(desk, monkeypatch, tmp_path):
    import qt  # pyright: ignore[reportMissingImports]
    import slicer

    from MedCLIPSAMLib.panel import menus

    desk.type(0, "liver")
    desk.segment()
    menu = desk.ui.exportButton.menu()
    (action,) = [action for action in menu.actions() if action.text == "DICOM SEG..."]
    menu.aboutToShow.emit()
    assert not action.enabled
    monkeypatch.setattr(slicer.modules, "dicomPlugins", {"DICOMSegmentationPlugin": object}, raising=False)
    menu.aboutToShow.emit()
    assert action.enabled
    monkeypatch.setattr(qt.QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    monkeypatch.setattr(menus, "export_dicom_seg", lambda _segmentation, _volume, folder: [folder / "seg.dcm"])
    action.trigger()
    assert desk.ui.statusLabel.text == f"Written: {tmp_path / 'seg.dcm'}"


def _luminance(colour: tuple[float, ...]) -> float:
    """Relative luminance of sRGB, as WCAG 2 defines it."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


@pytest.mark.parametrize("button", [240, 50], ids=["light", "dark"])
def test_icons_can_be_seen_in_both_styles(button):
    behind = _luminance((button / 255,) * 3)
    drawn = sorted(ICONS.glob("*.svg"))
    assert drawn
    for file in drawn:
        for part in ET.parse(file).getroot():
            colour = part.get("stroke") or ""
            here = _luminance(tuple(int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)))
            contrast = (max(here, behind) + 0.05) / (min(here, behind) + 0.05)
            assert contrast >= 3, (file.name, colour, contrast)


def test_a_volume_under_a_linear_transform_is_segmented_where_it_lies(desk):
    import slicer
    import vtk

    desk.type(0, "liver")
    desk.segment()
    before = desk.voxels(0)
    desk.ui.undoButton.click()
    transform = vtk.vtkTransform()
    transform.Translate(30, -20, 50)
    transform.RotateZ(20)
    transform.RotateX(10)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    node.SetAndObserveTransformToParent(transform)
    desk.volume.SetAndObserveTransformNodeID(node.GetID())
    desk.look_at(1)
    seen = desk.preview()
    assert (seen.index, seen.found) == (1, True)
    (roi,) = desk.nodes("vtkMRMLMarkupsROINode")[:1]
    assert roi.GetTransformNodeID() == node.GetID()
    desk.segment()
    assert np.array_equal(desk.voxels(0), before)
    assert desk.parameters.segmentation.GetTransformNodeID() == node.GetID()
    in_world = np.zeros(6)
    desk.parameters.segmentation.GetRASBounds(in_world)
    corner = np.argwhere(before)[0][::-1]
    matrix = slicer.util.arrayFromVTKMatrix(transform.GetMatrix()) @ GRID
    assert (in_world[::2] - 3 <= (matrix @ [*corner, 1])[:3]).all()
    assert ((matrix @ [*corner, 1])[:3] <= in_world[1::2] + 3).all()
