"""One volume out of a file that holds several: 4D NIfTI and MetaImage, and sequences in NRRD."""

from __future__ import annotations

import math
from pathlib import Path

import SimpleITK as sitk

from ...engine.errors import InputError
from .nrrd import is_list


def frames_in(reader: sitk.ImageFileReader) -> int:
    """How many volumes a file holds whose header was read; of vectors and colours it is one."""
    if reader.GetNumberOfComponents() > 1:
        return reader.GetNumberOfComponents() if is_list(Path(reader.GetFileName())) else 1
    return math.prod(reader.GetSize()[3:])


def write_frame(path: Path, reader: sitk.ImageFileReader, number: int, target: Path) -> None:
    """Writes one volume of a file of several as a file of its own.

    Args:
        path: the file, for messages.
        reader: of it, whose header was read.
        number: of the volume, from 1.
        target: ends in .nrrd.

    Raises:
        InputError: there is no such volume, or they lie along several axes.
        OSError: there is no room for it.
    """
    size, count = reader.GetSize(), frames_in(reader)
    if not 1 <= number <= count:
        there = "one volume" if count == 1 else f"volumes 1 to {count}"
        raise InputError(f"{path} has {there}; there is no frame {number}.")
    if len(size) > 4 and min(size[3], count // max(1, size[3])) > 1:
        raise InputError(f"{path} has volumes along more than one axis; save one of them as a file.")
    if reader.GetNumberOfComponents() > 1:
        frame = sitk.VectorIndexSelectionCast(reader.Execute(), number - 1)
    else:
        place = [0] * (len(size) - 3)
        place[0] = (number - 1) % size[3]
        reader.SetExtractSize([*size[:3], *[0] * len(place)])
        reader.SetExtractIndex([0, 0, 0, *place])
        frame = reader.Execute()
    try:
        sitk.WriteImage(frame, str(target))
    except RuntimeError as error:
        raise OSError(0, "the disk is full", str(target)) from error


def frame_remark(name: str, number: int, count: int, *, what: str = "", chosen: bool = False) -> str:
    """The sentence which says that one volume of several was read.

    Args:
        what: by which it differs from the others.
        chosen: by the user.
    """
    other = "" if chosen else "; --frame chooses another"
    return f"Frame {number} of {count} of {name} is read{f' ({what})' if what else ''}{other}."
