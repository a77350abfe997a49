"""The slices of DICOM images: a file holds one, or as many as it has frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from pydicom import Dataset

from .headers import copy_elements, number_of, numbers_of, value_of
from .images import Image

FAR = 1e6  # mm, beyond any patient
# Functional groups of a frame (DICOM PS3.3 C.7.6.16) that say where it is, and what it shows beside others.
_GROUPS = (
    "FrameContentSequence",
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "PixelMeasuresSequence",
    "PixelValueTransformationSequence",
    "TemporalPositionSequence",
    "CardiacSynchronizationSequence",
    "RespiratorySynchronizationSequence",
    "CTImageFrameTypeSequence",
    "CTPositionSequence",
    "PETFrameTypeSequence",
    "MRImageFrameTypeSequence",
    "MREchoSequence",
    "MRModifierSequence",
    "MRDiffusionSequence",
    "DiffusionGradientDirectionSequence",  # within the one before
)
# Of the file, where no group says it.
_FILE = (
    "Rows",
    "Columns",
    "ImageType",
    "SliceThickness",
    "InstanceNumber",
    "AcquisitionNumber",
    "DimensionIndexSequence",
)


@dataclass(frozen=True, eq=False)
class Slice:
    """One picture with its place.

    Attributes:
        image: the file it is in.
        frame: its number in the file from 0, None where the file has no frames.
        header: what is said of it, as if it were a file of its own.
        position, orientation, spacing: (3,), (6,) and (2,) float64 as DICOM has them, NaN where it has not.
    """

    image: Image
    frame: int | None
    header: Dataset = field(repr=False)  # has the patient's name
    position: np.ndarray
    orientation: np.ndarray
    spacing: np.ndarray

    @classmethod
    def of(cls, image: Image, frame: int | None, header: Dataset) -> Slice:
        """From the header of the slice."""
        position, orientation, spacing = (
            numbers_of(header, tag, count)
            for tag, count in (("ImagePositionPatient", 3), ("ImageOrientationPatient", 6), ("PixelSpacing", 2))
        )
        return cls(image, frame, header, position, orientation, spacing)

    @property
    def has_place(self) -> bool:
        """Whether it has a position and two directions that span a plane."""
        normal = np.cross(self.orientation[:3], self.orientation[3:])
        # A direction of zeros, as some derived images have, is none either.
        are_numbers = (np.abs(self.position) < FAR).all() and (np.abs(self.orientation) < 2).all()
        return bool(are_numbers and np.linalg.norm(normal) > 0.5)

    @property
    def number(self) -> tuple[float, int]:
        """By which it was counted when it was made, before all others where nothing says it."""
        return float(np.nan_to_num(number_of(self.header, "InstanceNumber"), nan=-np.inf)), self.frame or 0


def slices_of(image: Image) -> list[Slice]:
    """One for each frame; without a place where the file has frames but does not say where each of them is."""
    per_frame = value_of(image.header, "PerFrameFunctionalGroupsSequence")
    if not per_frame:
        if image.frames == 1:
            return [Slice.of(image, None, image.header)]
        return [Slice.of(image, number, _of_file(image.header)) for number in range(image.frames)]
    common, shared = _of_file(image.header), value_of(image.header, "SharedFunctionalGroupsSequence") or ()
    for group in shared:
        common.update(_flat(group))
    slices = []
    for number, groups in enumerate(per_frame):
        header = Dataset()
        header.update(common)
        header.update(_flat(groups))
        slices.append(Slice.of(image, number, header))
    return slices


def _of_file(header: Dataset) -> Dataset:
    chosen = Dataset()
    copy_elements(header, _FILE, chosen)
    return chosen


def _flat(groups: Dataset) -> Dataset:
    """What the items of functional groups hold, side by side."""
    flat = Dataset()
    for group in _items(groups):
        copy_elements(group, group.keys(), flat)
        flat.update(_flat(group))
    return flat


def _items(groups: Dataset) -> Iterator[Dataset]:
    for name in _GROUPS:
        items = value_of(groups, name)
        if items:
            yield items[0]
