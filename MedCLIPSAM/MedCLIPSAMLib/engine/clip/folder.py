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
