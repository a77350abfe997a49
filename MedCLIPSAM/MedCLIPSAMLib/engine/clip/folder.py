"""Files of a model's folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..errors import ModelError

OPEN_CLIP_CONFIG = "open_clip_config.json"
OPEN_CLIP_WEIGHTS = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
)
HUGGING_FACE_CONFIG = "config.json"
HUGGING_FACE_WEIGHTS = ("model.safetensors", "pytorch_model.safetensors", "pytorch_model.bin")
HUGGING_FACE_INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")  # of weights in several files
ANCHORS = "anchors.json"  # the terms of a model of the built-in one's kind, which no other has beside it
# How pictures are prepared; the hub's library writes the second since its version 5.
PREPROCESSING = ("preprocessor_config.json", "processor_config.json")

WEIGHTS = (".safetensors", ".bin", ".pth", ".pt", ".ckpt")  # endings of weights files
# Of the text encoder that MedKLIP's authors took as it was published: beside their checkpoint, or in a folder there.
BERTS = ("bert.safetensors", "bert.bin", "bert/model.safetensors", "bert/pytorch_model.bin")

BERT_CONFIGS = ("bert_config.json", HUGGING_FACE_CONFIG)  # that may lie beside a BERT


def find_bert(folder: Path) -> Path | None:
    """The first of `BERTS` that is a file."""
    return next((folder / name for name in BERTS if (folder / name).is_file()), None)


def weights_in(folder: Path) -> Path:
    """The weights in ``folder`` itself, one file or an index of several, text encoders not counted.

    Of the hub's names, those that cannot hold code come first: its folders often hold the same weights twice.

    Raises:
        ModelError: there are none, or several files under other names.
    """
    names = sorted((*HUGGING_FACE_WEIGHTS, *HUGGING_FACE_INDEXES), key=lambda name: ".safetensors" not in name)
    if chosen := next((folder / name for name in names if (folder / name).is_file()), None):
        return chosen
    found = [file for file in folder.iterdir() if file.suffix.lower() in WEIGHTS and file.name not in BERTS]
    if len(found) != 1:
        raise ModelError(
            f"'{folder}' holds {'several files of weights' if found else 'no image-text model'}: give the folder of one"
            f" model, with {OPEN_CLIP_CONFIG}, {HUGGING_FACE_CONFIG}, or one file of weights."
        )
    return found[0]


def find_weights(folder: Path, names: tuple[str, ...]) -> Path:
    """The first of `names` that is a file in `folder`; ModelError if there is none."""
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise ModelError(f"'{folder}' has no weights: copy {names[-1]} (or {names[0]}) into it.")


def read_config(path: Path) -> dict[str, Any]:
    """A JSON object from a file; ModelError if it cannot be read."""
    try:
        config = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"'{path}' is missing or damaged: copy the file again.") from error
    if not isinstance(config, dict):
        raise ModelError(f"'{path}' is not a model's configuration: copy the file again.")
    return config
