"""Every segmenter by one string: a name, NAME:FILE, or a checkpoint file alone."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..device import pick_device, within_memory
from ..errors import ModelError
from ..weights import read_state_dict, sha256
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
_BY_WIDTH = {768: "sam-vit-b", 1024: "sam-vit-l", 1280: "sam-vit-h"}
_SAME_TENSORS = {"medsam-vit-b": "sam-vit-b"}  # but another preparation of the picture


def load_segmenter(name_or_file: str | Path, device: str | torch.device = "auto") -> PromptableSegmenter:
    """Loads a segmenter; never touches the network.

    Args:
        name_or_file: "lite-medsam"; NAME:FILE with a name of `SEGMENTERS`; or a checkpoint file, recognised by
            its tensors. SAM ViT-B and MedSAM have the same tensors: a file is taken for MedSAM if its name
            contains "medsam", and NAME:FILE decides.

    Raises:
        ModelError: there is no such segmenter or file, or the file is damaged or of another model.
        InputError: there is no such device, or too little memory on it.
    """
    where = pick_device(device)
    name, file = _name_and_file(str(name_or_file))
    if file is None:
        file = _module(_BUILT_IN).weights_file()
    state = read_state_dict(file)
    kind = _recognise(state, file)
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


def list_segmenters() -> list[str]:
    """What `load_segmenter` understands: names, those without weights of their own as NAME:FILE."""
    return [name if name == _BUILT_IN else f"{name}:FILE" for name in SEGMENTERS]


def _name_and_file(text: str) -> tuple[str | None, Path | None]:
    name, _, file = text.partition(":")
    if name in SEGMENTERS:
        if not file and name != _BUILT_IN:
            raise ModelError(f"{name} comes without weights: give its checkpoint file as {name}:FILE.")
        return name, Path(file).expanduser() if file else None
    if not Path(text).expanduser().is_file():
        known = ", ".join(list_segmenters())
        raise ModelError(f"There is no segmenter or checkpoint file '{text}': give a file or one of {known}.")
    return None, Path(text).expanduser()


def _recognise(state: dict[str, Tensor], file: Path) -> str:
    """The model that tensors belong to; SAM ViT-B stands for MedSAM, too."""
    if "image_encoder.patch_embed.seq.0.c.weight" in state:
        return _BUILT_IN
    position = state.get("image_encoder.pos_embed")
    width = position.shape[-1] if position is not None and position.ndim else 0
    if width not in _BY_WIDTH:
        raise ModelError(f"'{file}' is no checkpoint of SAM, MedSAM or LiteMedSAM: choose one of those.")
    return _BY_WIDTH[width]


def _module(name: str) -> Any:
    try:
        return importlib.import_module(f".{SEGMENTERS[name]}", __package__)
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0].replace("_", "-")
        raise ModelError(f"{name} needs the Python package {package}: install it with pip.") from error
