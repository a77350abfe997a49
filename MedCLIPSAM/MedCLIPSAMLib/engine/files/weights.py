"""Weight files, read without running code that may hide in them."""

from __future__ import annotations

import io
import pickle
import pickletools
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ..errors import DeviceError, ModelError
from ..machine.device import ran_out

_ARCHIVE = b"PK\x03\x04"
_LFS_POINTER = b"version https://git-lfs"
_PICKLES = 4  # of the old format before its storages: two marks, the system, the content
_NUMBERS = ("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4")  # how pickles write them
_DEFLATED = 1032  # bytes at most that one byte of a zip file stands for
_WRAPPERS = ("state_dict", "model_state_dict", "model")
_PARTS = ("image_encoder", "text_encoder", "model")  # of a checkpoint with several networks


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """Tensors by name from a .safetensors file or a PyTorch checkpoint, on the CPU.

    PyTorch files are read with `weights_only=True`, so that pickled code never runs. A checkpoint that wraps
    its tensors (`state_dict`, `model`) is unwrapped, and the prefix of `DataParallel` is taken off the names; where
    there are several networks, their names stand before those of their tensors, and a stroke between.

    Raises:
        DeviceError: there is too little memory for it.
        ModelError: the file is missing, cut short, holds code, or is no checkpoint.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"There is no weights file at '{path}': check the path.")
    with path.open("rb") as file:
        if file.read(len(_LFS_POINTER)) == _LFS_POINTER:
            raise ModelError(f"'{path}' only points to the weights in Git LFS: run 'git lfs pull' to fetch them.")
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pytorch(path)
    if isinstance(content, Mapping) and all(isinstance(content.get(part), Mapping) for part in _PARTS):
        content = {f"{part}/{name}": tensor for part in _PARTS for name, tensor in content[part].items()}
    for key in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not content or not _all_tensors(content, path.stat().st_size):
        raise ModelError(f"'{path}' is not a checkpoint of named tensors: choose the model's weights file.")
    return {str(name).removeprefix("module."): tensor for name, tensor in content.items()}


def _read_safetensors(path: Path) -> object:
    try:
        return load_file(path)
    except (SafetensorError, OSError, MemoryError) as error:
        raise _unreadable(path, error) from error


def _read_pytorch(path: Path) -> object:
    try:
        with path.open("rb") as file:
            archive = file.read(len(_ARCHIVE)) == _ARCHIVE
        if archive:
            _check_members(path)
            if _is_program(path):
                raise _with_code(path)
            return torch.load(path, map_location="cpu", weights_only=True)
        if tarfile.is_tarfile(path):
            raise ValueError("archives of tar, the format before 2018, are unpickled by PyTorch before 2.6 as they are")
        with _Bounded(path) as stream:
            _check_storages(stream)
            return torch.load(stream, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "GLOBAL" not in str(error):  # PyTorch's word for a pickled class or function
            raise _unreadable(path, error) from error
        raise _with_code(path) from error
    except ModelError:
        raise
    except Exception as error:  # a broken file can fail anywhere inside the unpickler, with any exception
        raise _unreadable(path, error) from error


def _check_members(path: Path) -> None:
    """Raises ValueError for an archive that claims more than can be packed into it: PyTorch allocates the claim."""
    with zipfile.ZipFile(path) as archive:
        if any(member.file_size > _DEFLATED * member.compress_size for member in archive.infolist()):
            raise ValueError("a member is longer than what it is packed from")


def _is_program(path: Path) -> bool:
    """Whether an archive is one of TorchScript, which PyTorch before 2.6 would run although only weights are wanted."""
    with zipfile.ZipFile(path) as archive:
        return any(name.rpartition("/")[2] == "constants.pkl" for name in archive.namelist())


def _with_code(path: Path) -> ModelError:
    return ModelError(
        f"'{path}' holds Python objects beside its tensors, which are not loaded as they can run code:"
        " save its state_dict alone, or as .safetensors."
    )


class _Bounded(io.BufferedReader):
    """Allocates no more than there is to read: a damaged length may be gigabytes."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self.length = path.stat().st_size

    def read(self, size: int | None = -1, /) -> bytes:
        left = max(0, self.length - self.tell())
        return super().read(left if size is None or size < 0 else min(size, left))


def _check_storages(stream: _Bounded) -> None:
    """Raises ValueError for a file of PyTorch's old format that claims more numbers than it has bytes."""
    for _ in range(_PICKLES):
        number = 0
        for opcode, argument, _ in pickletools.genops(stream):
            if opcode.name in _NUMBERS:
                number = int(argument)  # type: ignore[arg-type]  # numbers have one
            elif opcode.name == "BINPERSID" and number > stream.length:  # a storage: the number before it is its length
                raise ValueError("a storage is longer than the file")
    stream.seek(0)


def _unreadable(path: Path, error: Exception) -> ModelError | DeviceError:
    if ran_out(error):  # a damaged file may claim to be larger than it is
        return DeviceError(
            f"'{path}' does not fit into the free memory, or is damaged: close other programs, or fetch it again."
        )
    if path.suffix == ".safetensors":
        return ModelError(f"'{path}' is damaged or cut short: fetch the file again.")
    if _is_whole_archive(path):
        return ModelError(
            f"'{path}' is an archive but no checkpoint of tensors (TorchScript programs are not loaded):"
            " choose the model's weights file."
        )
    return ModelError(f"'{path}' is damaged, cut short, or no PyTorch checkpoint: fetch the file again.")


def _is_whole_archive(path: Path) -> bool:
    try:
        return zipfile.is_zipfile(path)
    except zipfile.BadZipFile:  # one that says it has more disks
        return False


def _all_tensors(content: Mapping, size: int) -> bool:
    """Whether there is nothing but tensors that are in a file of so many bytes, not some repeated without end."""
    return all(
        isinstance(tensor, Tensor)
        and (tensor.device.type, tensor.layout) == ("cpu", torch.strided)
        and min(tensor.shape, default=0) >= 0
        and tensor.numel() * tensor.element_size() <= size
        for tensor in content.values()
    )
