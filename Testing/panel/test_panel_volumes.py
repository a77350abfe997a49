"""Which volumes the panel offers, and those that lie under transforms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from MedCLIPSAMLib.scene.geometry import ijk_to_ras

from ..samples import abdomen_slice


def bent(volume: Any) -> Any:
    """A transform node as 3D Slicer's DICOM reader puts over a tilted series: each place is moved along y by its z."""
    import slicer
    import vtk

    bounds = np.zeros(6)
    volume.GetRASBounds(bounds)
    grid = vtk.vtkImageData()
    grid.SetDimensions(2, 2, 3)
    grid.SetOrigin(*(bounds[::2] - 50))
    grid.SetSpacing(*((bounds[1::2] - bounds[::2] + 100) / (1, 1, 2)))
    grid.AllocateScalars(vtk.VTK_DOUBLE, 3)
    for number in range(12):
        along = 20.0 * (number // 4) ** 2  # mm: no shear, which would be linear
        for axis, moved in enumerate((0.0, along, 0.0)):
            grid.SetScalarComponentFromDouble(number % 2, number // 2 % 2, number // 4, axis, moved)
    transform = vtk.vtkGridTransform()
    transform.SetDisplacementGridData(grid)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLGridTransformNode", "acquisition transform")
    node.SetAndObserveTransformToParent(transform)
    volume.SetAndObserveTransformNodeID(node.GetID())
    return node


@pytest.mark.row("slicer-label-map")
def test_label_maps_and_hidden_volumes_are_not_offered(desk):
    import slicer

    selector = desk.ui.volumeSelector
    labels = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    tensors = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLDiffusionTensorVolumeNode", "tensors")
    offered = [selector.nodeFromIndex(place) for place in range(selector.nodeCount())]
    assert offered == [desk.volume]
    for node in (labels, tensors):
        desk.parameters.volume = None
        selector.setCurrentNode(node)
        assert desk.parameters.volume is None


@pytest.mark.row("slicer-label-map")
def test_a_label_map_is_not_chosen_where_there_is_nothing_else(desk):
    import slicer

    slicer.mrmlScene.RemoveNode(desk.volume)
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    desk.parameters.volume = None
    desk.widget.chooseVolume()
    assert desk.parameters.volume is None


@pytest.mark.row("slicer-colour")
def test_a_picture_in_colour_is_segmented_by_its_luminance_and_says_so(desk):
    import slicer

    plane = np.clip((abdomen_slice().astype(float) + 160) / 400 * 255, 0, 255).astype(np.uint8)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "photo")
    slicer.util.updateVolumeFromArray(node, np.repeat(plane[None, ..., None], 3, axis=-1))
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(np.diag([-3.0, -3, 3, 1])))
    desk.volume = node
    desk.ui.volumeSelector.setCurrentNode(node)
    assert desk.parameters.volume is node
    said = "photo is in colour: its luminance is segmented."
    assert desk.ui.statusLabel.text.startswith(said)
    desk.type(0, "liver")
    desk.segment()
    assert desk.ui.statusLabel.text == f"Done. {said}"
    assert desk.segments == 1


@pytest.mark.row("transform-bends")
def test_a_bent_volume_is_segmented_as_it_is_stored(desk, tmp_path, monkeypatch):
    import qt  # pyright: ignore[reportMissingImports]
    import slicer
    import vtk

    desk.type(0, "liver")
    desk.segment()
    straight = desk.voxels(0)
    before = desk.parameters.segmentation
    transform = bent(desk.volume)
    desk.look_at(2)
    seen = desk.preview()
    assert (seen.index, seen.found) == (2, True)
    assert all(node.GetTransformNodeID() == transform.GetID() for node in desk.nodes("vtkMRMLMarkupsROINode"))

    # A click into a view is a place in the world.
    desk.ui.positiveButton.click()
    marks = next(node for node in desk.nodes("vtkMRMLMarkupsFiducialNode") if "Positive" in node.GetName())
    row, column = np.argwhere(seen.mask)[len(np.argwhere(seen.mask)) // 2]
    own, world = ijk_to_ras(desk.volume) @ [column, row, 2, 1], [0.0, 0.0, 0.0]
    desk.volume.TransformPointToWorld(own[:3], world)
    assert abs(world[1] - own[1]) > 1
    marks.AddControlPointWorld(vtk.vtkVector3d(world))
    desk.wait(lambda: desk.evidence is not seen and not desk.panel.preview.busy)
    (point,) = desk.panel.table.row.points
    assert np.allclose(point.ras, own[:3], atol=0.01)
    assert desk.evidence.mask[row, column]
    desk.ui.clearPointsButton.click()

    desk.segment()
    assert np.array_equal(desk.voxels(0), straight)
    after = desk.parameters.segmentation
    assert after is not before, "what was found before stays where it was"
    assert after.GetTransformNodeID() == transform.GetID()

    # A region in the world is met where the voxels are.
    place = [0.0, 0.0, 0.0]
    desk.volume.TransformPointToWorld(own[:3], place)
    desk.ui.undoButton.click()
    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "R")
    roi.SetCenter(*place)
    roi.SetSize(60, 60, 4)
    desk.parameters.roi = roi
    desk.segment()
    assert set(np.flatnonzero(desk.voxels(0).any((1, 2)))) <= {1, 2, 3}
    assert desk.voxels(0)[2, row, column]

    monkeypatch.setattr(qt.QFileDialog, "getSaveFileName", lambda *_: str(tmp_path / "liver.seg.nrrd"))
    desk.ui.exportButton.menu().actions()[0].trigger()
    assert "without the transform acquisition transform" in desk.ui.statusLabel.text
    assert (tmp_path / "liver.seg.nrrd").exists()
