"""Damaged DICOM folders: the elements are written here, as no library writes what is wrong."""

from __future__ import annotations

import io
import struct
import zlib
from random import Random

import numpy as np
from PIL import Image

from .images import NUMBERS, VOXELS, Case, damaged_bytes

Element = tuple[int, bytes, bytes]  # tag, value representation, value
Elements = list[Element]

IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
DEFLATED, JPEG, JPEG_2000, RLE = (f"1.2.840.10008.1.2.{end}" for end in ("1.99", "4.50", "4.90", "5"))
PIXELS = 0x7FE00010
_LONG = (b"OB", b"OW", b"OF", b"SQ", b"UN", b"UT", b"OD", b"OL", b"UC", b"UR")
_UNDEFINED = 0xFFFFFFFF


def text(tag: int, kind: str, *values: object) -> Element:
    """An element of text, padded to an even length."""
    value = "\\".join(map(str, values)).encode()
    return tag, kind.encode(), value + (b"\0" if kind == "UI" else b" ") * (len(value) % 2)


def short(tag: int, value: int) -> Element:
    """An element of one 16-bit number."""
    return tag, b"US", struct.pack("<H", value % 65536)


def image(k: int, pixels: bytes, bits: int = 16) -> Elements:
    """The elements of slice ``k``."""
    return [
        text(0x00080005, "CS", "ISO_IR 192"),
        text(0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.2"),
        text(0x00080018, "UI", f"1.2.3.{k + 1}"),
        text(0x00080060, "CS", "CT"),
        text(0x0008103E, "LO", "abdomen"),
        text(0x00180050, "DS", "3"),
        text(0x0020000D, "UI", "1.2.4"),
        text(0x0020000E, "UI", "1.2.5"),
        text(0x00200011, "IS", 3),
        text(0x00200013, "IS", k + 1),
        text(0x00200032, "DS", -3, 2, 3 * k),
        text(0x00200037, "DS", 1, 0, 0, 0, 1, 0),
        text(0x00200052, "UI", "1.2.6"),
        short(0x00280002, 1),
        text(0x00280004, "CS", "MONOCHROME2"),
        short(0x00280010, VOXELS.shape[1]),
        short(0x00280011, VOXELS.shape[2]),
        text(0x00280030, "DS", 1, 1),
        short(0x00280100, bits),
        short(0x00280101, bits),
        short(0x00280102, bits - 1),
        short(0x00280103, int(bits == 16)),
        text(0x00281052, "DS", -5),
        text(0x00281053, "DS", 1),
        (PIXELS, b"OW", pixels),
    ]


def dicom_file(elements: Elements, syntax: str = EXPLICIT, preamble: bytes = bytes(128) + b"DICM") -> bytes:
    """A DICOM file; in a compressed ``syntax`` the pixels are one fragment, in another byte order only named so."""
    meta = b"".join(
        _encoded(*element)
        for element in (
            text(0x00020002, "UI", "1.2.840.10008.5.1.4.1.1.2"),
            text(0x00020003, "UI", "1.2.3.1"),
            text(0x00020010, "UI", syntax),
        )
    )
    content = b""
    for tag, kind, value in elements:
        if tag == PIXELS and syntax in (JPEG, JPEG_2000, RLE):
            content += struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, b"OB", 0, _UNDEFINED) + fragments(value)
        elif syntax == IMPLICIT:
            content += struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value
        else:
            content += _encoded(tag, kind, value)
    if syntax == DEFLATED:
        packer = zlib.compressobj(wbits=-15)
        content = packer.compress(content) + packer.flush()
    return preamble + _encoded(0x00020000, b"UL", struct.pack("<I", len(meta))) + meta + content


def fragments(value: bytes) -> bytes:
    """Pixels as encapsulated: an empty table of offsets, one fragment, the end."""
    value += b"\0" * (len(value) % 2)
    item = struct.Struct("<HHI")
    return item.pack(0xFFFE, 0xE000, 0) + item.pack(0xFFFE, 0xE000, len(value)) + value + item.pack(0xFFFE, 0xE0DD, 0)


def _encoded(tag: int, kind: bytes, value: bytes) -> bytes:
    if kind in _LONG:
        return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, kind, 0, len(value)) + value
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, kind, len(value) % 65536) + value


def compressed(pixels: np.ndarray, syntax: str) -> bytes:
    """A slice as JPEG (8 bit), JPEG 2000 or RLE, which here only has runs of literals."""
    if syntax == RLE:
        planes = [pixels.view(np.uint8).reshape(*pixels.shape, -1)[..., byte].tobytes() for byte in (1, 0)]
        parts = [bytes([len(plane) - 1]) + plane + b"\x80" * (len(plane) % 2 == 0) for plane in planes]
        return struct.pack("<16I", 2, 64, 64 + len(parts[0]), *[0] * 13) + b"".join(parts)
    stream = io.BytesIO()
    if syntax == JPEG:
        Image.fromarray((pixels // 8 + 128).astype(np.uint8)).save(stream, "JPEG")
    else:
        Image.fromarray((pixels + 1000).astype(np.uint16)).save(stream, "JPEG2000", no_jp2=True)
    return stream.getvalue()


_WORDS = {
    0x00280004: ["MONOCHROME1", "PALETTE COLOR", "RGB", "YBR_FULL", "YBR_FULL_422", "ARGB", ""],
    0x00080060: ["SEG", "MR", "", "X" * 100, "RTSTRUCT"],
    0x00080005: ["ISO_IR 100", "ISO 2022 IR 87", "\\ISO 2022 IR 149", "UTF-8", "???", "ISO_IR 13\\x", "utf_16", "idna"],
    0x00080016: ["1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.1.3.10", "", "9" * 70],
}
_OTHERS: Elements = [
    *(text(0x00280008, "IS", number) for number in ("1", "2", "0", "-1", "4000000000", "9" * 400, "x")),
    *(short(0x00280006, number) for number in (0, 1, 2)),
    *(text(0x00281050, "DS", number) for number in ("40", "nan")),
    text(0x00283000, "SQ"),
    (0x00280120, b"US", b"\0\0"),
    (0x00281101, b"US", struct.pack("<3H", 256, 0, 16)),
    (0x00281201, b"OW", bytes(512)),
    (0x00081140, b"SQ", struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF) * 300),
    (0x00091001, b"UN", b"private"),
    (0x00400275, b"SQ", struct.pack("<HHI", 0xFFFE, 0xE000, 8) + b"\x08\0\0\0SQ\0\0"),
    (0x7FE00008, b"OF", bytes(120)),
    (0x0020000E, b"UI", b"1.2.9\0"),
    (0x00041220, b"SQ", b""),
]


def _damaged_elements(random: Random, elements: Elements) -> None:
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        at = random.randrange(len(elements))
        tag, kind, value = elements[at]
        match random.randrange(9):
            case 0 if len(elements) > 1:
                del elements[at]
            case 1:
                elements[at:at] = [random.choice(_OTHERS)]
            case 2:
                elements[at] = (
                    tag,
                    random.choice((b"UN", b"DS", b"IS", b"SQ", b"OB", b"US", b"FD", b"AT", b"ZZ")),
                    value,
                )
            case 3:
                elements.append(elements.pop(at))
            case 4:
                elements[at] = tag, kind, damaged_bytes(random, value)
            case _ if kind == b"US":
                number = random.choice((0, 1, 2, 3, 4, 5, 7, 8, 12, 15, 16, 24, 32, 64, 255, 256, 32767, 65535))
                elements[at] = short(tag, number)
            case _ if tag == PIXELS:
                elements[at] = tag, kind, value[: random.randrange(len(value) + 1)]
            case _:
                values = value.decode("latin-1").strip("\0 ").split("\\")
                values[random.randrange(len(values))] = random.choice(_WORDS.get(tag, NUMBERS))
                elements[at] = text(tag, kind.decode(), *values)


def dicom(random: Random) -> Case:
    """A folder of slices, of which one or all are damaged in the same way."""
    syntax = random.choice((EXPLICIT, EXPLICIT, EXPLICIT, IMPLICIT, DEFLATED, JPEG, JPEG_2000, RLE))
    bits = 8 if syntax == JPEG else 16
    count = random.choice((1, 2, 4))
    changed = set(range(count)) if random.random() < 0.5 else {random.randrange(count)}
    state, files = random.getrandbits(64), {}
    for k in range(count):
        again = Random(state)
        pixels = VOXELS[k].tobytes() if bits == 16 else compressed(VOXELS[k], JPEG)
        elements = image(k, compressed(VOXELS[k], syntax) if syntax in (JPEG_2000, RLE) else pixels, bits)
        if k in changed and again.random() < 0.8:
            _damaged_elements(again, elements)
        named = again.choice((EXPLICIT, IMPLICIT, BIG, JPEG, RLE, "", "1.2.3")) if again.random() < 0.05 else syntax
        preamble = b"" if again.random() < 0.05 else bytes(128) + b"DICM"
        content = dicom_file(elements, named, preamble)
        if k in changed and again.random() < 0.3:
            content = damaged_bytes(again, content)
        elif k in changed and again.random() < 0.1:
            content = content[: -again.choice((1, 2, 8, 60))]
        files[f"{k}.dcm"] = content
    return Case(files, "" if random.random() < 0.8 else "0.dcm")
