"""How sure a segment is, by the real buttons: measured, seen, gone through, and gone when it is stale."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..desk import GRID, TEXT
from ..test_keys import CONTROL, press

MAP = "How sure"


def shown(desk: Any) -> list[str | None]:
    """Names of what lies over the slices."""
    import slicer

    views = desk.nodes("vtkMRMLSliceCompositeNode")
    nodes = [slicer.mrmlScene.GetNodeByID(view.GetForegroundVolumeID() or "") for view in views]
    return [None if node is None else node.GetName() for node in nodes]


def map_node(desk: Any) -> Any:
    (node,) = [node for node in desk.nodes("vtkMRMLScalarVolumeNode") if node.GetName() == MAP]
    return node


def bits(desk: Any) -> np.ndarray:
    """(K, J, I) of the volume: the map in the views, by where it lies."""
    import slicer

    node = map_node(desk)
    array = slicer.util.arrayFromVolume(node)
    matrix = slicer.util.vtkMatrixFromArray(np.eye(4))
    node.GetIJKToRASMatrix(matrix)
    to_ijk = np.linalg.solve(GRID, slicer.util.arrayFromVTKMatrix(matrix))
    np.testing.assert_allclose(to_ijk[:3, :3], np.eye(3), atol=1e-6)
    whole = np.zeros(slicer.util.arrayFromVolume(desk.volume).shape, np.uint8)
    i, j, k = np.rint(to_ijk[:3, 3]).astype(int)
    whole[k : k + array.shape[0], j : j + array.shape[1], i : i + array.shape[2]] = array
    return whole


def dilated(mask: np.ndarray, pixels: int) -> np.ndarray:
    """(K, J, I) bool, wider by so many pixels within its slices."""
    from scipy.ndimage import binary_dilation

    return binary_dilation(mask, np.ones((1, 3, 3)), pixels)


def paint(desk: Any, index: int) -> None:
    """As in the Segment Editor: ten by ten voxels in a corner of a slice of the only segment."""
    import slicer

    node = desk.parameters.segmentation
    segment_id = node.GetSegmentation().GetNthSegmentID(0)
    array = slicer.util.arrayFromSegmentBinaryLabelmap(node, segment_id, desk.volume)
    array[index, :10, :10] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, node, segment_id, desk.volume)


def measure(desk: Any) -> None:
    desk.ui.unsureButton.click()
    desk.wait(lambda: not desk.panel.review.measuring)


def slice_in_view(desk: Any) -> int | None:
    from MedCLIPSAMLib.scene.views.slice_views import shown_slice

    return shown_slice(desk.panel.asking().closed_stack(), desk.volume)


def test_from_a_segment_to_its_least_sure_slices(desk, window, capsys):
    ui = desk.ui
    desk.type(0, "liver")
    desk.type(1, "brain")
    desk.ui.promptTable.setCurrentCell(0, TEXT)
    assert not ui.unsureButton.enabled
    assert "Segment the volume first" in ui.unsureButton.toolTip
    desk.segment()
    assert ui.unsureButton.enabled
    assert "does not say that the other slices are right" in ui.unsureButton.toolTip
    assert not ui.nextUnsureButton.visible

    desk.longest = 0.0
    ui.unsureButton.click()
    assert desk.panel.review.measuring
    assert ui.cancelButton.enabled
    assert not ui.segmentButton.enabled
    desk.wait(lambda: "%" in ui.statusLabel.text)
    desk.wait(lambda: not desk.panel.review.measuring)
    assert desk.longest < 1, "the window does not wait"
    assert "others may be wrong, too" in ui.statusLabel.text
    assert shown(desk) == [MAP] * 3
    found, doubt = desk.voxels(0), bits(desk)
    rim = dilated(found, 6) & dilated(~found, 6)
    assert doubt.max() > 128
    assert np.count_nonzero(doubt[rim] > 128) > 0.9 * np.count_nonzero(doubt > 128), "it is not sure of the outline"
    assert not doubt[4:].any(), "air"

    assert ui.seenLabel.text == "0 of 4 seen"
    order = []
    for number in range(1, 5):
        assert ui.nextUnsureButton.enabled
        press(desk.app.focusWidget(), "PageDown", CONTROL)
        order.append(slice_in_view(desk))
        assert ui.seenLabel.text == f"{number} of 4 seen"
    assert sorted(order) == [0, 1, 2, 3]
    assert not ui.nextUnsureButton.enabled
    press(window, "PageUp", CONTROL)
    assert slice_in_view(desk) == order[-1], "the key is another's outside of the panel"
    ui.detailsCollapsibleButton.collapsed = False
    press(ui.wordingsEdit, "PageUp", CONTROL)
    assert slice_in_view(desk) == order[-2]
    assert ui.seenLabel.text == "4 of 4 seen"

    ui.showUnsureCheckBox.click()
    assert shown(desk) == [None] * 3
    ui.showUnsureCheckBox.click()
    ui.unsureOpacitySlider.value = 0.25
    assert {view.GetForegroundOpacity() for view in desk.nodes("vtkMRMLSliceCompositeNode")} == {0.25}

    # What was not found is not claimed to be sure or unsure.
    ui.promptTable.setCurrentCell(1, TEXT)
    assert not ui.unsureButton.enabled
    assert ui.unsureButton.toolTip.startswith("brain was not found")
    assert shown(desk) == [None] * 3
    assert not ui.nextUnsureButton.visible
    ui.promptTable.setCurrentCell(0, TEXT)
    assert shown(desk) == [MAP] * 3
    desk.volume.SetOrigin(5, 5, 5)
    ui.lessSureButton.click()
    assert shown(desk) == [None] * 3, "the volume is elsewhere"
    with capsys.disabled():
        print(f"\nlongest time that the window's thread was held: {1000 * desk.longest:.0f} ms")


def test_what_a_person_corrects_counts_as_seen_and_is_not_doubted(desk):
    ui = desk.ui
    desk.type(0, "liver")
    desk.segment()
    painted = desk.voxels(0)[1]
    paint(desk, 3)
    measure(desk)
    assert ui.seenLabel.text == "0 of 3 seen", "what was painted on is a person's"
    before = bits(desk)
    assert before[1].any()
    assert not before[3].any()

    desk.look_at(1)
    desk.preview()
    assert MAP not in shown(desk), "the heat map lies in its place"
    ui.acceptButton.click()
    ui.hideButton.click()
    assert np.array_equal(desk.voxels(0)[1], painted)
    assert shown(desk) == [MAP] * 3
    assert ui.seenLabel.text == "1 of 3 seen"
    after = bits(desk)
    assert not after[1].any()
    assert np.array_equal(after[[0, 2]], before[[0, 2]])
    for _ in range(2):
        ui.nextUnsureButton.click()
        assert slice_in_view(desk) in (0, 2)
    assert ui.seenLabel.text == "3 of 3 seen"
    assert not ui.nextUnsureButton.enabled


def test_what_is_stale_is_gone(desk):
    import slicer

    ui = desk.ui
    desk.type(0, "liver")

    def measured() -> None:
        desk.segment()
        measure(desk)
        assert shown(desk) == [MAP] * 3

    def gone() -> bool:
        names = [node.GetName() for node in desk.nodes("vtkMRMLScalarVolumeNode")]
        return MAP not in names and not ui.nextUnsureButton.visible

    measured()
    desk.segment()
    assert gone(), "the segment was run again"
    measure(desk)
    desk.type(0, "spleen")
    assert gone(), "something else is looked for"
    assert not ui.unsureButton.enabled
    desk.type(0, "liver")
    measured()
    desk.parameters.window = "bone"
    assert gone(), "it was seen otherwise"
    ui.unsureButton.click()
    assert "segment the volume again" in ui.statusLabel.text
    desk.parameters.window = "automatic"
    measured()
    ui.undoButton.click()
    assert gone(), "it is another segment"
    measured()
    segmentation = desk.parameters.segmentation.GetSegmentation()
    segmentation.RemoveSegment(segmentation.GetNthSegmentID(0))
    ui.nextUnsureButton.click()
    assert gone(), "there is no segment"
    ui.unsureButton.click()
    assert "'liver' is not there any more" in ui.statusLabel.text
    measured()
    array = slicer.util.arrayFromVolume(desk.volume)
    slicer.util.updateVolumeFromArray(desk.volume, np.roll(array, 3, 2))
    ui.nextUnsureButton.click()
    assert gone(), "the volume is another"


def test_a_measurement_is_cancelled_and_another_goes_with_the_scene(desk, tmp_path):
    import slicer

    ui = desk.ui
    desk.type(0, "liver")
    desk.segment()
    ui.unsureButton.click()
    desk.wait(lambda: "%" in ui.statusLabel.text)
    ui.cancelButton.click()
    assert not desk.panel.review.measuring
    assert ui.statusLabel.text == "Cancelled."
    assert not ui.progressBar.visible
    assert not ui.nextUnsureButton.visible
    assert not ui.cancelButton.enabled
    assert ui.unsureButton.enabled
    measure(desk)
    assert ui.seenLabel.text == "0 of 4 seen", "the engine goes on"

    path = tmp_path / "scene.mrml"
    slicer.mrmlScene.StartState(slicer.mrmlScene.SaveState)
    assert shown(desk) == [None] * 3
    slicer.mrmlScene.Commit(str(path))
    slicer.mrmlScene.EndState(slicer.mrmlScene.SaveState)
    assert MAP not in path.read_text("utf-8")
    assert shown(desk) == [MAP] * 3
    desk.ui.unsureButton.click()
    slicer.mrmlScene.Clear()
    assert not desk.panel.review.measuring
    assert shown(desk) == [None] * 3
    assert not desk.ui.unsureButton.enabled
