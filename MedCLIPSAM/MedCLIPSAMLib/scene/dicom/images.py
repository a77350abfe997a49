"""One DICOM file: whether it is an image, and whether all that its header claims is there."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from PIL import Image as Picture
from pydicom import Dataset, dcmread
from pydicom.dataelem import RawDataElement
from pydicom.errors import InvalidDicomError
from pydicom.misc import is_dicom
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

from .compat import JPEGLossless, frames
from .headers import number_of, value_of

PLAIN = ("", ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
_PICTURES = (JPEGBaseline8Bit, JPEG2000Lossless, JPEG2000)  # whose headers Pillow reads
READ_BY_GDCM = (
    *PLAIN,
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
_MOST_FRAMES = 1 << 24
_PIXELS = 0x7FE00010
_UNDEFINED = 0xFFFFFFFF  # length of an element that ends by a mark: of compressed pixels
_READ = 1 << 16  # bytes; longer values are not read here
_NO_SCANS = ("SEG", "RTDOSE", "PR", "KO")  # modalities whose images are results, laid over others


class Damaged(Exception):
    """The file begins as DICOM does, and cannot be read to its end."""


@dataclass(frozen=True, eq=False)
class Image:
    """A DICOM file with pixels.

    Attributes:
        file: its path.
        header: all but long values, which are left where they are.
        stored: bytes of its pixels as they are stored.
        syntax: its transfer syntax, "" where the file names none.
    """

    file: Path
    header: Dataset = field(repr=False)  # has the patient's name
    stored: int
    syntax: str

    @property
    def frames(self) -> int:
        """How many frames it says it has; 0 where it says something else."""
        count = number_of(self.header, "NumberOfFrames", 1)
        return int(count) if 1 <= count < _MOST_FRAMES else 0

    @property
    def bytes_each(self) -> float:
        """Bytes of a pixel where they are not compressed; NaN where it does not say."""
        samples = number_of(self.header, "SamplesPerPixel", 1)
        if (
            samples == 3
            and self.syntax in PLAIN
            and value_of(self.header, "PhotometricInterpretation") == "YBR_FULL_422"
        ):
            samples = 2  # two pixels share their colour
        return samples * number_of(self.header, "BitsAllocated") / 8

    @property
    def bytes_of_frame(self) -> float:
        """Bytes of a frame where they are not compressed; NaN where it does not say."""
        return number_of(self.header, "Rows") * number_of(self.header, "Columns") * self.bytes_each


def read_header(file: Path) -> Image | None:
    """A DICOM file of any kind, None for anything else.

    Raises:
        Damaged: it may be a slice, without which a volume would be another one.
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
        if "Rows" not in header and "Image Storage" in UID(_kind(header)).name:
            raise InvalidDicomError  # pydicom gives what it read, or nothing, of a file that is cut off
    except Exception:  # a damaged file can fail anywhere inside pydicom, with any exception
        if is_dicom(file):
            raise Damaged from None
        return None
    return Image(file, header, stored, syntax) if _kind(header) else None


def is_image(image: Image) -> bool:
    """Whether a DICOM file holds an image that was taken of a patient."""
    return "Rows" in image.header and value_of(image.header, "Modality") not in _NO_SCANS


def is_whole(image: Image) -> bool:
    """Whether the pixels that a header claims are there: else GDCM leaves them to chance."""
    header = image.header
    allocated = number_of(header, "BitsAllocated")
    stored = number_of(header, "BitsStored", allocated)
    highest, signed = number_of(header, "HighBit", stored - 1), number_of(header, "PixelRepresentation", 0)
    if allocated not in (8, 16, 32) or signed not in (0, 1) or not 1 <= stored <= highest + 1 <= allocated:
        return False
    claimed = image.bytes_of_frame * image.frames
    groups = value_of(header, "PerFrameFunctionalGroupsSequence")
    if not claimed > 0 or (groups and len(groups) != image.frames):
        return False
    if image.syntax in PLAIN:
        return claimed <= image.stored
    if allocated == 32 or claimed > max(_SLICE * image.frames, _COMPRESSION * image.stored):
        return False
    return _are_pictures(image)


def streams_of(image: Image) -> Iterator[bytes]:
    """The frames of compressed pixels, one after the other, as they are stored.

    Raises:
        Exception: of any kind, where there are fewer, or more.
    """
    yield from frames(dcmread(image.file, force=True).PixelData, image.frames)


def _kind(header: Dataset) -> str:
    return str(value_of(header, "SOPClassUID") or header.file_meta.get("MediaStorageSOPClassUID") or "")


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


def _are_pictures(image: Image) -> bool:
    """Whether compressed pictures say of themselves what their header says: GDCM dies of another number."""
    if image.syntax not in (*_PICTURES, RLELossless) and image.frames == 1:
        return True
    try:
        streams = list(streams_of(image))
        if len(streams) != image.frames:
            return False
        if image.syntax == RLELossless:
            return all(_is_run_length(stream, int(image.bytes_each)) for stream in streams)
        size = tuple(int(number_of(image.header, tag)) for tag in ("Columns", "Rows"))
        return image.syntax not in _PICTURES or all(_size_of(stream) == size for stream in streams)
    except Exception:  # as for all that is read here
        return False


def _is_run_length(stream: bytes, bytes_each: int) -> bool:
    """DICOM PS3.5 G.5: the number of segments, one for each byte of a pixel, and their places."""
    count, *places = struct.unpack_from("<16I", stream)
    found = places[:bytes_each]
    return count == bytes_each and sorted({64, *found, len(stream)}) == [*found, len(stream)]


def _size_of(stream: bytes) -> tuple[int, int]:
    with Picture.open(BytesIO(stream)) as picture:
        return picture.size
