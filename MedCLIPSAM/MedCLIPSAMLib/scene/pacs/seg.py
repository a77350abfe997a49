"""Segments as a DICOM segmentation of binary frames, each on a frame of the images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import CTImageStorage, SecondaryCaptureImageStorage
from pydicom.valuerep import format_number_as_ds

from ..dicom.headers import copy_elements, value_of
from ..dicom.origin import Origin
from ..segmentation.segments import read_segment
from .coding import FAMILY, Finding, code_item, finding_of, parameters_text
from .source import MANUFACTURER, PURPOSE, cut, file_references, identity, lenient, new_series, new_uid, reference

if TYPE_CHECKING:
    from highdicom.seg import Segmentation, SegmentDescription

_LABEL = "MEDCLIPSAM"  # of the content: a word of capitals
_STAND_INS = "2.25."
_REFERENCE = ("ReferencedSOPClassUID", "ReferencedSOPInstanceUID", "ReferencedFrameNumber")


@dataclass(frozen=True)
class _Masks:
    """A segment on the frames: by the index of each frame that has voxels of it, (rows x columns / 8) packed bits."""

    finding: Finding
    packed: dict[int, np.ndarray]


def write_seg(segmentation_node: Any, volume_node: Any, origin: Origin, path: Path, ids: Sequence[str]) -> None:
    """Writes segments of some IDs, each of which has voxels on a frame; they may overlap.

    Segments are read one after the other, and only their packed bits are kept: highdicom is given, instead of the
    voxels, one voxel for each frame of each segment, and gets the pixels afterwards.
    """
    segmentation = segmentation_node.GetSegmentation()
    segments, shape = [], volume_node.GetImageData().GetDimensions()[1::-1]
    count, overlap = np.zeros(volume_node.GetImageData().GetDimensions()[::-1], bool), False
    for segment_id in ids:
        mask = read_segment(segmentation_node, volume_node, segment_id)
        overlap = overlap or bool((count & mask).any())
        count |= mask
        packed = {index: np.packbits(plane, bitorder="little") for index, plane in origin.on_frames(mask)}
        segments.append(_Masks(finding_of(segmentation.GetSegment(segment_id)), packed))
    del count
    with lenient():
        made = _outline(origin, segments, shape)
        made.SegmentsOverlap = "YES" if overlap else "NO"
        if not origin.has_place:
            made.PatientOrientation = value_of(origin.header, "PatientOrientation")
        _fill(made, origin, segments, shape)
        made.save_as(path)


def _outline(origin: Origin, segments: Sequence[_Masks], shape: tuple[int, int]) -> Segmentation:
    """The object with all but its pixels and references: its source images are stand-ins, one for each frame."""
    from highdicom.seg import Segmentation

    frames = sorted({index for segment in segments for index in segment.packed})
    pixels = np.zeros((len(frames), shape[0] * shape[1]), np.uint8 if len(segments) < 256 else np.uint16)
    for number, segment in enumerate(segments):
        pixels[[frames.index(index) for index in segment.packed], number] = number + 1
    return Segmentation(
        source_images=[_stand_in(origin, index, shape) for index in frames],
        pixel_array=pixels.reshape(len(frames), *shape),
        segmentation_type="BINARY",
        segment_descriptions=[_description(number, part.finding) for number, part in enumerate(segments, start=1)],
        device_serial_number=_LABEL,
        content_label=_LABEL,
        content_description=PURPOSE,
        **new_series(origin, [segment.finding.name for segment in segments]),
    )


def _stand_in(origin: Origin, index: int, shape: tuple[int, int]) -> Dataset:
    """A frame as an image of its own, whose SOP Instance UID tells its index."""
    image = identity(origin)
    image.SOPClassUID = CTImageStorage if origin.has_place else SecondaryCaptureImageStorage
    image.SOPInstanceUID = _uid_of(index)
    image.Rows, image.Columns = shape
    if np.isfinite(origin.spacing).all():
        image.PixelSpacing = [format_number_as_ds(float(mm)) for mm in origin.spacing]
    if not origin.has_place:
        image.pop("FrameOfReferenceUID", None)
        return image
    image.ImageOrientationPatient = [format_number_as_ds(float(part)) for part in origin.orientation]
    image.ImagePositionPatient = [format_number_as_ds(float(mm)) for mm in origin.frames[index].position]
    image.SliceThickness = format_number_as_ds(origin.thickness)
    return image


def _uid_of(index: int) -> str:
    return f"{_STAND_INS}{index + 1}"


def _index_of(uid: str) -> int:
    return int(uid.removeprefix(_STAND_INS)) - 1


def _description(number: int, finding: Finding) -> SegmentDescription:
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.color import CIELabColor
    from highdicom.seg import SegmentDescription

    algorithm = AlgorithmIdentificationSequence(MANUFACTURER, FAMILY, cut(finding.version), source=MANUFACTURER)
    if finding.parameters:
        algorithm[0].AlgorithmParameters = parameters_text(finding)
    is_manual = finding.algorithm == "MANUAL"
    made = SegmentDescription(
        segment_number=number,
        segment_label=finding.label,
        segmented_property_category=_short(finding.category),
        segmented_property_type=_short(finding.kind),
        algorithm_type=finding.algorithm,
        algorithm_identification=None if is_manual else algorithm,
        tracking_uid=new_uid(),
        tracking_id=finding.name,
        anatomic_regions=None if finding.region is None else [_short(finding.region)],
        display_color=CIELabColor.from_rgb(*(round(255 * part) for part in finding.colour)),
    )
    made.SegmentDescription = finding.description
    if finding.modifier is not None:
        kind = made.SegmentedPropertyTypeCodeSequence[0]
        kind.SegmentedPropertyTypeModifierCodeSequence = [code_item(finding.modifier)]
    return made


def _short(code: Code) -> Code:
    return Code(code.value, code.scheme_designator, cut(code.meaning))


def _fill(made: Segmentation, origin: Origin, segments: Sequence[_Masks], shape: tuple[int, int]) -> None:
    """The pixels, and references to the frames in place of the stand-ins."""
    groups = list(made.PerFrameFunctionalGroupsSequence)
    images = [group.DerivationImageSequence[0].SourceImageSequence[0] for group in groups]
    indices = [_index_of(image.ReferencedSOPInstanceUID) for image in images]  # before: segments share such items
    for image, index in zip(images, indices, strict=True):
        copy_elements(reference(origin.frames[index]), _REFERENCE, image)
    numbers = [_number_of(made, group) for group in groups]
    planes = [segments[number - 1].packed[index] for number, index in zip(numbers, indices, strict=True)]
    made.PixelData = _joined(planes, shape[0] * shape[1])
    used = {str(image.ReferencedSOPInstanceUID) for image in images}
    files = [item for item in file_references(origin) if item.ReferencedSOPInstanceUID in used]
    made.SourceImageSequence = files
    series = Dataset()
    series.SeriesInstanceUID = origin.header.SeriesInstanceUID
    series.ReferencedInstanceSequence = files
    made.ReferencedSeriesSequence = [series]


def _number_of(made: Dataset, group: Dataset) -> int:
    """Of the segment of a frame; where there is one segment it may be said of all frames together."""
    for groups in (group, made.SharedFunctionalGroupsSequence[0]):
        if "SegmentIdentificationSequence" in groups:
            return int(groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
    return 1


def _joined(planes: Sequence[np.ndarray], pixels: int) -> bytes:
    """The bits of all frames one after the other, to an even number of bytes (DICOM PS3.5 8.1.1)."""
    if pixels % 8:
        bits = np.concatenate([np.unpackbits(plane, count=pixels, bitorder="little") for plane in planes])
        packed = np.packbits(bits, bitorder="little").tobytes()
    else:
        packed = b"".join(plane.tobytes() for plane in planes)
    return packed + bytes(len(packed) % 2)
