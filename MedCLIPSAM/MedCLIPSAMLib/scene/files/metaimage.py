"""What a MetaImage header claims (https://itk.org/Wiki/ITK/MetaIO/Documentation)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from .contents import LONGEST_HEADER, Stored, beside, check_places, numbered_names, whole_number

_SIZES = {
    **dict.fromkeys(("MET_CHAR", "MET_UCHAR"), 1),
    **dict.fromkeys(("MET_SHORT", "MET_USHORT"), 2),
    **dict.fromkeys(("MET_INT", "MET_UINT", "MET_LONG", "MET_ULONG", "MET_FLOAT"), 4),
    **dict.fromkeys(("MET_LONG_LONG", "MET_ULONG_LONG", "MET_DOUBLE"), 8),
}
_GEOMETRY = (
    "ElementSpacing",
    "ElementSize",
    "Offset",
    "Position",
    "Origin",
    "TransformMatrix",
    "Rotation",
    "Orientation",
)
_USED = (
    "NDims",
    "DimSize",
    "ElementNumberOfChannels",
    "ElementType",
    "BinaryData",
    "CompressedData",
    "CompressedDataSize",
    "HeaderSize",
    "ElementDataFile",
    *_GEOMETRY,
)
_TEXTS = (
    "ObjectType",
    "ObjectSubType",
    "Name",
    "Comment",
    "AnatomicalOrientation",
    "Modality",
    "Color",
    "TransformType",
    "DistanceUnits",
    "AcquisitionDate",
    "ElementDataFile",
)
# Room that ITK has: axes, letters of a name and of those texts, and of what anyone adds, such as DICOM's elements.
_MOST_AXES, _LONGEST_TEXT, _LONGEST_VALUE = 10, 250, 30_000


def stored_voxels(path: Path) -> Iterator[Stored]:
    """Where the voxels of an `.mha` or `.mhd` file are.

    Raises:
        ValueError, KeyError: the header is none, or has a form which ITK does not read as it is meant.
        InputError: the geometry is none.
    """
    with path.open("rb") as stream:
        fields = _header(stream)
        end = stream.tell()
        axes = whole_number(fields["NDims"])
        sizes = [whole_number(word) for word in fields["DimSize"].split()]
        if not 1 <= axes <= _MOST_AXES or len(sizes) != axes or not math.prod(sizes):
            raise ValueError("no sizes")
        check_places(path, _places(fields))
        count, files = _data_files(path, stream, fields["ElementDataFile"], sizes)
    channels = whole_number(fields.get("ElementNumberOfChannels", "1"))
    length = math.prod(sizes) // count * channels * _SIZES[fields["ElementType"]]
    compressed = _truth(fields, "CompressedData", "False")
    # Numbers that are written as text are not read; the last bytes of a file are found by their length when unpacked.
    if not channels or not _truth(fields, "BinaryData", "True") or (compressed and fields.get("HeaderSize") == "-1"):
        raise ValueError("a form which ITK does not read")
    for file in files:
        start = end if file == path else 0
        if fields.get("HeaderSize", "0") not in ("0", "-1"):
            start, before = whole_number(fields["HeaderSize"]), start
            if start < before:
                raise ValueError("voxels inside of the header")
        if compressed:
            size = whole_number(fields.get("CompressedDataSize", "0"))
            if not size and start:
                raise ValueError("no length of what is compressed")
            yield Stored(file, start, length, "zlib", size or None)
        else:
            yield Stored(file, start, length)


def _header(stream: BinaryIO) -> dict[str, str]:
    """The fields that count, by name, up to that of the data file, which is the last."""
    fields: dict[str, str] = {}
    while "ElementDataFile" not in fields:
        line = stream.readline(LONGEST_HEADER)
        if stream.tell() > LONGEST_HEADER:
            raise ValueError("no header is that long")
        if line.isspace():
            continue
        match = re.fullmatch(r"\s*([^=:]*?)\s*[=:](.*)", line.decode("utf-8", "surrogateescape").rstrip())
        if not match or match[1] in fields:
            raise ValueError("no field, or one that is there twice")
        name, value = match[1], match[2].strip()
        if len(name) > _LONGEST_TEXT or len(value) > (_LONGEST_TEXT if name in _TEXTS else _LONGEST_VALUE):
            raise ValueError("a field that is too long")
        if name in _USED:
            fields[name] = value
    return fields


def _places(fields: dict[str, str]) -> Iterator[float]:
    for name in _GEOMETRY:
        yield from map(float, fields.get(name, "").split())


def _truth(fields: dict[str, str], name: str, absent: str) -> bool:
    return fields.get(name, absent)[:1] in ("T", "t", "1")


def _data_files(path: Path, stream: BinaryIO, value: str, sizes: list[int]) -> tuple[int, Iterable[Path]]:
    """How many data files there are, and which, for what the header says of them."""
    words = value.split()
    if value in ("LOCAL", "Local", "local"):
        return 1, [path]
    if words[:1] == ["LIST"]:
        axis = whole_number(words[1].removesuffix("D")) if len(words) > 1 else len(sizes) - 1
        *found, last = stream.read(LONGEST_HEADER).decode("utf-8", "surrogateescape").split("\n")
        if last:
            raise ValueError("a name without the end of its line, which ITK passes over")
        count, found = len(found), map(str.rstrip, found)
    elif "%" in value:
        axis = len(sizes) - 1
        count, found = numbered_names(value)
    else:
        return 1, [beside(path, value)]
    if not 1 <= axis < len(sizes) or count != math.prod(sizes[axis:]):
        raise ValueError("too few or too many data files")
    return count, (beside(path, name) for name in found)
