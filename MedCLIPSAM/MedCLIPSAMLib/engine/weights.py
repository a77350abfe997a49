"""Weight files, read without running code that may hide in them."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from .device import ran_out
from .errors import DeviceError, ModelError

_LFS_POINTER = b"version https://git-lfs"
_WRAPPERS = ("state_dict", "model_state_dict", "model")


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """Tensors by name from a .safetensors file or a PyTorch checkpoint, on the CPU.

    PyTorch files are read with `weights_only=True`, so that pickled code never runs. A checkpoint that wraps
    its tensors (`state_dict`, `model`) is unwrapped, and the prefix of `DataParallel` is taken off the names.

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
    for key in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not content or not _all_tensors(content):
        raise ModelError(f"'{path}' is not a checkpoint of named tensors: choose the model's weights file.")
    return {str(name).removeprefix("module."): tensor for name, tensor in content.items()}


def _read_safetensors(path: Path) -> object:
    try:
        return load_file(path)
    except (SafetensorError, OSError, MemoryError) as error:
        raise _unreadable(path, error) from error


def _read_pytorch(path: Path) -> object:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "GLOBAL" not in str(error):  # PyTorch's word for a pickled class or function
            raise _unreadable(path, error) from error
        raise ModelError(
            f"'{path}' holds Python objects beside its tensors, which are not loaded as they can run code:"
            " save its state_dict alone, or as .safetensors."
        ) from error
    except Exception as error:  # a broken file can fail anywhere inside the unpickler, with any exception
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> ModelError | DeviceError:
    if ran_out(error):  # a damaged file may claim to be larger than it is
        return DeviceError(
            f"'{path}' does not fit into the free memory, or is damaged: close other programs, or fetch it again."
        )
    if path.suffix == ".safetensors":
        return ModelError(f"'{path}' is damaged or cut short: fetch the file again.")
    if zipfile.is_zipfile(path):
        return ModelError(
            f"'{path}' is an archive but no checkpoint of tensors (TorchScript programs are not loaded):"
            " choose the model's weights file."
        )
    return ModelError(f"'{path}' is damaged, cut short, or no PyTorch checkpoint: fetch the file again.")


def _all_tensors(content: Mapping) -> bool:
    return all(isinstance(tensor, Tensor) for tensor in content.values())
