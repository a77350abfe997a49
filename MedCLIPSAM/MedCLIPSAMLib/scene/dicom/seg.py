"""Segments as a DICOM SEG object, by the exporter of 3D Slicer 5.12 or of the extension QuantitativeReporting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer

from ...engine.errors import InputError
from ..segmentation.segments import create_segmentation, read_segment

_PLUGIN = "DICOMSegmentationPlugin"


def can_export_dicom_seg() -> bool:
    """Whether there is an exporter."""
    return _PLUGIN in getattr(slicer.modules, "dicomPlugins", {})


def export_dicom_seg(segmentation_node: Any, volume_node: Any, folder: Path) -> list[Path]:
    """Writes all segments that have voxels into a new file in a folder.

    Args:
        volume_node: the volume that was segmented, loaded from the DICOM database.

    Returns:
        The new files.

    Raises:
        InputError: there is no exporter, nothing to export, or the exporter refuses, as it does for a volume that was
            not loaded from the DICOM database.
    """
    if not can_export_dicom_seg():
        raise InputError("There is no DICOM SEG exporter; install the extension QuantitativeReporting.")
    exporter = slicer.modules.dicomPlugins[_PLUGIN]()
    before = set(folder.iterdir())
    copy = _filled_segments(segmentation_node, volume_node)
    try:
        if copy.GetSegmentation().GetNumberOfSegments() == 0:
            raise InputError(f"{segmentation_node.GetName()} has no voxels to export; nothing was found.")
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        item = hierarchy.GetItemByDataNode(copy)
        # The object belongs to the study of the volume.
        hierarchy.SetItemParent(item, hierarchy.GetItemParent(hierarchy.GetItemByDataNode(volume_node)))
        exportables = exporter.examineForExport(item)
        for exportable in exportables:
            exportable.directory = str(folder)
        error = exporter.export(exportables)
        if error:
            raise InputError(f"{segmentation_node.GetName()} cannot be exported as DICOM SEG: {error.strip()}")
    finally:
        slicer.mrmlScene.RemoveNode(copy)
    return sorted(set(folder.iterdir()) - before)


def _filled_segments(segmentation_node: Any, volume_node: Any) -> Any:
    """A copy without empty segments, for which the exporter would ask, and with the algorithm that it wants named."""
    copy = create_segmentation(volume_node)
    copy.SetName(segmentation_node.GetName())  # the description of the series
    copy.SetAndObserveTransformNodeID(segmentation_node.GetTransformNodeID())
    source, target = segmentation_node.GetSegmentation(), copy.GetSegmentation()
    for segment_id in source.GetSegmentIDs():
        if not read_segment(segmentation_node, volume_node, segment_id).any():
            continue
        target.CopySegmentFromSegmentation(source, segment_id)
        segment = target.GetSegment(segment_id)
        segment.SetTag("DICOM.SegmentAlgorithmType", "SEMIAUTOMATIC")
        segment.SetTag("DICOM.SegmentAlgorithmName", "MedCLIP-SAM")
    return copy
