"""Export as a DICOM segmentation object, by an exporter that notes what it is given: the real one is not on PyPI."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import slicer
import vtk

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.scene.dicom.seg import can_export_dicom_seg, export_dicom_seg
from MedCLIPSAMLib.scene.segmentation.segments import create_segmentation, write_segment


class Exporter:
    """As 3D Slicer's DICOMSegmentationPluginClass: a sentence in place of an exception."""

    refusal = ""
    seen: dict[str, Any]

    def examineForExport(self, item: int) -> list[Any]:
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        return [SimpleNamespace(node=hierarchy.GetItemDataNode(item), parent=hierarchy.GetItemParent(item))]

    def export(self, exportables: list[Any]) -> str:
        (exportable,) = exportables
        segmentation = exportable.node.GetSegmentation()
        segments = [segmentation.GetNthSegment(number) for number in range(segmentation.GetNumberOfSegments())]
        kind, name = "DICOM.SegmentAlgorithmType", "DICOM.SegmentAlgorithmName"
        type(self).seen = {
            "segments": [segment.GetName() for segment in segments],
            "algorithms": {(read_tag(segment, kind), read_tag(segment, name)) for segment in segments},
            "study": exportable.parent,
            "reference": exportable.node.GetNodeReference(
                exportable.node.GetReferenceImageGeometryReferenceRole()
            ).GetName(),
        }
        if not self.refusal:
            (Path(exportable.directory) / "subject_hierarchy_export.SEG.dcm").write_bytes(b"DICM")
        return self.refusal


def read_tag(segment: Any, name: str) -> str:
    from MedCLIPSAMLib.scene.segmentation.provenance import read_tag

    return read_tag(segment, name) or ""


@pytest.fixture(autouse=True)
def hierarchy() -> Iterator[Any]:
    """Items for nodes, which in 3D Slicer a part of its window makes."""
    scene = slicer.mrmlScene
    found = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def added(_caller: Any, _event: Any, node: Any) -> None:
        if node.IsA("vtkMRMLDisplayableNode"):
            found.CreateItem(found.GetSceneItemID(), node)

    tag = scene.AddObserver(scene.NodeAddedEvent, added)
    yield found
    scene.RemoveObserver(tag)


@pytest.fixture
def nodes(hierarchy) -> Any:
    volume_node = slicer.util.addVolumeFromArray(np.zeros((4, 8, 8), np.int16), name="CT")
    segmentation_node = create_segmentation(volume_node)
    mask = np.zeros((4, 8, 8), bool)
    write_segment(segmentation_node, volume_node, mask, "brain")
    mask[1, 2:5, 2:5] = True
    write_segment(segmentation_node, volume_node, mask, "liver")
    return segmentation_node, volume_node


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> type[Exporter]:
    monkeypatch.setattr(slicer.modules, "dicomPlugins", {"DICOMSegmentationPlugin": Exporter}, raising=False)
    monkeypatch.setattr(Exporter, "refusal", "")
    return Exporter


def test_segments_with_voxels_are_exported_into_the_study_of_the_volume(nodes, hierarchy, exporter, tmp_path):
    segmentation_node, volume_node = nodes
    study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "study")
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(volume_node), study)
    (tmp_path / "old.dcm").write_bytes(b"old")
    assert export_dicom_seg(segmentation_node, volume_node, tmp_path) == [tmp_path / "subject_hierarchy_export.SEG.dcm"]
    assert exporter.seen == {
        "segments": ["liver"],
        "algorithms": {("SEMIAUTOMATIC", "MedCLIP-SAM")},
        "study": study,
        "reference": "CT",
    }
    names = [node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode")]
    assert names == [segmentation_node.GetName()], "the copy is gone"
    assert segmentation_node.GetSegmentation().GetNumberOfSegments() == 2


def test_what_the_exporter_refuses_is_told(nodes, exporter, monkeypatch, tmp_path):
    monkeypatch.setattr(exporter, "refusal", "VolumeNode CT has no attribute DICOM.instanceUIDs")
    with pytest.raises(InputError, match=r"CT segmentation cannot be exported as DICOM SEG: VolumeNode CT has no"):
        export_dicom_seg(nodes[0], nodes[1], tmp_path)
    assert len(slicer.util.getNodesByClass("vtkMRMLSegmentationNode")) == 1


def test_nothing_found_is_nothing_to_export(nodes, exporter, tmp_path):
    segmentation_node, volume_node = nodes
    segmentation = segmentation_node.GetSegmentation()
    segmentation.RemoveSegment(segmentation.GetSegmentIdBySegmentName("liver"))
    with pytest.raises(InputError, match="no voxels to export"):
        export_dicom_seg(segmentation_node, volume_node, tmp_path)


def test_there_may_be_no_exporter(nodes, tmp_path):
    assert not can_export_dicom_seg()
    with pytest.raises(InputError, match="install the extension QuantitativeReporting"):
        export_dicom_seg(nodes[0], nodes[1], tmp_path)
