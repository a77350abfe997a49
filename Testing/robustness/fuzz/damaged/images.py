"""Damaged files, each out of a valid one: what the fuzzing and its tests give to the readers."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np

# (K, J, I) int16 without any symmetry.
VOXELS = np.random.default_rng(0).integers(-1000, 1000, (4, 5, 6)).astype("<i2")
_RAW = VOXELS.tobytes()

NUMBERS = [
    *("", "0", "-1", "1", "2", "3", "4", "7", "16", "255", "256", "-32768", "32767", "65535", "65536", "1e3"),
    *("2147483647", "2147483648", "4294967295", "4294967296", "9223372036854775807", "18446744073709551616"),
    *("1000000000000", "1e12", "nan", "inf", "-inf", "1e300", "-1e300", "1e-300", "-0", "0x10", "1.5", "x"),
]


@dataclass(frozen=True)
class Case:
    """Files by name, and the one that is to be read; an empty name is the folder."""

    files: dict[str, bytes]
    opened: str = ""

    def write(self, folder: Path) -> Path:
        """Puts the files into a folder; the path to read."""
        for name, content in self.files.items():
            (folder / name).write_bytes(content)
        return folder / self.opened


def damaged_bytes(random: Random, content: bytes) -> bytes:
    """Some bytes changed, cut off, taken out, put in or said twice."""
    changed = bytearray(content)
    for _ in range(random.choice((1, 1, 1, 2, 4, 16))):
        at = random.randrange(len(changed) + 1)
        length = random.choice((1, 1, 2, 4, 8, random.randrange(64)))
        match random.randrange(7):
            case 0:
                changed[at : at + 1] = bytes([random.randrange(256)])
            case 1 if at < len(changed):
                changed[at] ^= 1 << random.randrange(8)
            case 2:
                del changed[at:]
            case 3:
                del changed[at : at + length]
            case 4:
                changed[at:at] = changed[at : at + length]
            case 5:
                changed[at : at + length] = random.choice((b"\0", b"\xff", b"\x7f", b"\x80")) * length
            case _:
                changed[at:at] = random.randbytes(length)
    return bytes(changed)


def _number(random: Random) -> str:
    return random.choice(NUMBERS)


def _numbers(random: Random, text: str) -> str:
    """One of the numbers in a text changed, left out or said twice."""
    words = text.split(" ")
    at = random.randrange(len(words))
    words[at : at + random.randrange(2)] = random.choice(([_number(random)], [], [_number(random)] * 2))
    return " ".join(words)


# --- text headers: NRRD and MetaImage ---

Fields = list[tuple[str, str]]


def _damaged_fields(random: Random, fields: Fields, values: dict[str, list[str]], others: Fields) -> None:
    """Some of the fields of a header changed, in place."""
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        at = random.randrange(len(fields))
        name, value = fields[at]
        match random.randrange(8):
            case 0:
                del fields[at]
                if not fields:
                    return
            case 1:
                fields.insert(at, random.choice(others))
            case 2:
                fields.insert(random.randrange(len(fields) + 1), fields[at])
            case 3:
                fields.append(fields.pop(at))
            case 4 | 5 if name in values:
                fields[at] = name, random.choice(values[name])
            case _:
                fields[at] = name, _numbers(random, value)


_NRRD_VALUES = {
    "type": ["uchar", "short", "uint16", "int", "int64", "float", "double", "block", "unsigned long long", "bool", "8"],
    "dimension": ["1", "2", "3", "4", "5", "16", "17", "100", *NUMBERS],
    "sizes": [
        "6 5",
        "6 5 4 1",
        "1 6 5 4",
        "0 5 4",
        "6 5 5",
        "60 50 40",
        "6 5 4000000000",
        "100000 100000 100",
        "120 1 1",
    ],
    "encoding": ["raw", "gzip", "gz", "ascii", "text", "txt", "hex", "bzip2", "zrl", "none"],
    "endian": ["big", "little", "middle"],
    "space": ["RAS", "left-posterior-superior", "right-up", "3D-left-handed", "scanner-xyz-time", "LPS"],
    "space directions": [
        *("(0,0,0) (0,1,0) (0,0,1)", "(1,0,0) (1,0,0) (0,0,1)", "none (1,0,0) (0,1,0)", "(nan,0,0) (0,1,0) (0,0,1)"),
        *("(1e300,0,0) (0,1,0) (0,0,1)", "(1e-300,0,0) (0,1,0) (0,0,1)", "(inf,0,0) (0,1,0) (0,0,1)", "(1,0) (0,1)"),
        *("(1,0.5,0) (0,1,0) (0,0,1)", "(-1,0,0) (0,1,0) (0,0,1)", "(1,0,0)", "none none none", "(1,0,0,0)" * 3),
    ],
    "space origin": ["(0,0,0)", "(nan,0,0)", "(1e300,0,0)", "(1,2)", "none", "(inf,-inf,0)"],
    "kinds": ["domain domain domain", "vector domain domain", "RGB-color domain domain", "complex domain domain", "x"],
    "data file": [
        *("data.raw", "missing.raw", "pipe", "LIST", "LIST 2", "LIST 9", "data%d.raw 0 3 1", "data%d.raw 0 9 1", "."),
        *("data%d.raw 0 4000000000 1", "data%d.raw 0 3 0", "%s%s%s%n", "data%d.raw 3 0 -1 2", "/dev/zero", "/", ""),
        *("/proc/self/mem", "../data.raw", "image.nhdr", "-"),
    ],
}
_NRRD_OTHERS: Fields = [
    *(("byte skip", number) for number in ("-1", "-2", "1", "4", "1000", "4000000000", "1e12")),
    *(("line skip", number) for number in ("1", "-1", "2", "4000000000", "1000000000")),
    *(
        ("spacings", numbers)
        for numbers in ("1 1 1", "0 1 1", "-1 1 1", "nan 1 1", "inf 1 1", "1e300 1 1", "1e-300 1 1")
    ),
    *(("space directions", "(1,0,0) (0,1,0) (0,0,1)"), ("thicknesses", "nan nan 3"), ("axis mins", "0 0 nan")),
    *(("measurement frame", "(1,0,0) (0,1,0) (0,0,1)"), ("block size", "2"), ("block size", "4000000000")),
    *(("content", "x" * 5000), ("min", "nan"), ("old max", "1e999"), ("sample units", '"mm'), ("number", "120")),
    *(("centerings", "cell node ???"), ("labels", '"a" "b'), ("units", '"mm" "" ""'), ("key", "=value"), ("#", "note")),
]
_NRRD_ENCODED: dict[str, Callable[[bytes], bytes]] = {
    "raw": lambda raw: raw,
    "gzip": lambda raw: gzip.compress(raw, mtime=0),
    "ascii": lambda raw: " ".join(map(str, np.frombuffer(raw, "<i2"))).encode(),
    "hex": lambda raw: raw.hex().encode(),
}


def _data_files(random: Random, content: bytes) -> dict[str, bytes]:
    """The voxels as one file, and as one for each slice."""
    if random.random() < 0.4:
        content = damaged_bytes(random, content)
    parts = {f"data{k}.raw": VOXELS[k].tobytes() for k in range(4)}
    if random.random() < 0.2:
        parts[f"data{random.randrange(4)}.raw"] = VOXELS[0].tobytes()[:-1]
    return {"data.raw": content, **parts}


def nrrd(random: Random) -> Case:
    """An NRRD file, or its header with data files beside it."""
    encoding = random.choice(list(_NRRD_ENCODED))
    fields: Fields = [
        *(("type", "short"), ("dimension", "3"), ("space", "left-posterior-superior"), ("sizes", "6 5 4")),
        *(("space directions", "(1,0,0) (0,1,0) (0,0,1)"), ("kinds", "domain domain domain"), ("endian", "little")),
        *(("encoding", encoding), ("space origin", "(-3,2,1)")),
    ]
    detached = random.random() < 0.4
    if detached:
        fields.append(("data file", random.choice(("data.raw", "LIST", "data%d.raw 0 3 1"))))
    if random.random() < 0.8:
        _damaged_fields(random, fields, _NRRD_VALUES, _NRRD_OTHERS)
    magic = random.choice(("NRRD0005", "NRRD0004", "NRRD0001", "NRRD0009", "NRRD", "nrrd0004")[: random.choice((1, 6))])
    header = "".join([f"{magic}\n", *(f"{name}: {value}\n" for name, value in fields)])
    data = _NRRD_ENCODED[encoding](_RAW)
    if detached:
        names = "".join(f"data{k}.raw\n" for k in range(4)) if any("LIST" in value for _, value in fields) else ""
        files = {"image.nhdr": (header + names).encode(), **_data_files(random, data)}
        return _noisy(random, files, "image.nhdr")
    return _noisy(random, {"image.nrrd": header.encode() + b"\n" + data}, "image.nrrd")


_META_VALUES = {
    "NDims": ["1", "2", "3", "4", "10", "11", "100", "1000", *NUMBERS],
    "DimSize": ["6 5", "6 5 4 1", "0 5 4", "6 5 5", "60 50 40", "6 5 4000000000", "100000 100000 100", "-6 -5 4"],
    "ElementType": ["MET_UCHAR", "MET_INT", "MET_FLOAT", "MET_DOUBLE", "MET_LONG_LONG", "MET_STRING", "MET_OTHER", "x"],
    "BinaryData": ["False", "True", "x"],
    "CompressedData": ["False", "True", "x"],
    "CompressedDataSize": ["1", "20", "100", *NUMBERS],
    "ElementSpacing": ["0 1 1", "-1 1 1", "nan 1 1", "inf 1 1", "1e300 1 1", "1e-300 1 1", "1 1"],
    "TransformMatrix": ["0 0 0 0 0 0 0 0 0", "1 0 0 1 0 0 0 0 1", "nan 0 0 0 1 0 0 0 1", "1 .5 0 0 1 0 0 0 1", "1 0 0"],
    "Offset": ["nan 0 0", "1e300 0 0", "inf 0 0", "1 2"],
    "ElementDataFile": [
        *("LOCAL", "Local", "local", "LIST", "LIST 2D", "LIST 3D", "LIST 9D", "data.raw", "missing.raw", "pipe", ""),
        *("data%d.raw 0 3 1", "data%d.raw 0 9 1", "data%d.raw 0 4000000000 1", "data%d.raw 0 3 0", "%s%s%n 0 3 1", "."),
        *("/dev/zero", "/", "/proc/self/mem", "../data.raw", "image.mhd", "x" * 3000),
    ],
}
_META_OTHERS: Fields = [
    *(("HeaderSize", number) for number in ("-1", "0", "4", "1000", "-2", "4000000000", "1e12")),
    *(("ElementNumberOfChannels", number) for number in ("1", "2", "3", "0", "-1", "1000000000")),
    *(("CompressedDataSize", number) for number in ("10", "1000000000000", "-1", "4000000000")),
    *(("AnatomicalOrientation", "RAI"), ("AnatomicalOrientation", "???"), ("Modality", "MET_MOD_CT"), ("Comment", "x")),
    *(("ElementMin", "nan"), ("ElementToIntensityFunctionSlope", "0"), ("BinaryDataByteOrderMSB", "True")),
    *(
        ("ElementByteOrderMSB", "x"),
        ("Name", "x" * 5000),
        ("ObjectSubType", "x" * 300),
        ("SequenceID", "1 2 3 4 5 6 7"),
    ),
    *(("ID", "1e12"), ("ParentID", "x"), ("Color", "1 1 1 1 1 1 1 1 1 1"), ("Position", "0 0 0"), ("Orientation", "1")),
    *(("TransformMatrix", "1 0 0 0 1 0 0 0 1"), ("Rotation", "nan"), ("CenterOfRotation", "1e300 0 0")),
    *(("ElementSize", "0 0 0"), ("ElementSize", "nan 1 1"), ("CompressionLevel", "99"), ("dimsize", "60 50 40")),
]


def metaimage(random: Random) -> Case:
    """A MetaImage file, or its header with data files beside it."""
    compressed, local, binary = random.random() < 0.4, random.random() < 0.6, random.random() < 0.85
    data = zlib.compress(_RAW) if compressed else _RAW if binary else _NRRD_ENCODED["ascii"](_RAW)
    fields: Fields = [
        *(("ObjectType", "Image"), ("NDims", "3"), ("BinaryData", str(binary)), ("BinaryDataByteOrderMSB", "False")),
        ("CompressedData", str(compressed)),
        *([("CompressedDataSize", str(len(data)))] * (compressed and random.random() < 0.8)),
        *(("TransformMatrix", "1 0 0 0 1 0 0 0 1"), ("Offset", "-3 2 1"), ("ElementSpacing", "1 1 1")),
        *(("DimSize", "6 5 4"), ("ElementType", "MET_SHORT")),
        ("ElementDataFile", "LOCAL" if local else random.choice(("data.raw", "LIST", "data%d.raw 0 3 1"))),
    ]
    if random.random() < 0.8:
        _damaged_fields(random, fields, _META_VALUES, _META_OTHERS)
    header = "".join(f"{name} = {value}\n" for name, value in fields).encode()
    if local:
        return _noisy(random, {"image.mha": header + data}, "image.mha")
    names = "".join(f"data{k}.raw\n" for k in range(4)) if any("LIST" in value for _, value in fields) else ""
    return _noisy(random, {"image.mhd": header + names.encode(), **_data_files(random, data)}, "image.mhd")


def _noisy(random: Random, files: dict[str, bytes], opened: str) -> Case:
    """With damaged bytes, now and then."""
    if random.random() < 0.3:
        files[opened] = damaged_bytes(random, files[opened])
    elif random.random() < 0.1:
        files[opened] = files[opened][:-1]
    return Case(files, opened)


# --- NIfTI ---

# Offset and format of what nifti1.h says about sizes, types and places.
_NIFTI = {
    **{"sizeof_hdr": (0, "i"), "dim_info": (39, "B"), "datatype": (70, "h"), "bitpix": (72, "h"), "slice": (74, "h")},
    **{f"dim{n}": (40 + 2 * n, "h") for n in range(8)},
    **{f"pixdim{n}": (76 + 4 * n, "f") for n in range(8)},
    **{"vox_offset": (108, "f"), "scl_slope": (112, "f"), "scl_inter": (116, "f"), "slice_end": (120, "h")},
    **{"slice_code": (122, "B"), "xyzt_units": (123, "B"), "cal_max": (124, "f"), "cal_min": (128, "f")},
    **{"qform_code": (252, "h"), "sform_code": (254, "h"), "intent": (68, "h"), "intent_p1": (56, "f")},
    **{f"quatern{n}": (256 + 4 * n, "f") for n in range(6)},
    **{f"srow{n}": (280 + 4 * n, "f") for n in range(12)},
    "magic": (344, "4s"),
}
_NIFTI_TYPES = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 768, 1024, 1280, 1536, 1792, 2048, 2304, 255, -1)
_FLOATS = [0, -1, 1, 0.5, 347, 348, 351, 352, 356, 400, 1e9, 3e38, -3e38, 1e-38, 4e9]
_FLOATS += [float(word) for word in ("nan", "inf", "-inf")]
_SHORTS = [0, -1, 1, 2, 3, 4, 5, 7, 8, 30, 120, 255, 256, 3000, 32767, -32768]


def nifti_header(order: str = "<", **changed: float | bytes) -> bytes:
    """352 bytes before the voxels, valid but for what is changed."""
    values: dict[str, float | bytes] = {
        **{"sizeof_hdr": 348, "datatype": 4, "bitpix": 16, "vox_offset": 352.0, "magic": b"n+1\0", "xyzt_units": 2},
        **{"dim0": 3, "dim1": 6, "dim2": 5, "dim3": 4, "dim4": 1, "dim5": 1, "dim6": 1, "dim7": 1},
        **{f"pixdim{n}": 1.0 for n in range(8)},
        **{"scl_slope": 1.0, "sform_code": 1, "srow0": 1.0, "srow5": 1.0, "srow10": 1.0},
        **changed,
    }
    header = bytearray(352)
    for name, value in values.items():
        offset, kind = _NIFTI[name]
        struct.pack_into(order + kind, header, offset, value)
    return bytes(header)


def nifti(random: Random) -> Case:
    """A NIfTI file, compressed or not."""
    order = random.choice("<<>")
    changed: dict[str, float | bytes] = {}
    if random.random() < 0.5:
        changed |= {"qform_code": 1, "sform_code": random.randrange(2)}
    for name in random.sample(list(_NIFTI), random.choice((0, 1, 1, 2, 3))):
        kind = _NIFTI[name][1]
        if name == "datatype":
            changed[name] = random.choice(_NIFTI_TYPES)
        elif name == "magic":
            changed[name] = random.choice((b"ni1\0", b"n+2\0", b"\0\0\0\0", b"n+1 ", b"n+9\0"))
        elif kind == "f":
            changed[name] = random.choice(_FLOATS)
        else:
            changed[name] = random.choice(_SHORTS) % 256 if kind == "B" else random.choice(_SHORTS)
    header = nifti_header(order, **changed)
    if random.random() < 0.2:  # an extension, its length perhaps a wrong one
        length = random.choice((16, 32, 0, -1, 8, 2**31 - 1, 1000, 17))
        header = header[:348] + b"\1\0\0\0" + struct.pack(order + "ii", length, random.choice((0, 4, 6, -1))) + bytes(8)
    content = header + VOXELS.astype(order + "i2").tobytes()
    if random.random() < 0.3:
        content = damaged_bytes(random, content)
    elif random.random() < 0.1:
        content = content[:-1]
    if random.random() < 0.5:
        return Case({"image.nii": content}, "image.nii")
    return _noisy(random, {"image.nii.gz": gzip.compress(content, mtime=0)}, "image.nii.gz")
