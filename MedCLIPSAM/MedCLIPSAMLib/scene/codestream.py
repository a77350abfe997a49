"""What compressed pixels say of themselves: GDCM dies where it is not what the DICOM header says."""

from __future__ import annotations

import struct
from itertools import pairwise

_JPEG = tuple(f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 57, 70, 80, 81))  # the last two are JPEG-LS
_JPEG_2000 = ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91")
_RLE = "1.2.840.10008.1.2.5"
_FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}  # markers that the size of the image follows


def frame_of(data: bytes, syntax: str, rows: int, columns: int) -> tuple[int, int, int]:
    """Rows, columns and allocated bits of a grey-scale slice that is compressed.

    Args:
        rows, columns: what the header says, as run-length encoding has no word on it.

    Raises:
        ValueError: damaged, in colour, or in a way of compression which GDCM does not know.
    """
    try:
        if syntax in _JPEG:
            return _jpeg(data)
        if syntax in _JPEG_2000:
            return _jpeg_2000(data)
        if syntax == _RLE:
            return rows, columns, _run_lengths(data)
    except (struct.error, IndexError) as error:
        raise ValueError("cut off") from error
    raise ValueError("an unknown compression")


def _jpeg(data: bytes) -> tuple[int, int, int]:
    at = 2
    while data[at + 1] not in _FRAMES:
        (length,) = struct.unpack_from(">H", data, at + 2)
        if data[at] != 0xFF or length < 2:
            raise ValueError("no marker")
        at += 2 + length
    _, precision, rows, columns, components = struct.unpack_from(">HBHHB", data, at + 2)
    if data[:2] != b"\xff\xd8" or data[at] != 0xFF or components != 1:
        raise ValueError("no grey-scale image")
    return rows, columns, _allocated(precision)


def _jpeg_2000(data: bytes) -> tuple[int, int, int]:
    right, bottom, left, top = struct.unpack_from(">4I", data, 8)
    components, depth = struct.unpack_from(">HB", data, 40)
    if data[:4] != b"\xff\x4f\xff\x51" or components != 1:
        raise ValueError("no grey-scale image")
    return bottom - top, right - left, _allocated((depth & 0x7F) + 1)


def _run_lengths(data: bytes) -> int:
    count, *starts = struct.unpack_from("<16I", data)
    bounds = [*starts[:count], len(data)]
    if count not in (1, 2, 4) or bounds[0] != 64 or any(start >= end for start, end in pairwise(bounds)):
        raise ValueError("no segments")
    return 8 * count


def _allocated(bits: int) -> int:
    return 8 if bits <= 8 else 16 if bits <= 16 else 32
