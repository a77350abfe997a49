"""Damaged checkpoints: safetensors, PyTorch's archives, and its format of before."""

from __future__ import annotations

import io
import json
import pickle
import struct
import warnings
import zipfile
from functools import cache
from random import Random
from typing import Any

import torch
from safetensors.torch import save
from torch._utils import _rebuild_tensor_v2 as rebuild

from .images import Case, damaged_bytes

TENSORS = {"a.weight": torch.arange(6.0).view(2, 3), "b": torch.ones(4, dtype=torch.float16)}

_INTEGERS = (0, 1, -1, 2, 3, 24, 2**31 - 1, 2**31, 2**32, 2**40, 2**62, 2**63 - 1, 2**63, 2**64, 10**12, 10**30)
_THINGS = (*_INTEGERS, None, True, "x", "F32", "I64", "F64", "BOOL", [], {}, [0, 0], [2**40], [-1], 1.5, "\ud800")


def safetensors_file(header: Any, data: bytes, length: int | None = None) -> bytes:
    """A file of safetensors with any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", (len(text) if length is None else length) % 2**64) + text + data


def _safetensors(random: Random) -> bytes:
    content = save(TENSORS)
    (length,) = struct.unpack_from("<Q", content)
    header, data = json.loads(content[8 : 8 + length]), content[8 + length :]
    for _ in range(random.choice((0, 1, 1, 2))):
        name = random.choice(list(header))
        entry = header[name]
        place = random.choice(("dtype", "shape", "data_offsets", "", "more"))
        if not place or not isinstance(entry, dict):
            header[name] = random.choice(_THINGS)
        elif place in ("shape", "data_offsets") and isinstance(entry.get(place), list) and random.random() < 0.8:
            entry[place] = [random.choice((*_INTEGERS, value)) for value in entry[place]]
        else:
            entry[place] = random.choice(_THINGS)
    wrong = random.choice(_INTEGERS) if random.random() < 0.1 else None
    return safetensors_file(header, data, wrong)


@cache
def _pytorch(old: bool) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save({"epoch": 1, "state_dict": dict(TENSORS)}, stream, _use_new_zipfile_serialization=not old)
    return stream.getvalue()


def archive(data: bytes, storages: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """A checkpoint as PyTorch packs it, of any pickle and any storages."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as packed:
        entries = {"data.pkl": data, "byteorder": b"little", "version": b"3\n"}
        for name, content in (entries | {f"data/{key}": content for key, content in storages.items()}).items():
            packed.writestr(zipfile.ZipInfo(f"archive/{name}"), content, method)
    return stream.getvalue()


def tensor_pickle(
    name: str = "FloatStorage", numel: int = 6, size: tuple = (2, 3), stride: tuple = (3, 1), offset: int = 0
) -> bytes:
    """The pickle of one tensor by its numbers, as they may stand in a file."""

    class Storage:
        pass

    class Tensor:
        def __reduce__(self):
            return rebuild, (Storage(), offset, size, stride, False, {})

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj: object) -> object:
            return ("storage", getattr(torch, name), "0", "cpu", numel) if isinstance(obj, Storage) else None

    stream = io.BytesIO()
    Pickler(stream, 2).dump({"a": Tensor()})
    return stream.getvalue()


def _numbered(random: Random) -> bytes:
    """A checkpoint whose tensor has wrong numbers."""
    numbers = {
        "numel": random.choice((6, *_INTEGERS)),
        "offset": random.choice((0, 0, *_INTEGERS)),
        "size": tuple(random.choice((2, 3, *_INTEGERS)) for _ in range(random.choice((2, 2, 0, 1, 3, 70)))),
        "stride": tuple(random.choice((3, 1, *_INTEGERS)) for _ in range(random.choice((2, 2, 0, 1, 3)))),
    }
    kept = {name: numbers[name] for name in random.sample(list(numbers), random.choice((1, 1, 2, 4)))}
    kind = random.choice(("FloatStorage", "FloatStorage", "BFloat16Storage", "BoolStorage", "ComplexFloatStorage"))
    method = zipfile.ZIP_DEFLATED if random.random() < 0.2 else zipfile.ZIP_STORED
    return archive(tensor_pickle(kind, **kept), {"0": bytes(random.choice((24, 24, 0, 23, 100)))}, method)


_OBJECTS = [
    *(b"(" * 500, b"]" * 300, b"\x8a\xff", b"B\xff\xff\xff\x7f", b"X\xff\xff\xff\x7f", b"T\xff\xff\xff\x7f", b"h\xff"),
    *(
        b"ctorch\nSize\n",
        b"ccollections\nOrderedDict\n",
        b"cbuiltins\nbytearray\n",
        b"ctorch\nTensor\n",
        b"cos\nsystem\n",
    ),
    *(b"ctorch._utils\n_rebuild_parameter\n", b"ctorch.nn.parameter\nParameter\n", b"c_codecs\nencode\n"),
    *(
        b"J\xff\xff\xff\x7f",
        b"R",
        b"b",
        b"s",
        b"u",
        b"}",
        b"]",
        b"\x85",
        b"\x86",
        b"0",
        b"2",
        b".",
        b"Q",
        b"}q\0h\0h\0s",
    ),
]


def _damaged_pickle(random: Random) -> bytes:
    pickled = bytearray(tensor_pickle())
    for _ in range(random.choice((1, 1, 2, 4))):
        at = random.randrange(len(pickled))
        if random.random() < 0.5:
            pickled[at:at] = random.choice(_OBJECTS)
        else:
            pickled[at : at + 1] = damaged_bytes(random, bytes(pickled[at : at + 1]))
    return archive(bytes(pickled), {"0": bytes(24)})


def checkpoints(random: Random) -> Case:
    """A checkpoint of one of the three formats."""
    match random.randrange(5):
        case 0:
            name, content = "weights.safetensors", _safetensors(random)
        case 1:
            name, content = "weights.pth", _numbered(random)
        case 2:
            name, content = "weights.pth", _damaged_pickle(random)
        case choice:
            name, content = "weights.pth", damaged_bytes(random, _pytorch(old=choice == 3))
    if random.random() < 0.2:
        content = damaged_bytes(random, content)
    return Case({name: content}, name)
