"""What an NRRD header claims (https://teem.sourceforge.net/nrrd/format.html)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from .contents import LONGEST_HEADER, Stored, beside, check_places, numbered_names, whole_number

_SPELLINGS = {"datafile": "data file", "byteskip": "byte skip", "lineskip": "line skip"}
# Bytes of a voxel, by the name of its type without "signed", "unsigned", and an "int" after another word.
_SIZES = {
    **dict.fromkeys(("char", "uchar", "int8", "int8_t", "uint8", "uint8_t"), 1),
    **dict.fromkeys(("short", "ushort", "int16", "int16_t", "uint16", "uint16_t"), 2),
    **dict.fromkeys(("int", "uint", "int32", "int32_t", "uint32", "uint32_t", "float"), 4),
    **dict.fromkeys(("long long", "longlong", "ulonglong", "int64", "int64_t", "uint64", "uint64_t", "double"), 8),
}
_LONGEST_FIELD = 900  # bytes; ITK writes what is wrong with a field into a room of 1024
_TEXT = ("ascii", "txt", "text")
_GZIP = ("gzip", "gz")


def stored_voxels(path: Path) -> Iterator[Stored]:
    """Where the voxels of an `.nrrd` or `.nhdr` file are.

    Raises:
        ValueError, KeyError: the header is none, or has a form which ITK does not read.
        InputError: the geometry is none.
    """
    with path.open("rb") as stream:
        fields, names = _header(stream)
        end = stream.tell()
    sizes = [whole_number(word) for word in fields["sizes"].split()]
    if len(sizes) != whole_number(fields["dimension"]) or not math.prod(sizes):
        raise ValueError("no sizes")
    check_places(path, _places(fields))
    count, files = (1, [path]) if "data file" not in fields else _data_files(path, fields["data file"], names, sizes)
    length = _length(math.prod(sizes) // count, fields)
    skipped = fields.get("byte skip", "0")
    length += 0 if skipped == "-1" else whole_number(skipped)  # -1: they are the last bytes of the file
    for file in files:
        start = end if file == path else 0
        if "line skip" in fields and file.is_file():
            start = _after_lines(file, start, whole_number(fields["line skip"]))
        yield Stored(file, start, length, "gzip" if fields["encoding"].lower() in _GZIP else "")


def is_list(path: Path) -> bool:
    """Whether an NRRD file holds a list of volumes, not of colours or vectors; False if it is no such file.

    SimpleITK 2.5.7 tells that, the 2.5.2 and 2.5.5 of 3D Slicer do not.
    """
    try:
        with path.open("rb") as stream:
            fields, _ = _header(stream)
    except (OSError, ValueError):
        return False
    return "list" in fields.get("kinds", "").lower().split()


def _header(stream: BinaryIO) -> tuple[dict[str, str], list[str]]:
    """Fields by name, up to the empty line or the end, and the names of a list of files."""
    if not re.fullmatch(rb"NRRD000[1-9]\r?\n", stream.readline(16)):
        raise ValueError("not NRRD")
    fields: dict[str, str] = {}
    while line := _line(stream):
        name, colon, value = line.partition(":")
        if line.startswith("#") or value.startswith("="):  # a comment, or a key of anyone's with its value
            continue
        name = name.lower()
        name = _SPELLINGS.get(name, name)
        long = len(line.encode("utf-8", "surrogateescape")) > _LONGEST_FIELD and name != "content"
        if not colon or name in fields or long:
            raise ValueError("no field, one that is there twice, or one that is too long")
        fields[name] = value.strip()
        if name == "data file" and value.split()[:1] == ["LIST"]:
            names = []
            while line := _line(stream):
                names.append(line)
            return fields, names
    return fields, []


def _line(stream: BinaryIO) -> str:
    line = stream.readline(LONGEST_HEADER)
    if stream.tell() > LONGEST_HEADER:
        raise ValueError("no header is that long")
    return line.decode("utf-8", "surrogateescape").rstrip()


def _places(fields: dict[str, str]) -> Iterator[float]:
    """The numbers of the geometry; along axes that are not in space there are none."""
    for name, absent in (("space directions", "none"), ("space origin", ""), ("spacings", "nan")):
        words = re.split(r"[(),\s]+", fields.get(name, "").lower())
        yield from (float(word) for word in words if word not in ("", absent))


def _length(voxels: int, fields: dict[str, str]) -> int:
    """Bytes, at least, that as many voxels take in the file or when unpacked."""
    words = [word for word in fields["type"].lower().split() if word not in ("signed", "unsigned")]
    size = _SIZES[" ".join(words[:-1] if len(words) > 1 and words[-1] == "int" else words)]
    encoding = fields["encoding"].lower()
    if encoding in _TEXT:
        return 2 * voxels - 1  # a digit each, and something between them
    if encoding not in ("raw", "hex", *_GZIP):
        raise ValueError("an encoding which ITK does not have")
    return voxels * size * (2 if encoding == "hex" else 1)


def _data_files(path: Path, value: str, names: list[str], sizes: list[int]) -> tuple[int, Iterable[Path]]:
    """How many data files there are, and which, for what the header says of them."""
    words = value.split()
    if words[:1] == ["LIST"]:
        count, found, axes = len(names), names, words[1:]
    elif "%" in value:
        pattern, axes = (value, []) if len(words) < 5 else (value.rpartition(" ")[0], words[-1:])
        count, found = numbered_names(pattern)
    else:
        return 1, [beside(path, value)]
    axis = whole_number(axes[0]) if axes else len(sizes) - 1  # how many axes the files have
    parts = math.prod(sizes[axis:])
    if not 1 <= axis <= len(sizes) or (count != parts if axis < len(sizes) else not count or sizes[-1] % count):
        raise ValueError("too few or too many data files")
    return count, (beside(path, name) for name in found)


def _after_lines(file: Path, start: int, count: int) -> int:
    """Bytes up to the end of so many lines after ``start``."""
    with file.open("rb") as stream:
        stream.seek(start)
        while count:
            piece = stream.readline(1 << 16)
            if not piece:
                raise ValueError("fewer lines than are to be skipped")
            count -= piece.endswith(b"\n")
        return stream.tell()
