"""The DICOM frames that a volume was read from: kept with its node, so that results can be laid on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset

from .headers import copy_elements, value_of
from .images import Image, read_header
from .slices import Slice, slices_of

# Of whom and of which study, series and device the images are: what results of them repeat.
_KEPT = (
    "SpecificCharacterSet",
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "StudyInstanceUID",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "StudyDescription",
    "AccessionNumber",
    "ReferringPhysicianName",
    "SeriesInstanceUID",
    "SeriesNumber",
    "Modality",
    "FrameOfReferenceUID",
    "PositionReferenceIndicator",
    "PatientOrientation",
    "Manufacturer",
    "ManufacturerModelName",
    "LossyImageCompression",
    "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
)
_ATTRIBUTE = "MedCLIPSAM_origin"  # of the Python object of a node; no file has it, as it names the patient


@dataclass(frozen=True)
class SourceFrame:
    """One frame.

    Attributes:
        sop_class, sop_instance: UIDs of the file that it is in.
        number: in that file from 1; None where the file has no frames.
        place: k of it in the volume; between two slices of the volume where that was resampled.
        position: (3,) float64 mm, centre of its first pixel as DICOM has it; NaN of a picture.
    """

    sop_class: str
    sop_instance: str
    number: int | None
    place: float
    position: np.ndarray


@dataclass(frozen=True)
class Origin:
    """What a volume was read from.

    Attributes:
        header: patient, study, series and device, as the first image says.
        frames: from the lowest k on.
        orientation: (6,) float64 along the rows and along the columns, as DICOM has them; NaN of a picture.
        spacing: (2,) float64 mm between rows and between columns; NaN where that is not known.
        thickness: mm of a slice, the distance of the next where that is not known; NaN of a picture.
    """

    header: Dataset = field(repr=False)  # has the patient's name
    frames: tuple[SourceFrame, ...]
    orientation: np.ndarray
    spacing: np.ndarray
    thickness: float

    @property
    def has_place(self) -> bool:
        """Whether its frames are somewhere in the patient, which a picture is not."""
        return bool(np.isfinite(self.orientation).all())

    def on_frames(self, mask: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Each frame on which there are voxels, by its index: its own slice, or the nearest where it has none.

        Args:
            mask: (K, J, I) bool on the grid of the volume.

        Returns:
            Index in ``frames``, and (rows, columns) bool.
        """
        filled = set(np.flatnonzero(mask.any(axis=(1, 2))).tolist())
        for index, frame in enumerate(self.frames):
            k = min(round(frame.place), len(mask) - 1)
            if k in filled:
                yield index, mask[k]


def keep_origin(
    volume_node: Any, slices: Sequence[Slice], places: Sequence[float], spacing: np.ndarray, thickness: float
) -> None:
    """Keeps with a volume node what it was read from, for as long as the node lives.

    Args:
        slices: from the lowest k on.
        places: k of each.
    """
    frames = tuple(_frame(slice_, float(place)) for slice_, place in zip(slices, places, strict=True))
    header, first = _header(slices[0].image), slices[0]
    orientation = first.orientation if first.has_place else np.full(6, np.nan)
    setattr(volume_node, _ATTRIBUTE, Origin(header, frames, orientation, spacing, thickness))


def keep_picture_origin(volume_node: Any, file: Path, frame: int | None) -> None:
    """The same for a picture that was read from a DICOM file, of which frame, from 1; None is the first."""
    image = read_header(file)
    if image is not None:
        picture = slices_of(image)[(frame or 1) - 1]
        spacing = picture.spacing if (picture.spacing > 0).all() else np.full(2, np.nan)
        keep_origin(volume_node, [picture], [0], spacing, np.nan)


def origin_of(volume_node: Any) -> Origin | None:
    """What a volume node was read from by this package; None of others, and where it was no DICOM."""
    return getattr(volume_node, _ATTRIBUTE, None)


def _frame(slice_: Slice, place: float) -> SourceFrame:
    header = slice_.image.header
    return SourceFrame(
        str(value_of(header, "SOPClassUID") or ""),
        str(value_of(header, "SOPInstanceUID") or ""),
        None if slice_.frame is None or "NumberOfFrames" not in header else slice_.frame + 1,
        place,
        slice_.position,
    )


def _header(image: Image) -> Dataset:
    kept = Dataset()
    copy_elements(image.header, _KEPT, kept)
    return kept
