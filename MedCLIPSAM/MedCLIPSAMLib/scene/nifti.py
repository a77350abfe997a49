"""Whether a NIfTI file is whole: ITK reads a cut-off one without complaint, with chance for its last voxels."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

from ..engine.errors import InputError


def check_complete(path: Path) -> None:
    """Refuse a `.nii` or `.nii.gz` file which ends before its last voxel.

    Args:
        path: a file with a NIfTI-1 header.

    Raises:
        InputError: the file is cut off, or its compressed data are damaged.
    """
    opened = gzip.open if path.suffix.lower() == ".gz" else Path.open
    try:
        with opened(path, "rb") as stream:
            header = stream.read(348)
            length = len(header)
            while chunk := stream.read(1 << 22):
                length += len(chunk)
    except (OSError, EOFError, zlib.error):
        header, length = b"", 0
    if not header or length < _needed(header):
        raise InputError(f"{path} is damaged or cut off; copy it again.")


def _needed(header: bytes) -> int:
    """Bytes up to the end of the voxels (nifti1.h, https://nifti.nimh.nih.gov/nifti-1)."""
    order = "<" if header[1] else ">"  # the first four bytes are 348, the length of the header
    lengths = struct.unpack_from(order + "8h", header, 40)
    (bits,) = struct.unpack_from(order + "h", header, 72)
    (offset,) = struct.unpack_from(order + "f", header, 108)
    voxels = math.prod(max(1, length) for length in lengths[1 : lengths[0] + 1])
    return int(offset) + voxels * bits // 8
