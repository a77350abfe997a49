"""Segments as an RT Structure Set: closed planar contours on the frames of the images."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import ImplicitVRLittleEndian, RTStructureSetStorage

from ... import __version__
from ..dicom.compat import write
from ..dicom.origin import Origin
from ..segmentation.segments import read_segment
from .coding import FAMILY, Finding, code_item, finding_of, parameters_text
from .contours import outlines
from .source import (
    MANUFACTURER,
    PURPOSE,
    cut,
    file_references,
    identity,
    lenient,
    new_uid,
    reference,
    series_description,
    series_number,
)

_STUDY = "1.2.840.10008.3.1.2.3.1"  # Detached Study Management, as structure sets name a study
_DATA = Tag("ContourData")
_OF_IMAGES = (
    "PatientOrientation",
    "LossyImageCompression",
    "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
)


def write_rtstruct(segmentation_node: Any, volume_node: Any, origin: Origin, path: Path, ids: Sequence[str]) -> None:
    """Writes segments of some IDs, each of which has voxels on a frame."""
    segmentation = segmentation_node.GetSegmentation()
    regions, contours, observations = [], [], []
    with lenient():
        for number, segment_id in enumerate(ids, start=1):
            finding = finding_of(segmentation.GetSegment(segment_id))
            mask = read_segment(segmentation_node, volume_node, segment_id)
            regions.append(_region(number, finding, origin))
            contours.append(_contours(number, finding, origin, mask))
            observations.append(_observation(number, finding))
        made = _header(origin, [region.ROIName for region in regions])
        made.ReferencedFrameOfReferenceSequence = [_frame_of_reference(origin)]
        made.StructureSetROISequence = regions
        made.ROIContourSequence = contours
        made.RTROIObservationsSequence = observations
        write(made, path)


def points_of(origin: Origin, index: int, outline: np.ndarray) -> np.ndarray:
    """(n, 3) mm in DICOM's axes of points on a frame (PS3.3 C.7.6.2.1.1).

    Args:
        outline: (n, 2) row, column.
    """
    row_mm, column_mm = origin.spacing
    across, along = (axis / np.linalg.norm(axis) for axis in np.split(origin.orientation, 2))
    rows, columns = outline[:, :1] * row_mm, outline[:, 1:] * column_mm
    return origin.frames[index].position + columns * across + rows * along


def _header(origin: Origin, names: list[str]) -> Dataset:
    made, now = identity(origin), datetime.now()
    for keyword in _OF_IMAGES:
        if keyword in made:
            delattr(made, keyword)
    made.file_meta = FileMetaDataset()
    # Explicit VR has no room for a contour of more than 64 KiB.
    made.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = RTStructureSetStorage
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = new_uid()
    made.SeriesInstanceUID, made.SeriesNumber, made.Modality = new_uid(), series_number(origin), "RTSTRUCT"
    made.InstanceNumber, made.OperatorsName = 1, ""
    made.Manufacturer = made.ManufacturerModelName = MANUFACTURER
    made.SoftwareVersions = __version__
    made.SeriesDescription = series_description(names)
    made.StructureSetLabel, made.StructureSetName = MANUFACTURER, MANUFACTURER
    made.StructureSetDescription = PURPOSE
    made.StructureSetDate, made.StructureSetTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    made.InstanceCreationDate, made.InstanceCreationTime = made.StructureSetDate, made.StructureSetTime
    made.ApprovalStatus = "UNAPPROVED"
    if "PositionReferenceIndicator" not in made:
        made.PositionReferenceIndicator = ""
    return made


def _frame_of_reference(origin: Origin) -> Dataset:
    series, study, item = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = origin.header.SeriesInstanceUID
    series.ContourImageSequence = file_references(origin)
    study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = _STUDY, origin.header.StudyInstanceUID
    study.RTReferencedSeriesSequence = [series]
    item.FrameOfReferenceUID = origin.header.FrameOfReferenceUID
    item.RTReferencedStudySequence = [study]
    return item


def _region(number: int, finding: Finding, origin: Origin) -> Dataset:
    region = Dataset()
    region.ROINumber, region.ReferencedFrameOfReferenceUID = number, origin.header.FrameOfReferenceUID
    region.ROIName, region.ROIDescription = finding.label, finding.description
    region.ROIGenerationAlgorithm = finding.algorithm
    region.ROIGenerationDescription = cut(f"{MANUFACTURER} {finding.version}")
    if finding.parameters:
        algorithm = Dataset()
        algorithm.AlgorithmFamilyCodeSequence = [code_item(FAMILY)]
        algorithm.AlgorithmName, algorithm.AlgorithmVersion = MANUFACTURER, cut(finding.version)
        algorithm.AlgorithmParameters, algorithm.AlgorithmSource = parameters_text(finding), MANUFACTURER
        region.ROIDerivationAlgorithmIdentificationSequence = [algorithm]
    return region


def _contours(number: int, finding: Finding, origin: Origin, mask: np.ndarray) -> Dataset:
    item = Dataset()
    item.ReferencedROINumber = number
    item.ROIDisplayColor = [round(255 * part) for part in finding.colour]
    contours = []
    for index, plane in origin.on_frames(mask):
        for outline in outlines(plane):
            contour = Dataset()
            contour.ContourImageSequence = [reference(origin.frames[index])]
            contour.ContourGeometricType = "CLOSED_PLANAR"
            contour.NumberOfContourPoints = len(outline)
            contour[_DATA] = _numbers(points_of(origin, index, outline))
            contours.append(contour)
    item.ContourSequence = contours
    return item


def _numbers(points: np.ndarray) -> RawDataElement:
    """Contour Data as it is written: pydicom would make an object of each number."""
    text = "\\".join(f"{value:.4f}" for value in points.ravel()).encode()
    text += b" " * (len(text) % 2)
    return RawDataElement(_DATA, "DS", len(text), text, 0, is_implicit_VR=True, is_little_endian=True)


def _observation(number: int, finding: Finding) -> Dataset:
    item = Dataset()
    item.ObservationNumber = item.ReferencedROINumber = number
    kind = code_item(finding.kind)
    if finding.modifier is not None:
        kind.SegmentedPropertyTypeModifierCodeSequence = [code_item(finding.modifier)]
    item.RTROIIdentificationCodeSequence = [kind]
    item.RTROIInterpretedType, item.ROIInterpreter = "", ""
    return item
