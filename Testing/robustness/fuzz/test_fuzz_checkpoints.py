"""Damaged and lying checkpoints, and each that once broke their reader."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest
import torch

from MedCLIPSAMLib.engine.errors import ModelError
from MedCLIPSAMLib.engine.files.weights import read_state_dict

from .checks import check_message
from .damaged.checkpoints import TENSORS, archive, safetensors_file, tensor_pickle
from .search.apart import apart

pytestmark = pytest.mark.row("fuzz-checkpoints")

DAMAGED, NO_TENSORS = "fetch the file again", "is not a checkpoint of named tensors"


def old(**changed: tuple[bytes, bytes]) -> bytes:
    """A checkpoint in PyTorch's format of before, with bytes in place of others."""
    stream = io.BytesIO()
    torch.save(dict(TENSORS), stream, _use_new_zipfile_serialization=False)
    content = stream.getvalue()
    for before, after in changed.values():
        assert before in content
        content = content.replace(before, after, 1)
    return content


def claiming(content: bytes, size: int) -> bytes:
    """An archive whose last member says that it is so many bytes when unpacked."""
    at = content.rindex(b"PK\1\2") + 24
    return content[:at] + struct.pack("<I", size) + content[at + 4 :]


def header(shape: list[int], end: int) -> dict:
    return {"a": {"dtype": "F32", "shape": shape, "data_offsets": [0, end]}}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        # One number that is said to be a tensor of terabytes.
        ("repeated.pth", archive(tensor_pickle(size=(2**40,), stride=(0,)), {"0": bytes(24)}), NO_TENSORS),
        ("megabytes.pth", archive(tensor_pickle(size=(2**20,), stride=(0,)), {"0": bytes(24)}), NO_TENSORS),
        ("negative.pth", archive(tensor_pickle(size=(-1, 0), stride=(1, 1)), {"0": bytes(24)}), NO_TENSORS),
        # Lengths that were believed, of a text and of a storage.
        ("text.pth", old(length=(b"X\x08\0\0\0a.weight", b"X\x08\0\0\x80a.weight")), DAMAGED),
        ("storage.pth", old(length=(b"K\x06", b"J\xff\xff\xff\x7f")), DAMAGED),
        # What the reader of archives raises where one says that it has more disks.
        (
            "disks.pth",
            b"PK\x03\x04" + bytes(40) + b"PK\x06\x07" + bytes(12) + struct.pack("<I", 7) + b"PK\5\6" + bytes(18),
            DAMAGED,
        ),
        ("short.pth", archive(tensor_pickle(numel=2**40), {"0": bytes(24)}), "no checkpoint of tensors"),
        ("length.safetensors", safetensors_file(b"{}", b"", 2**62), DAMAGED),
        ("shape.safetensors", safetensors_file(header([2**40], 4), bytes(4)), DAMAGED),
        ("overflow.safetensors", safetensors_file(header([2**32, 2**32], 4), bytes(4)), DAMAGED),
        ("deep.safetensors", safetensors_file(b"[" * 100_000, b""), DAMAGED),
    ],
)
def test_what_once_broke_the_reader_is_one_sentence(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    answer = apart(lambda: refuse(tmp_path / name))
    assert said in answer
    assert answer.startswith("ModelError: ")


def refuse(path: Path) -> None:
    try:
        read_state_dict(path)
    except ModelError as error:
        check_message(error)
        raise


def test_the_old_format_is_still_read(tmp_path: Path) -> None:
    (tmp_path / "old.pth").write_bytes(old())
    state = read_state_dict(tmp_path / "old.pth")
    assert all(torch.equal(state[name], tensor) for name, tensor in TENSORS.items())


def test_an_archive_that_claims_gigabytes_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "packed.pth"
    path.write_bytes(claiming(archive(tensor_pickle(), {"0": bytes(24)}), 0xFF000028))
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("PyTorch would allocate them"))
    with pytest.raises(ModelError, match=r"packed\.pth' is an archive but no checkpoint of tensors"):
        read_state_dict(path)
