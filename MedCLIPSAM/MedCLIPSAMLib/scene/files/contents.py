"""Whether the voxels that a header claims are in its files.

ITK believes headers: it allocates what they claim, opens what they name, and leaves to chance what is missing.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal
from unicodedata import category

from ...engine.errors import InputError

LONGEST_HEADER = 1 << 24  # bytes; the descriptions of some thousand segments are far less
_WINDOWS = {"gzip": 31, "zlib": 47}  # of zlib: 16 more is gzip's header, 32 more is either
_FAR = 1e9  # mm; squares of much more are infinite in single precision
_PIECE = 1 << 16  # bytes unpacked at once, which may become a thousand times as many


@dataclass(frozen=True)
class Stored:
    """Voxels that a header says are in a file.

    Attributes:
        file: the file of the header, or one beside it.
        start: bytes before them.
        length: bytes of them when unpacked, with what is to be skipped there.
        packing: how they are compressed.
        packed: bytes of them when compressed; None is the rest of the file.
    """

    file: Path
    start: int
    length: int
    packing: Literal["", "gzip", "zlib"] = ""
    packed: int | None = None


def check_contents(path: Path, parts: Iterable[Stored]) -> None:
    """Refuse an image whose files end before its last voxel, or are damaged where they are compressed.

    Raises:
        InputError: they do or are, or a data file is none.
    """
    for part in parts:
        if not part.file.is_file():  # a pipe or device would never end
            raise InputError(f"{path} keeps voxels in {part.file.name!r}, which is no file there; copy both again.")
        if not _holds(part):
            where = "" if part.file == path else f" in {part.file.name!r}"
            raise InputError(f"{path} is damaged or cut off{where}; copy it again.")


def check_places(path: Path, numbers: Iterable[float]) -> None:
    """Refuse a geometry that ITK reads as another one, or computes with for ever.

    Args:
        numbers: sizes of voxels, directions and positions.

    Raises:
        InputError: one of them is not finite, or far beyond any patient.
    """
    if not all(abs(number) < _FAR for number in numbers):
        raise InputError(f"{path} has a voxel size or a position that is no number of mm; correct its header.")


def whole_number(text: str) -> int:
    """A number as headers write sizes.

    Raises:
        ValueError: anything else, also what Python would take for a number.
    """
    if not re.fullmatch("[0-9]{1,19}", text):
        raise ValueError(f"{text!r} is no whole number")
    return int(text)


def numbered_names(pattern: str) -> tuple[int, Iterable[str]]:
    """How many files a pattern as in C, with the first and last number and the step, stands for, and their names.

    Raises:
        ValueError: a pattern of another form; such as `%s` have ITK read and write where they should not.
    """
    match = re.fullmatch(r"([^%]*)%(0?[1-9]?)d([^%]*)\s+(\d{1,9})\s+(\d{1,9})\s+(\d{1,9})", pattern)
    if not match:
        raise ValueError(f"{pattern!r} is no pattern of files")
    before, digits, after, *limits = match.groups()
    first, last, step = map(int, limits)
    numbers = range(first, last + 1, step)
    return len(numbers), (f"{before}{number:{digits}d}{after}" for number in numbers)


def beside(path: Path, name: str) -> Path:
    """The data file that a header names.

    Raises:
        ValueError: it is no name.
    """
    name.encode()  # halves of surrogate pairs stand for bytes which are no text
    if name in ("", "-") or any(category(letter) == "Cc" for letter in name):  # a dash would be the standard input
        raise ValueError(f"{name!r} is no file")
    return path.parent / name


def _holds(part: Stored) -> bool:
    size = part.file.stat().st_size - part.start
    if not part.packing:
        return size >= part.length
    if part.packed is not None and part.packed > size:
        return False
    with part.file.open("rb") as stream:
        stream.seek(part.start)
        try:
            return _unpacks(stream, part)
        except zlib.error:
            return False


def _unpacks(stream: BinaryIO, part: Stored) -> bool:
    """Whether all comes out; checksums are compared, but for those of data far behind it."""
    unpacker, packed, unpacked = zlib.decompressobj(_WINDOWS[part.packing]), b"", 0
    left = part.packed
    while unpacked <= part.length:
        if unpacker.eof:
            if unpacked == part.length:
                return True
            if part.packing == "zlib":
                return False
            unpacker = zlib.decompressobj(_WINDOWS[part.packing])  # gzip files may follow each other
        if not packed:
            packed = stream.read(_PIECE if left is None else min(left, _PIECE))
            left = None if left is None else left - len(packed)
        if not packed:
            return False
        unpacked += len(unpacker.decompress(packed))
        packed = unpacker.unused_data
    return True
