"""Walks through a DICOM file to its pixels and beyond: GDCM hangs or dies where lengths or types are damaged."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydicom.datadict import dictionary_VR
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

_PIXELS, _SYNTAX = 0x7FE00010, 0x00020010
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
_DEEPEST = 32  # sequences within each other
_UNPACKED = 1 << 28  # bytes at most of a slice that is compressed as a whole file
# Types whose length has 32 bits in explicit files; the others have 16, also what some programs write for unknown ones.
_LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
_SHORT = {b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL"}
_SHORT |= {b"SS", b"ST", b"TM", b"UI", b"UL", b"US", b"??", b"\0\0"}


@dataclass(frozen=True)
class Pixels:
    """The pixels of a DICOM file as they are stored.

    Attributes:
        syntax: UID of the transfer syntax; "" where the file names none.
        length: of them in bytes.
        fragments: start and length of each part where they are compressed, without the table of offsets.
    """

    syntax: str
    length: int
    fragments: tuple[tuple[int, int], ...]


def find_pixels(file: Path) -> Pixels | None:
    """What a DICOM file has of pixels; None if it has none.

    Raises:
        ValueError: an element has no known type, or reaches beyond the end of the file or of what it is in.
    """
    with file.open("rb") as stream:
        stream.seek(128)
        if stream.read(4) != b"DICM":
            stream.seek(0)
        syntax = _transfer_syntax(stream)
        if syntax == DeflatedExplicitVRLittleEndian:
            walk = _Walk(io.BytesIO(_unpacked(stream.read())), "<")
            walk.elements(walk.end, explicit=True)
        else:
            explicit = syntax != ImplicitVRLittleEndian if syntax else _peek(stream, 6)[4:] in _LONG | _SHORT
            walk = _Walk(stream, ">" if syntax == ExplicitVRBigEndian else "<")
            walk.elements(walk.end, explicit=explicit)
    return walk.pixels and Pixels(syntax, *walk.pixels)


def read_fragments(file: Path, pixels: Pixels) -> bytes:
    """The compressed pixels, in one piece."""
    with file.open("rb") as stream:
        parts = []
        for start, length in pixels.fragments:
            stream.seek(start)
            parts.append(stream.read(length))
    return b"".join(parts)


def _transfer_syntax(stream: BinaryIO) -> str:
    """Reads the group before the elements, whose types are always written, and stays at its end."""
    walk, syntax = _Walk(stream, "<"), ""
    while _peek(stream, 2) == b"\2\0":
        tag, _, length = walk.element(explicit=True)
        after = walk.after(length, walk.end)
        if tag == _SYNTAX:
            syntax = stream.read(length).decode("ascii").rstrip("\0 ")
        stream.seek(after)
    return syntax


def _peek(stream: BinaryIO, count: int) -> bytes:
    peeked = stream.read(count)
    stream.seek(-len(peeked), io.SEEK_CUR)
    return peeked


def _unpacked(packed: bytes) -> bytes:
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, _UNPACKED)
    except zlib.error as error:
        raise ValueError("damaged where it is compressed") from error


class _Walk:
    """Goes through the elements of a stream from where it stands."""

    def __init__(self, stream: BinaryIO, order: str) -> None:
        self._stream = stream
        self._untyped, self._typed, self._long = (struct.Struct(order + each) for each in ("HHI", "HH2sH", "I"))
        start = stream.tell()
        self.end = stream.seek(0, io.SEEK_END)
        stream.seek(start)
        self.pixels: tuple[int, tuple[tuple[int, int], ...]] | None = None

    def element(self, *, explicit: bool) -> tuple[int, bytes, int]:
        """Tag, type and length, up to the value."""
        head = self._stream.read(8)
        if not head.strip(b"\0"):
            return 0, b"", 0
        group, number, length = self._untyped.unpack(self._whole(head, 8))
        kind = b""
        if explicit and group != 0xFFFE:  # delimiters have no type
            group, number, kind, length = self._typed.unpack(head)
            if kind in _LONG:
                (length,) = self._long.unpack(self._whole(self._stream.read(4), 4))
            elif kind not in _SHORT:
                raise ValueError(f"{kind!r} is no type")
        tag = group << 16 | number
        if tag in (_ITEM_END, _SEQUENCE_END) and length:
            raise ValueError("a delimiter with a length")
        return tag, kind, length

    def after(self, length: int, end: int) -> int:
        """Where a value ends."""
        after = self._stream.tell() + length
        if after > end:
            raise ValueError("an element reaches beyond what it is in")
        return after

    def elements(self, end: int, *, explicit: bool, depth: int = 0) -> bool:
        """Up to ``end``, or to the delimiter of the item they are in; True for the latter."""
        if depth > _DEEPEST:
            raise ValueError("too many sequences within each other")
        while self._stream.tell() < end:
            tag, kind, length = self.element(explicit=explicit)
            if tag == _ITEM_END and depth:
                return True
            if not tag and not depth:
                self._padding()
            elif length == _UNDEFINED and (kind in (b"OB", b"OW") or tag == _PIXELS):
                parts = tuple(self._fragments(end))[1:]  # the first is a table of offsets
                if tag == _PIXELS and not depth:
                    self.pixels = sum(length for _, length in parts), parts
            elif length == _UNDEFINED or _is_sequence(tag, kind):
                within = end if length == _UNDEFINED else self.after(length, end)
                # A sequence of unknown type is of one without types.
                self._items(within, length == _UNDEFINED, explicit and kind != b"UN", depth)
            else:
                if tag == _PIXELS and not depth:
                    self.pixels = length, ()
                self._stream.seek(self.after(length, end))
        return False

    def _items(self, end: int, undefined: bool, explicit: bool, depth: int) -> None:
        while self._stream.tell() < end:
            tag, _, length = self.element(explicit=False)
            if tag == _SEQUENCE_END and undefined:
                return
            if tag != _ITEM:
                raise ValueError("no item")
            within = end if length == _UNDEFINED else self.after(length, end)
            if self.elements(within, explicit=explicit, depth=depth + 1) != (length == _UNDEFINED):
                raise ValueError("an item ends elsewhere")
        if undefined:
            raise ValueError("a sequence without its end")

    def _fragments(self, end: int) -> Iterator[tuple[int, int]]:
        while True:
            tag, _, length = self.element(explicit=False)
            if tag == _SEQUENCE_END:
                return
            after = self.after(length, end)
            if tag != _ITEM:
                raise ValueError("no fragment")
            yield after - length, length
            self._stream.seek(after)

    def _padding(self) -> None:
        while piece := self._stream.read(1 << 16):
            if piece.strip(b"\0"):
                raise ValueError("no element")

    def _whole(self, read: bytes, count: int) -> bytes:
        if len(read) < count:
            raise ValueError("cut off")
        return read


def _is_sequence(tag: int, kind: bytes) -> bool:
    if kind:
        return kind == b"SQ"
    try:
        return dictionary_VR(tag) == "SQ"
    except KeyError:  # of a manufacturer
        return False
