"""Every segmenter by one string: a name, NAME:FILE, or a checkpoint file alone."""

from __future__ import annotations

import importlib
from functools import partial
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch

from ..errors import ModelError
from ..files.checksum import sha256
from ..files.weights import read_state_dict
from ..machine.device import load_where_it_fits, pick_device, within_memory
from ..models.recognise import model_of, segmenters_of
from ..models.store import Store
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
_SAID = 400  # characters of what is wrong with tensors, at most


def load_segmenter(name_or_file: str | Path, device: str | torch.device = "auto") -> PromptableSegmenter:
    """Loads a segmenter; never touches the network.

    Args:
        name_or_file: a name of `SEGMENTERS`, with its file in the store if it is not built in; NAME:FILE; or a
            checkpoint file in either of SAM's layouts, recognised by its tensors. SAM ViT-B and MedSAM have the same
            tensors: NAME:FILE says which of them it is, or else `model_of` decides.

    Raises:
        ModelError: there is no such segmenter or file, or the file is damaged or of another model.
        InputError: there is no such device.
        DeviceError: there is too little memory, on the CPU as well.
    """
    text = str(name_or_file)
    return load_where_it_fits(text, partial(_load, text), pick_device(device))


def _load(text: str, where: torch.device) -> PromptableSegmenter:
    name, file = _name_and_file(text)
    if file is None:
        file = _module(_BUILT_IN).weights_file()
    state = read_state_dict(file)
    possible = segmenters_of(state)
    if not possible:
        raise ModelError(f"'{file}' is no checkpoint of SAM, MedSAM or LiteMedSAM: choose one of those.")
    if name is None:
        name = model_of(state, file, file)
    if name not in possible:
        kind = " or ".join(possible)
        raise ModelError(f"'{file}' is a checkpoint of {kind}, not of {name}: give {kind}, or the file alone.")
    try:
        with within_memory(name, where):
            return _module(name).build(name, state, sha256(file), where)
    except RuntimeError as error:
        raise ModelError(
            f"'{file}' looks like {name}, but tensors are missing, unknown or of another shape"
            f" ({shorten(str(error), _SAID, placeholder=' ...')}): fetch the original checkpoint."
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
