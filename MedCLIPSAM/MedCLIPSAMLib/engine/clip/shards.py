"""Weights in several files, as the hub cuts large ones: parts, and an index that tells which tensor is in which."""

from __future__ import annotations

import re
from pathlib import Path

from torch import Tensor

from ..errors import ModelError
from ..files.weights import read_state_dict
from .folder import HUGGING_FACE_INDEXES, read_config

_PART = re.compile(r"-\d{5}-of-\d{5}\.\w+$")


def places(weights: Path) -> dict[str, Path] | None:
    """The file of each tensor, by an index; None for ``weights`` that are one file.

    Raises:
        ModelError: the index is damaged, or a file that it names is missing; or ``weights`` are one part of several.
    """
    if weights.name not in HUGGING_FACE_INDEXES:
        if _PART.search(weights.name):
            raise ModelError(
                f"'{weights}' is one of several parts: put the others beside it, and the index that lists them"
                f" ({' or '.join(HUGGING_FACE_INDEXES)})."
            )
        return None
    listed = read_config(weights).get("weight_map")
    # A path in it would lead out of the folder.
    if not isinstance(listed, dict) or not listed or not all(_is_name(file) for file in listed.values()):
        raise ModelError(f"'{weights}' is no list of tensors and their files: copy the file again.")
    missing = sorted({file for file in listed.values() if not (weights.parent / file).is_file()})
    if missing:
        raise ModelError(f"'{weights.parent}' lacks {', '.join(missing)}, which {weights.name} lists: fetch it again.")
    return {name: weights.parent / file for name, file in listed.items()}


def parts(weights: Path) -> list[Path]:
    """The files that hold the tensors of ``weights``, by name; raises as `places`."""
    placed = places(weights)
    return [weights] if placed is None else sorted(set(placed.values()))


def read_weights(weights: Path) -> dict[str, Tensor]:
    """Tensors by name, of one file, or of all that an index lists; on the CPU.

    Raises:
        DeviceError: there is too little memory.
        ModelError: as of `places` or `read_state_dict`, or a file has not the tensors that it is said to have.
    """
    placed = places(weights)
    if placed is None:
        return read_state_dict(weights)
    state: dict[str, Tensor] = {}
    for part in sorted(set(placed.values())):
        read = read_state_dict(part)
        lacking = next((name for name, file in placed.items() if file == part and name not in read), None)
        if lacking is not None:
            raise ModelError(f"'{part}' is not the part that {weights.name} lists (no '{lacking}'): fetch both again.")
        state |= read
    return state


def _is_name(file: object) -> bool:
    return isinstance(file, str) and file not in ("", "..") and Path(file).name == file and "\\" not in file
