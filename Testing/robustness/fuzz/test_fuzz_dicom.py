"""Damaged and lying DICOM files, each that once broke their reader, and what is unusual and right."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pytest

from MedCLIPSAMLib.scene.volumes import read_volume, volume_from_node

from ...scene.dicom.dicom_files import write_multi_frame
from .checks import check_series
from .damaged.dicom import (
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    JPEG,
    JPEG_2000,
    PIXELS,
    RLE,
    VOXELS,
    Elements,
    compressed,
    dicom,
    dicom_file,
    image,
    short,
    text,
)
from .damaged.images import damaged_bytes
from .images import read_apart

pytestmark = pytest.mark.row("fuzz-dicom")

CUT, DAMAGED = "is damaged or cut off", "is a damaged DICOM file"


def test_damaged_headers(tmp_path: Path) -> None:
    for number in range(200):
        for content in dicom(Random(number)).files.values():
            check_series(tmp_path, content)


def test_damaged_multi_frame_headers(tmp_path: Path) -> None:
    file = tmp_path / "0.dcm"
    write_multi_frame(file, np.stack([VOXELS, VOXELS]), np.diag([-1.0, -1, 3, 1]))
    whole = file.read_bytes()
    assert check_series(tmp_path, whole)
    for number in range(200):
        check_series(tmp_path, damaged_bytes(Random(number), whole))


def series(folder: Path, change: Callable[[Elements], Elements], syntax: str = EXPLICIT) -> None:
    """Four slices, all of them changed."""
    for k in range(4):
        pixels = VOXELS[k].tobytes() if syntax in (EXPLICIT, IMPLICIT, DEFLATED) else compressed(VOXELS[k], syntax)
        elements = change(image(k, pixels, 8 if syntax == JPEG else 16))
        (folder / f"{k}.dcm").write_bytes(dicom_file(elements, syntax))


def with_values(*values: tuple[int, bytes, bytes]) -> Callable[[Elements], Elements]:
    """Elements in place of those of their tags, or added in order."""

    def change(elements: Elements) -> Elements:
        kept = [element for element in elements if element[0] not in {tag for tag, _, _ in values}]
        return sorted([*kept, *values], key=lambda element: element[0])

    return change


def without(*tags: int) -> Callable[[Elements], Elements]:
    return lambda elements: [element for element in elements if element[0] not in tags]


def short_pixels(count: int) -> Callable[[Elements], Elements]:
    return lambda elements: [*elements[:-1], (PIXELS, b"OW", elements[-1][2][:-count])]


def pixels_before(tag: int) -> Callable[[Elements], Elements]:
    def change(elements: Elements) -> Elements:
        return [*without(tag)(elements), text(tag, "CS", "YBR_FULL_422")]

    return change


def other_precision(elements: Elements) -> Elements:
    """A JPEG stream of 90 bits."""
    tag, kind, stream = elements[-1]
    at = stream.index(b"\xff\xc0")
    return [*elements[:-1], (tag, kind, stream[: at + 4] + b"\x5a" + stream[at + 5 :])]


def runs_of_too_many_bytes(elements: Elements) -> Elements:
    tag, kind, stream = elements[-1]
    return [*elements[:-1], (tag, kind, struct.pack("<I", 67108866) + stream[4:])]


ITEM = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)


@pytest.mark.parametrize(
    ("change", "syntax", "said"),
    [
        # Read, with chance in the place of what is not there.
        (short_pixels(1), EXPLICIT, CUT),
        (short_pixels(60), EXPLICIT, "damaged"),
        (without(PIXELS), EXPLICIT, CUT),
        (with_values(short(0x00280010, 65535), short(0x00280011, 65535)), EXPLICIT, CUT),
        (with_values(text(0x00280004, "CS", "YBR_FULL_422")), JPEG_2000, "has colour pixels"),
        (pixels_before(0x00280004), EXPLICIT, "has colour pixels"),
        # What ended the process.
        (other_precision, JPEG, CUT),
        (with_values(short(0x00280100, 32), short(0x00280101, 3), short(0x00280102, 7)), JPEG, CUT),
        (with_values(short(0x00280100, 12)), EXPLICIT, CUT),
        (with_values(text(0x00280008, "IS", "x")), JPEG, CUT),
        # What never ended, or took gigabytes.
        (with_values((0x0008103E, b"ZZ", b"abdomen ")), EXPLICIT, DAMAGED),
        (with_values((0x00281053, b"DR", b"-inf")), EXPLICIT, DAMAGED),
        (with_values((0x00081140, b"SQ", ITEM * 300)), EXPLICIT, "damaged"),
        (with_values(short(0x00280010, 65535), short(0x00280011, 65535)), JPEG_2000, CUT),
        (with_values(short(0x00280010, 65535), short(0x00280011, 65535)), RLE, CUT),
        (runs_of_too_many_bytes, RLE, CUT),
        (without(), "1.2.3", "is compressed in a way that is not read (1.2.3)"),
        # Other exceptions than ours.
        (with_values((0x00280010, b"US", b"\5")), EXPLICIT, CUT),
        (with_values((0x00280002, b"ZZ", b"\1\0")), EXPLICIT, DAMAGED),
        (with_values(text(0x00280008, "IS", "9" * 400)), EXPLICIT, CUT),
        # Left in the scene, where nothing could be done with it.
        (with_values(text(0x00280004, "CS", "PALETTE COLOR")), EXPLICIT, "has colour pixels"),
    ],
)
def test_what_once_broke_the_reader_is_one_sentence(
    change: Callable[[Elements], Elements], syntax: str, said: str, tmp_path: Path
) -> None:
    series(tmp_path, change, syntax)
    answer = read_apart(tmp_path)
    assert said in answer
    assert answer.startswith("InputError: ")


WHOLE = dicom_file(image(3, VOXELS[3].tobytes()))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (WHOLE[:-1], DAMAGED),
        (WHOLE[:400], DAMAGED),
        (WHOLE[: WHOLE.index(b"\x28\0\x02\0US")], DAMAGED),  # between two elements: a whole file without pixels
        (WHOLE + b"\x28\0\x2c\1\2\0US\1\0\0", DAMAGED),
        (dicom_file(image(3, VOXELS[3].tobytes()), ""), DAMAGED),
        (dicom_file(image(3, VOXELS[3].tobytes()), DEFLATED)[:-9], DAMAGED),
    ],
)
def test_a_damaged_slice_is_not_passed_over(content: bytes, said: str, tmp_path: Path) -> None:
    """Without its last slice a volume is another one."""
    series(tmp_path, lambda elements: elements)
    (tmp_path / "3.dcm").write_bytes(content)
    answer = read_apart(tmp_path)
    assert answer.startswith("InputError: ")
    assert f"3.dcm {said}" in answer


def test_a_length_of_gigabytes_in_a_file_of_eight_bytes_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "0.dcm").write_bytes(b"\0\0\0\0\0\0\x74\xf0")
    assert "holds no DICOM images" in read_apart(tmp_path)


def test_names_are_short_and_can_be_printed(tmp_path: Path) -> None:
    series(tmp_path, with_values(text(0x0008103E, "LO", "a\n\x1b" + "b" * 1000)))
    name = read_volume(tmp_path).GetName()
    assert name == f"3: a{'b' * 60}"


def item(*elements: tuple[int, bytes, bytes], explicit: bool = True) -> bytes:
    """An item of a sequence, whose length is told by its end."""
    content = b""
    for tag, kind, value in elements:
        length = struct.pack("<2sH", kind, len(value)) if explicit else struct.pack("<I", len(value))
        content += struct.pack("<HH", tag >> 16, tag & 0xFFFF) + length + value
    return ITEM + content + struct.pack("<HHI", 0xFFFE, 0xE00D, 0)


INNER = text(0x00081155, "UI", "1.2")
UNUSUAL: dict[str, Callable[[bool], Callable[[Elements], Elements]]] = {
    "nothing": lambda explicit: lambda elements: elements,
    "sequence": lambda explicit: with_values((0x00081140, b"SQ", item(INNER, explicit=explicit))),
    "no items": lambda explicit: with_values((0x00081140, b"SQ", b"")),
    "private": lambda explicit: with_values((0x00091001, b"UN", b"private!")),
    "padding": lambda explicit: with_values((0xFFFCFFFC, b"OB", bytes(100))),
    "defaults": lambda explicit: without(0x00280002, 0x00280004, 0x00280101, 0x00280102),
}


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, DEFLATED, RLE])
@pytest.mark.parametrize("unusual", UNUSUAL)
def test_what_is_unusual_and_right_is_read(unusual: str, syntax: str, tmp_path: Path) -> None:
    series(tmp_path, UNUSUAL[unusual](syntax != IMPLICIT), syntax)
    array = volume_from_node(read_volume(tmp_path)).array
    np.testing.assert_array_equal(array, VOXELS.astype(np.int32) - 5)


@pytest.mark.parametrize(
    "content",
    [
        WHOLE + bytes(1000),
        WHOLE + bytes(3),
        dicom_file(image(3, VOXELS[3].tobytes()), preamble=b""),
        WHOLE[WHOLE.index(b"\x08\0\x05\0CS") :],  # nothing before the elements
        dicom_file(image(3, VOXELS[3].tobytes() + b"\0\0")),
    ],
)
def test_files_that_are_a_little_wrong_are_read(content: bytes, tmp_path: Path) -> None:
    series(tmp_path, lambda elements: elements)
    (tmp_path / "3.dcm").write_bytes(content)
    array = volume_from_node(read_volume(tmp_path)).array
    np.testing.assert_array_equal(array, VOXELS.astype(np.int32) - 5)
