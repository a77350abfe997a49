"""The DICOM series in a folder, and which of them may be a volume."""

from __future__ import annotations

import filecmp
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydicom.uid import MediaStorageDirectoryStorage, SecondaryCaptureImageStorage

from ...engine.errors import InputError
from .headers import printable, value_of, words_of
from .images import Damaged, Image, is_image, read_header

INDEX = "DICOMDIR"  # name of the file that lists those of a disc
_LOCALIZER = ("LOCALIZER", "SURVIEW", "SCOUT", "TOPOGRAM", "SCANOGRAM")  # within a word of the type of an image
_FILLED = 0.5  # of the images of a series that must share direction and size for it to be a stack of them


@dataclass(frozen=True)
class FoundSeries:
    """A series of a folder.

    Attributes:
        images: its images; none of reports, structure sets and segmentations.
        number, description, modality: as its first object says.
        objects: how many DICOM files it has.
        place: the folder of its first object, "" where that is the one that was searched.
    """

    images: tuple[Image, ...]
    number: str
    description: str
    modality: str
    objects: int
    place: str

    @property
    def name(self) -> str:
        """Number and description, as 3D Slicer names a volume of it."""
        return printable(f"{self.number}: {self.description}" if self.number else self.description)

    @property
    def count(self) -> int:
        """How many images it has, frames included."""
        return sum(image.frames for image in self.images)

    @property
    def why_no_volume(self) -> str:
        """What it is instead of a stack of slices; "" where it may be one."""
        if not self.images:
            return "no images"
        if all(is_localizer(image) for image in self.images):
            return "localizer"
        if self.count == 1:
            return "one image"
        if all(value_of(image.header, "SOPClassUID") == SecondaryCaptureImageStorage for image in self.images):
            return "screen captures"
        if not any("ImagePositionPatient" in image.header or _has_groups(image) for image in self.images):
            return "no slice positions"
        kinds = Counter(map(_kind, self.images))
        if kinds.most_common(1)[0][1] < max(2, _FILLED * len(self.images)) and not any(map(_has_groups, self.images)):
            return "several directions"
        return ""


@dataclass(frozen=True)
class Contents:
    """What a folder holds: its series in the order of their numbers, and files that may have been slices of one."""

    series: tuple[FoundSeries, ...]
    damaged: tuple[tuple[Path, str], ...]

    def check(self, series: FoundSeries) -> None:
        """Refuse a series beside whose files one lies that cannot be read: it may be a slice of it.

        Raises:
            InputError: there is one.
        """
        folders = {image.file.parent for image in series.images}
        endings = {image.file.suffix for image in series.images}
        for file, state in self.damaged:
            if file.parent in folders and (state != "empty" or file.suffix in endings):
                what = "is empty" if state == "empty" else "is a damaged DICOM file"
                raise InputError(f"{file} {what}; copy it again, or take it out of the folder.")


def contents_of(folder: Path, *, deep: bool | None = None) -> Contents:
    """The series in a folder.

    Args:
        deep: with those in the folders within it; None is where it has an index, or no stack of slices itself.
    """
    own = [file for file in sorted(folder.iterdir()) if file.is_file()]
    if deep is False or (deep is None and not any(file.name.upper() == INDEX for file in own)):
        contents = _contents(folder, own)
        if deep is False or any(not series.why_no_volume for series in contents.series):
            return contents
    return _contents(folder, (file for file in sorted(folder.rglob("*")) if file.is_file()))


def is_localizer(image: Image) -> bool:
    """Whether an image was taken to plan others."""
    words = words_of(image.header, "ImageType")
    return any(kind in word.upper() for word in words for kind in _LOCALIZER)


def without_copies(images: Iterable[Image]) -> list[Image]:
    """Of files that are the same byte for byte, the first."""
    kept: dict[tuple[str, str], list[Image]] = defaultdict(list)
    for image in images:
        same = kept[str(value_of(image.header, "SOPInstanceUID")), str(value_of(image.header, "ImagePositionPatient"))]
        if not any(filecmp.cmp(image.file, other.file, shallow=False) for other in same):
            same.append(image)
    return [image for same in kept.values() for image in same]


def _contents(folder: Path, files: Iterable[Path]) -> Contents:
    series: dict[str, list[Image]] = defaultdict(list)
    damaged: list[tuple[Path, str]] = []
    for file in files:
        if not file.stat().st_size:
            damaged.append((file, "empty"))
            continue
        try:
            image = read_header(file)
        except Damaged:
            damaged.append((file, "damaged"))
            continue
        if image is not None and value_of(image.header, "SOPClassUID") != MediaStorageDirectoryStorage:
            series[str(value_of(image.header, "SeriesInstanceUID"))].append(image)
    found = [_found(objects, folder) for objects in series.values()]
    return Contents(tuple(sorted(found, key=_order)), tuple(damaged))


def _found(objects: list[Image], folder: Path) -> FoundSeries:
    first = objects[0].header
    number, place = value_of(first, "SeriesNumber"), objects[0].file.parent
    return FoundSeries(
        tuple(image for image in objects if is_image(image)),
        "" if number is None else printable(str(number)),
        printable(str(value_of(first, "SeriesDescription") or "unnamed series")),
        printable(str(value_of(first, "Modality") or "")),
        len(objects),
        "" if place == folder else str(place.relative_to(folder)),
    )


def _order(series: FoundSeries) -> tuple[bool, int, str]:
    whole = series.number.isdecimal()
    return not whole, int(series.number) if whole else 0, series.name


def _has_groups(image: Image) -> bool:
    return "PerFrameFunctionalGroupsSequence" in image.header


def _kind(image: Image) -> tuple[str, ...]:
    """Direction and size, by which slices of one stack are alike."""
    directions = value_of(image.header, "ImageOrientationPatient") or ()
    sizes = (str(value_of(image.header, tag)) for tag in ("Rows", "Columns"))
    try:
        return (*(f"{float(number) + 0:.2f}" for number in directions), *sizes)
    except (TypeError, ValueError):
        return (str(directions), *sizes)
