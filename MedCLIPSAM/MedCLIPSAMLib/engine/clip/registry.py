"""Every image-text model by one string: a built-in name, a folder, or an open_clip NAME:TAG."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from ..errors import ModelError
from ..machine.device import load_where_it_fits, pick_device
from ..models.catalogue import entry_of
from ..models.recognise import models_of, read_checkpoint
from ..models.store import Store
from .base import ImageTextModel
from .folder import ANCHORS, HUGGING_FACE_CONFIG, OPEN_CLIP_CONFIG, read_config, weights_in
from .regional import REGIONAL

# Built-in models: name -> function of a device, imported when asked for.
CLIPS = {"quickstart": f"{__package__}.quickstart.model:load_quickstart"}

# Those of them that list what they know -> function that tells it without loading them.
_KNOWN = {"quickstart": f"{__package__}.quickstart.model:known_terms"}


def known_terms(name: str) -> tuple[str, ...] | None:
    """The terms that a built-in model was trained to find; None for a model that lists none, or only when it is loaded.

    Raises:
        ModelError: the files of the model are missing or damaged.
    """
    return pkgutil.resolve_name(_KNOWN[name])() if name in _KNOWN else None


def load_clip(name_or_folder: str | Path, device: str | torch.device = "auto") -> ImageTextModel:
    """Loads a model; never touches the network.

    Args:
        name_or_folder: a name of `CLIPS` or of a model in the store; a folder of BiomedCLIP in the hub's or the
            Hugging Face layout, of an open_clip model, or with the checkpoint of one of `REGIONAL`, of BLIP and BLIP-2
            in the hub's layout too; or open_clip's NAME:TAG with weights on this computer, or NAME:FILE.

    Raises:
        ModelError: there is no such model here, or its files are damaged or of another kind.
        InputError: there is no such device.
        DeviceError: there is too little memory, on the CPU as well.
    """
    name = str(name_or_folder)
    return load_where_it_fits(name, partial(_load, name), pick_device(device))


def _load(name: str, where: torch.device) -> ImageTextModel:
    if name in CLIPS:
        load: Callable[[torch.device], ImageTextModel] = pkgutil.resolve_name(CLIPS[name])
        return load(where)
    folder = folder_of(name)
    if folder.is_dir():
        return _load_folder(folder, where)
    if folder.is_file():
        if folder.suffix.lower() == ".zip":
            raise ModelError(
                f"'{name}' is a zip file: import it with `medclipsam models import`, and give the name of its model."
            )
        raise ModelError(f"'{name}' is a file: give the folder that holds it beside its configuration.")
    from .openclip import load_by_name

    return load_by_name(name, where)


def folder_of(name: str) -> Path:
    """Where the files of a model of the store are, or else the path that a name may be.

    Raises:
        ModelError: it is of the catalogue, and not in the store.
    """
    entry = entry_of(name)
    return Store().folder(name) if entry is not None and entry.role == "clip" else Path(name).expanduser()


def list_clips() -> list[str]:
    """Names that `load_clip` can load now: built-in models, and open_clip's with weights on this computer."""
    from .openclip import cached_names

    return [*CLIPS, *cached_names()]


def _load_folder(folder: Path, device: torch.device) -> ImageTextModel:
    if (folder / OPEN_CLIP_CONFIG).is_file():
        model = read_config(folder / OPEN_CLIP_CONFIG).get("model_cfg", {})
        if "hf_model_name" not in model.get("text_cfg", {}):
            from .openclip import load_folder

            return load_folder(folder, device)
        from .biomedclip import load_hub_layout

        return load_hub_layout(folder, device)
    if (folder / ANCHORS).is_file():
        from .quickstart.model import QuickStart

        return QuickStart(folder, device, folder.resolve().name)
    config = read_config(file) if (file := folder / HUGGING_FACE_CONFIG).is_file() else {}
    # BLIP, BLIP-2 and what others made of them have such a section too, and are told from their tensors.
    if "vision_config" in config and "blip" not in str(config.get("model_type")):
        from .biomedclip import load_hugging_face_layout

        return load_hugging_face_layout(folder, device)
    return _load_regional(folder, device)


def _load_regional(folder: Path, device: torch.device) -> ImageTextModel:
    """A model that is known by its tensors."""
    from .regional.reading import Checkpoint

    weights = weights_in(folder)
    state = read_checkpoint(weights)
    name = next((name for name in models_of(state) if name in REGIONAL), None)
    if name is None:
        raise ModelError(
            f"'{weights}' is no image-text model that is known by its tensors: one of CLIP's kind needs"
            f" {OPEN_CLIP_CONFIG} or {HUGGING_FACE_CONFIG} beside it."
        )
    load: Callable[[Checkpoint, torch.device], ImageTextModel] = pkgutil.resolve_name(REGIONAL[name])
    return load(Checkpoint(weights, state), device)
