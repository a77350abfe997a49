"""One scalar volume out of a folder of DICOM files: which files, in which order."""

from __future__ import annotations

import filecmp
import struct
import warnings
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.dataelem import RawDataElement
from pydicom.errors import InvalidDicomError
from pydicom.misc import is_dicom
from pydicom.multival import MultiValue
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)
from pydicom.valuerep import VR

from ...engine.errors import InputError
from .compat import JPEGLossless, frames

# Slice positions are written with few decimals. Beyond this fraction of the slice distance it is no rounding.
_TOLERANCE = 0.02
_PLAIN = ("", ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
_PICTURES = (JPEGBaseline8Bit, JPEG2000Lossless, JPEG2000)  # whose headers Pillow reads
_READ_BY_GDCM = (
    *_PLAIN,
    *_PICTURES,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)
# What one byte of compressed pixels may stand for, and bytes of a slice which even an empty one may claim.
_COMPRESSION, _SLICE = 1000, 1 << 24
_PIXELS = 0x7FE00010
_UNDEFINED = 0xFFFFFFFF  # length of an element that ends by a mark: of compressed pixels
_READ = 1 << 16  # bytes; longer values are not read here
_INDEX = "DICOMDIR"  # name of the file that lists those of a disc
_LONGEST_NAME = 64  # characters, as DICOM allows


@dataclass(frozen=True)
class Series:
    """The slices of one image series.

    Attributes:
        files: paths of the slices in the order of their positions, so that IJK is right-handed.
        name: the series number and description, as 3D Slicer names such a volume.
        modality: the DICOM modality, such as "CT" or "MR".
        thickness: mm, of a single slice, whose distance to the next one nothing tells; else None.
    """

    files: tuple[Path, ...]
    name: str
    modality: str
    thickness: float | None


def find_series(path: Path) -> Series:
    """The only image series of the folder `path`, or the series that the DICOM file `path` belongs to.

    Where the folder itself has no images, as exports for a disc, those of the folders in it count. Files that are no
    DICOM images (reports, structure sets, segmentations, other files), and second copies of a slice, are passed over.

    Raises:
        InputError: no image series, several of them, or one that is no stack of evenly spaced scalar slices.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, of what is raised here where it matters
        return _find_series(path)


@dataclass(frozen=True)
class _Image:
    """A file, its geometry, and bytes of its pixels as they are stored; `syntax` is "" where the file names none."""

    file: Path
    header: Dataset
    stored: int
    syntax: str


_Images = list[_Image]


def _find_series(path: Path) -> Series:
    folder = path if path.is_dir() else path.parent
    is_index = path.name.upper() == _INDEX
    series = _by_series(folder.iterdir())
    if not series and (path.is_dir() or is_index):
        series = _by_series(folder.rglob("*"))
    if path.is_file() and not is_index:
        images = next((images for images in series.values() if any(each.file == path for each in images)), None)
        if images is None:
            raise InputError(f"{path} is no DICOM image; give a file of an image series.")
        return _stack(path, images)
    if not series:
        raise InputError(f"{folder} holds no DICOM images; give the folder with the image files.")
    if len(series) > 1:
        names = "; ".join(sorted(_account(images, folder) for images in series.values()))
        raise InputError(f"{folder} holds {len(series)} series: {names}; give a file of the one you mean.")
    return _stack(folder, next(iter(series.values())))


def _by_series(files: Iterable[Path]) -> dict[str, _Images]:
    series: dict[str, _Images] = defaultdict(list)
    files = sorted(file for file in files if file.is_file())
    for file in files:
        image = _image(file)
        if image is not None:
            series[str(_value(image.header, "SeriesInstanceUID"))].append(image)
    endings = {image.file.suffix for images in series.values() for image in images}
    for file in files:
        if file.suffix in endings and not file.stat().st_size:  # or a volume would end a slice earlier
            raise InputError(f"{file} is empty; copy it again, or take it out of the folder.")
    return series


def _image(file: Path) -> _Image | None:
    """Geometry and pixels of a DICOM image, None for anything else.

    Raises:
        InputError: a damaged file, which may be a slice: without it the volume would be another one.
    """
    try:
        if not _may_be_dicom(file):
            return None
        header = dcmread(file, defer_size=_READ, force=True)
        syntax = str(header.file_meta.get("TransferSyntaxUID", ""))
        if syntax == DeflatedExplicitVRLittleEndian:
            header = dcmread(file, force=True)
        if not syntax and is_dicom(file):
            raise InvalidDicomError  # only files without a preamble may leave it out
        stored = _stored(header, file.stat().st_size)
        kind = _value(header, "SOPClassUID") or header.file_meta.get("MediaStorageSOPClassUID")
        if "Rows" not in header and "Image Storage" in UID(str(kind)).name:
            raise InvalidDicomError  # pydicom gives what it read, or nothing, of a file that is cut off
    except Exception:  # a damaged file can fail anywhere inside pydicom, with any exception
        if is_dicom(file):
            raise InputError(f"{file} is a damaged DICOM file; copy it again, or take it out of the folder.") from None
        return None
    is_image = kind and "Rows" in header and _value(header, "Modality") != "SEG"
    return _Image(file, header, stored, syntax) if is_image else None


def _may_be_dicom(file: Path) -> bool:
    """Whether it begins as DICOM does; some archives strip the preamble, and anything is an element to pydicom."""
    with file.open("rb") as stream:
        return is_dicom(file) or stream.read(2) in (b"\2\0", b"\10\0")


def _stored(header: Dataset, size: int) -> int:
    """Bytes of the pixels of a file of so many bytes; values that are long are left where they are.

    Raises:
        ValueError: what has GDCM hang: types that there are not, and lengths beyond the end of the file.
    """
    stored = 0
    for tag, element in header.items():  # as they are: asking for one would read it
        if isinstance(element, RawDataElement):
            VR(element.VR or "UN")
            is_left = element.value is None and element.length > 0
            there = size - element.value_tell if is_left else len(element.value or b"")
            if element.length != _UNDEFINED and element.length > there:
                raise ValueError("an element ends beyond the file")
            if tag == _PIXELS:
                stored = there if element.length == _UNDEFINED else element.length
    return stored


def _is_whole(image: _Image) -> bool:
    """Whether the pixels that a header claims are there: else GDCM leaves them to chance."""
    header = image.header
    rows, columns, allocated = (_number(header, tag) for tag in ("Rows", "Columns", "BitsAllocated"))
    stored = _number(header, "BitsStored", allocated)
    highest, signed = _number(header, "HighBit", stored - 1), _number(header, "PixelRepresentation", 0)
    if allocated not in (8, 16, 32) or signed not in (0, 1) or not 1 <= stored <= highest + 1 <= allocated:
        return False
    bytes_each = int(allocated) // 8
    claimed = rows * columns * bytes_each
    if image.syntax in _PLAIN:
        return 0 < claimed <= image.stored
    if allocated == 32 or not 0 < claimed <= max(_SLICE, _COMPRESSION * image.stored):
        return False
    return _is_picture(image, (int(columns), int(rows)), bytes_each)


def _is_picture(image: _Image, size: tuple[int, int], bytes_each: int) -> bool:
    """Whether a compressed picture says of itself what its header says: GDCM dies of another number."""
    if image.syntax not in (*_PICTURES, RLELossless):
        return True
    try:
        (stream,) = frames(dcmread(image.file, force=True).PixelData, 1)
        if image.syntax == RLELossless:  # DICOM PS3.5 G.5: the number of segments, one for each byte, and their places
            count, *places = struct.unpack_from("<16I", stream)
            found = places[:bytes_each]
            return count == bytes_each and sorted({64, *found, len(stream)}) == [*found, len(stream)]
        with Image.open(BytesIO(stream)) as picture:
            return picture.size == size
    except Exception:  # as for all that is read here
        return False


def _name(header: Dataset) -> str:
    number, description = _value(header, "SeriesNumber"), _value(header, "SeriesDescription") or "unnamed series"
    return _printable(f"{number}: {description}" if number is not None else str(description))


def _printable(name: str) -> str:
    return "".join(letter for letter in name if letter.isprintable())[:_LONGEST_NAME]


def _account(images: _Images, folder: Path) -> str:
    count = "1 image" if len(images) == 1 else f"{len(images)} images"
    place = images[0].file.parent
    return f"{_name(images[0].header)} ({count}{'' if place == folder else f' in {place.relative_to(folder)}'})"


def _without_copies(images: _Images) -> _Images:
    """Of files that are the same byte for byte, the first."""
    kept: dict[tuple[str, str], _Images] = defaultdict(list)
    for image in images:
        same = kept[str(_value(image.header, "SOPInstanceUID")), str(_value(image.header, "ImagePositionPatient"))]
        if not any(filecmp.cmp(image.file, other.file, shallow=False) for other in same):
            same.append(image)
    return [image for same in kept.values() for image in same]


def _stack(source: Path, images: _Images) -> Series:
    images = _without_copies(images)
    first, headers = images[0].header, [image.header for image in images]
    what = f"The series {_name(first)} in {source}"
    if not all(_number(header, "NumberOfFrames", 1) == 1 for header in headers):
        raise InputError(f"{what} is stored as multi-frame files; load it in 3D Slicer and save it as NRRD.")
    if not all(_is_grey(header) for header in headers):
        raise InputError(f"{what} has colour pixels; give a series of grey-scale images.")
    if others := [UID(image.syntax).name for image in images if image.syntax not in _READ_BY_GDCM]:
        raise InputError(
            f"{what} is compressed in a way that is not read ({_printable(others[0])}); save it uncompressed."
        )
    if damaged := [image.file for image in images if not _is_whole(image)]:
        raise InputError(f"{damaged[0]} is damaged or cut off; copy it again, or take it out of the folder.")
    orientations, positions, spacings, rows, columns = (
        np.array([_numbers(header, tag, count) for header in headers])
        for tag, count in (
            ("ImageOrientationPatient", 6),
            ("ImagePositionPatient", 3),
            ("PixelSpacing", 2),
            ("Rows", 1),
            ("Columns", 1),
        )
    )
    normals = np.cross(orientations[:, :3], orientations[:, 3:])
    # A direction of zeros, as some derived images have, is none either.
    if not (np.isfinite(positions).all() and (np.linalg.norm(normals, axis=1) > 0.5).all()):
        raise InputError(f"{what} has no slice positions; give a cross-sectional series.")
    grids = np.hstack([orientations, np.nan_to_num(spacings, nan=1), rows, columns])
    if not np.abs(grids - grids[0]).max() <= 1e-3:
        raise InputError(f"{what} mixes slices of several directions or sizes; leave one kind there.")
    order = _sorted(what, positions, normals[0])
    thickness = _number(first, "SliceThickness") if len(images) == 1 else 0
    return Series(
        tuple(images[index].file for index in order),
        _name(first),
        str(_value(first, "Modality") or ""),
        thickness if 0 < thickness < np.inf else None,
    )


def _value(header: Dataset, tag: str) -> Any:
    """What a tag holds; None where it is absent, empty or damaged."""
    try:
        value = header.get(tag)
    except Exception:  # read only now, when it is asked for; it fails as reading a file does
        return None
    return None if isinstance(value, str | MultiValue) and not value else value


def _number(header: Dataset, tag: str, absent: float = np.nan) -> float:
    """NaN where the tag does not hold one number."""
    return float(_numbers(header, tag, 1)[0]) if tag in header else absent


def _is_grey(header: Dataset) -> bool:
    kind = _value(header, "PhotometricInterpretation") or "MONOCHROME2"
    return _number(header, "SamplesPerPixel", 1) == 1 and kind in ("MONOCHROME1", "MONOCHROME2")


def _numbers(header: Dataset, tag: str, count: int) -> np.ndarray:
    """(count,) float64, all NaN where the tag does not hold that many numbers."""
    value = _value(header, tag)
    try:
        numbers = np.array(list(value) if isinstance(value, MultiValue) else [value], np.float64)
    except (TypeError, ValueError, OverflowError):
        numbers = np.empty(0)
    return numbers if numbers.shape == (count,) else np.full(count, np.nan)


def _sorted(what: str, positions: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Indices of the slices along `normal`; refuses stacks which are no even, straight grid."""
    normal = normal / np.linalg.norm(normal)
    distances = positions @ normal
    order = np.argsort(distances, kind="stable")
    if len(order) == 1:
        return order
    steps = np.diff(distances[order])
    step = float(np.median(steps))
    if steps.min() < 1e-3:
        raise InputError(f"{what} has several images at one position; leave one phase or echo in the folder.")
    if np.abs(steps - step).max() > _TOLERANCE * step:
        raise InputError(
            f"{what} has slice distances from {steps.min():.2f} to {steps.max():.2f} mm; "
            "add the missing slices or resample it to even ones."
        )
    drift = np.diff(positions[order], axis=0) - steps[:, None] * normal
    if np.linalg.norm(drift, axis=1).max() > _TOLERANCE * step:
        raise InputError(f"{what} is tilted against its slices; load it in 3D Slicer and save it as NRRD.")
    return order
