from __future__ import annotations

import argparse
import hashlib
import pickle
import tarfile
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from MedCLIPSAMLib.engine.errors import ModelError
from MedCLIPSAMLib.engine.files.checksum import sha256
from MedCLIPSAMLib.engine.files.weights import read_state_dict

TENSORS = {"a.weight": torch.arange(6.0).view(2, 3), "b": torch.ones(1, dtype=torch.float16)}


class Malicious:
    """Would write a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def write_half(path: Path, whole: Path) -> None:
    content = whole.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt", "w.bin", "old.pth", "wrapped.pt", "parallel.pt"])
def test_checkpoints_are_read_as_tensors_by_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if path.suffix == ".safetensors":
        save_file(TENSORS, path)
    elif name == "wrapped.pt":
        torch.save({"epoch": 3, "state_dict": TENSORS}, path)
    elif name == "parallel.pt":
        torch.save({"model": {f"module.{key}": tensor for key, tensor in TENSORS.items()}}, path)
    else:
        torch.save(TENSORS, path, _use_new_zipfile_serialization=name != "old.pth")
    state = read_state_dict(path)
    assert state.keys() == TENSORS.keys()
    assert all(torch.equal(state[key], tensor) for key, tensor in TENSORS.items())


@pytest.mark.row("model-code")
def test_code_in_a_checkpoint_never_runs(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    torch.save({"a": Malicious(mark)}, tmp_path / "zip.pt")
    torch.save({"a": Malicious(mark)}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Malicious(mark), protocol=2))
    for name in ("zip.pt", "old.pt", "plain.pt"):
        with pytest.raises(ModelError, match=name):
            read_state_dict(tmp_path / name)
    assert not mark.exists()


def test_objects_beside_the_tensors_are_named_as_the_reason(tmp_path: Path) -> None:
    torch.save({"state_dict": TENSORS, "args": argparse.Namespace(lr=1)}, tmp_path / "training.pt")
    with pytest.raises(ModelError, match="holds Python objects beside its tensors"):
        read_state_dict(tmp_path / "training.pt")


@pytest.mark.row("model-damaged")
@pytest.mark.row("model-older-pytorch")
def test_what_older_versions_of_pytorch_would_run_never_reaches_them(tmp_path: Path, monkeypatch) -> None:
    """Before 2.6, `weights_only` did not hold for programs of TorchScript nor for archives of tar (CVE-2025-32434)."""
    program, tar, tensors = tmp_path / "program.pt", tmp_path / "old.pth", tmp_path / "tensors.pt"
    torch.save(TENSORS, program)
    with zipfile.ZipFile(program, "a") as archive:
        archive.writestr("program/constants.pkl", pickle.dumps(()))  # the mark of a program
    with tarfile.open(tar, "w") as archive:
        for name in ("storages", "tensors", "pickle"):
            (tmp_path / name).write_bytes(pickle.dumps(Malicious(tmp_path / "ran")))
            archive.add(tmp_path / name, name)
    torch.save(TENSORS, tensors)
    loaded = []
    monkeypatch.setattr(torch, "load", lambda path, **options: loaded.append(path) or TENSORS)
    with pytest.raises(ModelError, match=r"program.pt' holds Python objects .* can run code"):
        read_state_dict(program)
    with pytest.raises(ModelError, match=r"old.pth'"):
        read_state_dict(tar)
    assert not (tmp_path / "ran").exists()
    assert loaded == []
    read_state_dict(tensors)
    assert loaded == [tensors]


@pytest.mark.parametrize(
    "name",
    ["cut.pt", "cut_old.pt", "cut.safetensors", "empty.pt", "empty.safetensors", "text.pt", "text.safetensors"],
)
def test_a_damaged_file_is_one_sentence_with_its_name(tmp_path: Path, name: str) -> None:
    path, whole = tmp_path / name, tmp_path / "whole"
    path.write_text("hello" * ("text" in name))
    if name == "cut.safetensors":
        save_file(TENSORS, whole)
        write_half(path, whole)
    elif "cut" in name:
        torch.save(TENSORS, whole, _use_new_zipfile_serialization="old" not in name)
        write_half(path, whole)
    with pytest.raises(ModelError) as caught:
        read_state_dict(path)
    message = str(caught.value)
    assert str(path) in message
    assert "fetch the file again" in message
    assert "\n" not in message


@pytest.mark.parametrize("content", [[torch.ones(1)], {}, {"a": 1}, torch.ones(3)])
def test_what_is_no_state_dict_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(ModelError, match="is not a checkpoint of named tensors"):
        read_state_dict(tmp_path / "other.pt")


def test_other_archives_missing_files_and_git_lfs_pointers_are_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "archive.pt", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(ModelError, match="is an archive but no checkpoint"):
        read_state_dict(tmp_path / "archive.pt")
    with pytest.raises(ModelError, match="There is no weights file at"):
        read_state_dict(tmp_path / "missing.pt")
    (tmp_path / "pointer.bin").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(ModelError, match="git lfs pull"):
        read_state_dict(tmp_path / "pointer.bin")


def test_checksum_is_that_of_the_bytes(tmp_path: Path) -> None:
    content = bytes(range(256)) * 10_000
    (tmp_path / "file").write_bytes(content)
    assert sha256(tmp_path / "file") == hashlib.sha256(content).hexdigest()
