"""Every segmenter by one string: a name, NAME:FILE, or a checkpoint file alone."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import torch

from ..checksum import sha256
from ..device import pick_device, within_memory
from ..errors import ModelError
from ..models.recognise import segmenter_of
from ..models.store import Store
from ..weights import read_state_dict
from .base import PromptableSegmenter

# Name -> module of this package whose `build` makes it from weights; imported when asked for.
SEGMENTERS = {
    "lite-medsam": "lite_medsam",
    "sam-vit-b": "segment_anything_model",
    "sam-vit-l": "segment_anything_model",
    "sam-vit-h": "segment_anything_model",
    "medsam-vit-b": "segment_anything_model",
}
_BUILT_IN = "lite-medsam"  # its weights come with an installed package
_SAME_TENSORS = {"medsam-vit-b": "sam-vit-b"}  # but another preparation of the picture


def load_segmenter(name_or_file: str | Path, device: str | torch.device = "auto") -> PromptableSegmenter:
    """Loads a segmenter; never touches the network.

    Args:
        name_or_file: a name of `SEGMENTERS`, with its file in the store if it is not built in; NAME:FILE; or a
            checkpoint file, recognised by its tensors. SAM ViT-B and MedSAM have the same tensors: a file is taken for
            MedSAM if its name contains "medsam", and NAME:FILE decides.

    Raises:
        ModelError: there is no such segmenter or file, or the file is damaged or of another model.
        InputError: there is no such device, or too little memory on it.
    """
    where = pick_device(device)
    name, file = _name_and_file(str(name_or_file))
    if file is None:
        file = _module(_BUILT_IN).weights_file()
    state = read_state_dict(file)
    kind = segmenter_of(state)
    if kind is None:
        raise ModelError(f"'{file}' is no checkpoint of SAM, MedSAM or LiteMedSAM: choose one of those.")
    if name is None:
        name = "medsam-vit-b" if kind == "sam-vit-b" and "medsam" in file.name.lower() else kind
    if _SAME_TENSORS.get(name, name) != kind:
        raise ModelError(f"'{file}' is a checkpoint of {kind}, not of {name}: give {kind}:FILE or the file alone.")
    try:
        with within_memory(name, where):
            return _module(name).build(name, state, sha256(file), where)
    except RuntimeError as error:
        raise ModelError(
            f"'{file}' looks like {kind}, but tensors are missing, unknown or of another shape:"
            " fetch the original checkpoint."
        ) from error


def _name_and_file(text: str) -> tuple[str | None, Path | None]:
    name, _, file = text.partition(":")
    if name in SEGMENTERS:
        if not file and name != _BUILT_IN:
            return name, Store().weights_file(name)
        return name, Path(file).expanduser() if file else None
    if not Path(text).expanduser().is_file():
        known = ", ".join(SEGMENTERS)
        raise ModelError(f"There is no segmenter or checkpoint file '{text}': give a file or one of {known}.")
    return None, Path(text).expanduser()


def _module(name: str) -> Any:
    try:
        return importlib.import_module(f".{SEGMENTERS[name]}", __package__)
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0].replace("_", "-")
        raise ModelError(f"{name} needs the Python package {package}: install it with pip.") from error
