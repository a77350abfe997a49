"""Models that were made on people's own data: each brings its own entry for the catalogue."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from ..errors import InputError, ModelError
from ..files.checksum import sha256
from .catalogue import Entry, shipped
from .location import folders_of_store

CARD = "medclipsam-model.json"  # beside the files of such a model
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def check_own_name(name: str) -> None:
    """Refuses a name that cannot be that of a folder everywhere, or is another model's.

    Raises:
        ModelError: it is such a name.
    """
    if not _NAME.fullmatch(name):
        raise ModelError(f"'{name}' cannot be the name of a model: use small letters, digits and hyphens, up to 64.")
    if name in shipped():
        raise ModelError(f"'{name}' is the name of a model of the catalogue: choose another.")


def read_card(folder: Path) -> tuple[Entry, dict[str, str]]:
    """The entry of a model that was made on own data, and the checksums of its files by name.

    Raises:
        ModelError: its card is damaged, or lists a file that is not there.
    """
    try:
        card: dict[str, Any] = json.loads((folder / CARD).read_text("utf-8"))
        sums = {str(name): str(value) for name, value in card["files"].items()}
        entry = Entry(
            name=str(card["name"]),
            role="clip",
            title=str(card["title"]),
            purpose=str(card["purpose"]),
            megabytes=round(sum((folder / name).stat().st_size for name in sums) / 1e6),
            license=str(card["license"]),
            citation=str(card["citation"]),
            source="made from your own data by `medclipsam finetune`",
            files=tuple(sums),
            shows=tuple(map(str, card["shows"])),
        )
        if any(Path(name).name != name for name in sums):  # it would lead out of the folder
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ModelError(f"'{folder}' is a fine-tuned model whose {CARD} is damaged: copy its folder again.") from None
    check_own_name(entry.name)
    return entry, sums


def own_entries() -> dict[str, Entry]:
    """Those in the store, by name; what is damaged is left out, and a store that cannot be read has none."""
    found: dict[str, Entry] = {}
    try:
        folders = folders_of_store()
    except InputError:  # `Store` says so where one is needed
        return found
    for folder in folders:
        for card in sorted(folder.glob(f"*/{CARD}")):
            try:
                entry, _ = read_card(card.parent)
            except ModelError:
                continue
            if entry.name == card.parent.name:
                found.setdefault(entry.name, entry)
    return found


def own_files(folder: Path) -> tuple[Entry, dict[str, Path]]:
    """The entry and the files of such a model, each as its card says.

    Raises:
        ModelError: as of `read_card`, or a file has changed.
    """
    entry, sums = read_card(folder)
    for name, value in sums.items():
        if sha256(folder / name) != value:
            raise ModelError(f"'{folder / name}' is not the file that the model was saved with: copy its folder again.")
    return entry, {name: folder / name for name in (*sums, CARD)}
