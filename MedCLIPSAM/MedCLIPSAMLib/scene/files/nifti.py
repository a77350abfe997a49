"""What a NIfTI header claims, where ITK would take another one for it (nifti1.h, https://nifti.nimh.nih.gov/nifti-1)."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from ...engine.errors import InputError
from .contents import Stored, check_places

_GZIP = b"\x1f\x8b"
# Bytes of a voxel by its type.
_SIZES = {2: 1, 4: 2, 8: 4, 16: 4, 32: 8, 64: 8, 128: 3, 256: 1, 512: 2, 768: 4, 1024: 8, 1280: 8, 1792: 16, 2304: 4}


def stored_voxels(path: Path) -> Iterator[Stored]:
    """Where the voxels of a `.nii` or `.nii.gz` file are.

    Raises:
        ValueError: the header is none, or of another form than that of a single file of voxels.
        InputError: the geometry is none, or it is NIfTI-2.
    """
    with path.open("rb") as stream:
        packed = path.suffix.lower() == ".gz" and stream.read(2) == _GZIP
    with gzip.open(path) if packed else path.open("rb") as stream:
        try:
            header = stream.read(348)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError("damaged where it is compressed") from error
    if header[:4] in (struct.pack("<i", 540), struct.pack(">i", 540)):
        raise InputError(f"{path} is NIfTI-2, which is not read; save it as NIfTI-1.")
    if len(header) < 348 or header[344:] != b"n+1\0":
        raise ValueError("not the header of a single file")
    order = "<" if header[:4] == struct.pack("<i", 348) else ">"
    size, *lengths = struct.unpack_from(order + "i36x8h", header)
    (kind,) = struct.unpack_from(order + "h", header, 70)
    spacing = struct.unpack_from(order + "3f", header, 80)
    (offset,) = struct.unpack_from(order + "f", header, 108)
    if size != 348 or not 1 <= lengths[0] <= 7 or lengths[1] < 1 or kind not in _SIZES:
        raise ValueError("no sizes")
    check_places(path, (*spacing, *_places(header, order)))
    voxels = math.prod(max(1, length) for length in lengths[1 : lengths[0] + 1])
    start = 352 if not offset >= 352 else int(min(offset, 1 << 62))
    if packed:
        yield Stored(path, 0, start + voxels * _SIZES[kind], "gzip")
    else:
        yield Stored(path, start, voxels * _SIZES[kind])


def _places(header: bytes, order: str) -> tuple[float, ...]:
    """The numbers of the transforms that count; where their code is 0, anything may stand."""
    quaternion, affine = struct.unpack_from(order + "2h", header, 252)
    numbers = struct.unpack_from(order + "18f", header, 256)
    return (numbers[:6] if quaternion > 0 else ()) + (numbers[6:] if affine > 0 else ())
