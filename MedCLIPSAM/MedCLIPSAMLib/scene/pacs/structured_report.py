"""Measurements as a DICOM structured report: a measurement report by template TID 1500."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydicom import Dataset, dcmread
from pydicom.sr.coding import Code
from pydicom.uid import SegmentationStorage

from ... import __version__
from ..dicom.headers import value_of
from ..dicom.origin import Origin
from ..segmentation.segments import read_segment
from .coding import FAMILY, Finding, finding_of
from .source import MANUFACTURER, file_references, identity, lenient, new_series, new_uid

if TYPE_CHECKING:
    from highdicom.sr import MeasurementReport, VolumetricROIMeasurementsAndQualitativeEvaluations

_VOLUME, _ML = Code("118565006", "SCT", "Volume"), Code("ml", "UCUM", "ml")
_AREA, _MM2 = Code("42798000", "SCT", "Area"), Code("mm2", "UCUM", "mm2")
_PROCEDURES = {
    "CT": Code("77477000", "SCT", "Computed tomography"),
    "MR": Code("113091000", "SCT", "Magnetic resonance imaging"),
    "US": Code("16310003", "SCT", "Ultrasonography"),
}
_IMAGING = Code("363679005", "SCT", "Imaging procedure")
_DIGITS = 6  # decimals of a number


@dataclass(frozen=True)
class Measured:
    """What was measured of a segment.

    Attributes:
        segment_id: of the segment, which has voxels.
        volume_ml: None of a picture.
        area_mm2: of a picture; None where the size of its pixels is not known.
    """

    segment_id: str
    volume_ml: float | None
    area_mm2: float | None = None


@dataclass(frozen=True)
class _Reference:
    """A segment in a segmentation that was written, how it is tracked, and that segmentation as evidence."""

    number: int
    tracking: str
    evidence: Dataset


def write_sr(
    segmentation_node: Any,
    volume_node: Any,
    origin: Origin,
    path: Path,
    measured: Sequence[Measured],
    segmentations: Sequence[Path] = (),
) -> None:
    """Writes what was measured of segments, of one at least.

    Args:
        segmentations: files that were written of them; measurements refer to a segment in a DICOM SEG, and where there
            is none, to the frames that it is on.
    """
    from highdicom.sr import ComprehensiveSR

    with lenient():
        written = _written(segmentations)
        findings = {
            part.segment_id: finding_of(segmentation_node.GetSegmentation().GetSegment(part.segment_id))
            for part in measured
        }
        groups = []
        for part in measured:
            finding = findings[part.segment_id]
            mask = None
            if finding.name not in written:
                mask = read_segment(segmentation_node, volume_node, part.segment_id)
            groups.append(_group(part, finding, origin, written.get(finding.name), mask))
        made = ComprehensiveSR(
            evidence=[*_images(origin), *(reference.evidence for reference in written.values())],
            content=_content(origin, groups),
            is_complete=True,
            **new_series(origin, [finding.name for finding in findings.values()]),
        )
        made.save_as(path)


def _content(origin: Origin, groups: Sequence[Any]) -> MeasurementReport:
    from highdicom.sr import (
        CodedConcept,
        DeviceObserverIdentifyingAttributes,
        MeasurementReport,
        ObservationContext,
        ObserverContext,
    )

    device = DeviceObserverIdentifyingAttributes(
        uid=new_uid(), name=MANUFACTURER, manufacturer_name=MANUFACTURER, model_name=f"{MANUFACTURER} {__version__}"
    )
    observer = ObserverContext(CodedConcept("121007", "DCM", "Device"), device)
    return MeasurementReport(
        observation_context=ObservationContext(observer_device_context=observer),
        procedure_reported=_PROCEDURES.get(str(value_of(origin.header, "Modality")), _IMAGING),
        imaging_measurements=groups,
        title=Code("126000", "DCM", "Imaging Measurement Report"),
    )


def _group(
    part: Measured, finding: Finding, origin: Origin, reference: _Reference | None, mask: Any
) -> VolumetricROIMeasurementsAndQualitativeEvaluations | Any:
    from highdicom.sr import (
        AlgorithmIdentification,
        FindingSite,
        Measurement,
        MeasurementsAndQualitativeEvaluations,
        ReferencedSegment,
        SourceImageForMeasurementGroup,
        SourceSeriesForSegmentation,
        TrackingIdentifier,
        VolumetricROIMeasurementsAndQualitativeEvaluations,
    )

    measurements = []
    if part.volume_ml is not None:
        measurements.append(Measurement(_VOLUME, round(part.volume_ml, _DIGITS), _ML))
    if part.area_mm2 is not None:
        measurements.append(Measurement(_AREA, round(part.area_mm2, _DIGITS), _MM2))
    said: dict[str, Any] = {
        "finding_category": finding.category,
        "finding_type": finding.kind,
        "measurements": measurements,
    }
    if finding.parameters:
        parameters = [f"{name}={value}" for name, value in finding.parameters.items()]
        said["algorithm_id"] = AlgorithmIdentification(MANUFACTURER, finding.version, parameters, FAMILY)
    if finding.modifier is not None:  # a side
        said["finding_sites"] = [FindingSite(finding.kind, laterality=finding.modifier)]
    if reference is not None:
        return VolumetricROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=TrackingIdentifier(reference.tracking, finding.label),
            referenced_segment=ReferencedSegment(
                SegmentationStorage,
                reference.evidence.SOPInstanceUID,
                reference.number,
                source_series=SourceSeriesForSegmentation(str(origin.header.SeriesInstanceUID)),
            ),
            **said,
        )
    images = [
        SourceImageForMeasurementGroup(
            origin.frames[index].sop_class, origin.frames[index].sop_instance, _numbers(origin.frames[index].number)
        )
        for index, _ in origin.on_frames(mask)
    ]
    identifier = TrackingIdentifier(new_uid(), finding.label)
    return MeasurementsAndQualitativeEvaluations(tracking_identifier=identifier, source_images=images, **said)


def _numbers(number: int | None) -> list[int] | None:
    return None if number is None else [number]


def _images(origin: Origin) -> list[Dataset]:
    """The files of the images as evidence; the first tells the patient and the study."""
    evidence = []
    for item in file_references(origin):
        image = identity(origin)
        image.SOPClassUID, image.SOPInstanceUID = item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID
        evidence.append(image)
    return evidence


def _written(files: Sequence[Path]) -> dict[str, _Reference]:
    """The segments of DICOM segmentations, by name."""
    found = {}
    for file in files:
        if file.name.lower().endswith(".seg.dcm"):
            header = dcmread(file, stop_before_pixels=True)
            for segment in header.SegmentSequence:
                evidence = Dataset()
                for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
                    setattr(evidence, keyword, header[keyword].value)
                number, tracking = int(segment.SegmentNumber), str(segment.TrackingUID)
                found[segment.TrackingID] = _Reference(number, tracking, evidence)
    return found
