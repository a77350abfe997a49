"""Prompts ready to use: for each modality and region the structures, each worded in three styles."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from ..errors import InputError
from ..files.document import checked_fields, checked_list
from ..files.resources import resource
from .prompt import Prompt, checked_text

Style = Literal["word", "description", "ensemble"]
STYLES: tuple[Style, ...] = get_args(Style)

JSON_VERSION = 1
_MODALITIES = ("CT", "MR")
_STRUCTURE_KEYS = ("name", "word", "description", "ensemble", "contrast")


@dataclass(frozen=True)
class LibraryEntry:
    """One structure of the library.

    Attributes:
        modality: "CT" or "MR".
        region: the part of the body, such as "Abdomen".
        name: what the segment is called.
        word: the structure in a word or its usual name.
        description: a sentence about modality, look and place.
        ensemble: several wordings, used together.
        contrast: what it must not be confused with, in every style; may be empty.
        needs: the model that knows the structure, where the built-in one does not.
    """

    modality: str
    region: str
    name: str
    word: str
    description: str
    ensemble: tuple[str, ...]
    contrast: tuple[str, ...]
    needs: str | None

    def prompt(self, style: Style) -> Prompt:
        """The structure worded in one of `STYLES`."""
        wordings = {"word": (self.word,), "description": (self.description,), "ensemble": self.ensemble}
        return Prompt(self.name, wordings[style], self.contrast)


def read_library() -> tuple[LibraryEntry, ...]:
    """All entries of Resources/Prompts, by modality, then region, then as in the file.

    Raises:
        InputError: a file is not JSON, of another version, or has a missing, unknown or unusable entry.
        MedCLIPSAMError: this installation has no such folder.
    """
    entries = [entry for file in sorted(resource("Prompts").glob("*.json")) for entry in _read_file(file)]
    return tuple(sorted(entries, key=lambda entry: (entry.modality, entry.region)))


def _read_file(file: Path) -> list[LibraryEntry]:
    what = f"The prompt library '{file.name}'"
    try:
        document = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{what} cannot be read as JSON ({error}); correct the file.") from None
    fields = checked_fields(document, what, ("version", "modality", "region", "structures"))
    if type(fields["version"]) is not int or fields["version"] != JSON_VERSION:
        raise InputError(f"{what} has version {fields['version']!r}; only {JSON_VERSION} can be read.")
    modality, region = fields["modality"], checked_text(fields["region"], f"{what}: the region")
    if modality not in _MODALITIES:
        raise InputError(f"{what} has the modality {modality!r}; use {' or '.join(_MODALITIES)}.")
    entries: list[LibraryEntry] = []
    for number, structure in enumerate(checked_list(fields["structures"], f"{what}: the structures"), start=1):
        entry = _entry(structure, f"{what}: structure {number}", modality, region)
        if entry.name.casefold() in {other.name.casefold() for other in entries}:
            raise InputError(f"{what} has two structures named {entry.name!r}; give each a name of its own.")
        entries.append(entry)
    return entries


def _entry(value: object, what: str, modality: str, region: str) -> LibraryEntry:
    fields = checked_fields(value, what, _STRUCTURE_KEYS, ("needs",))
    texts = {key: checked_text(fields[key], f"{what}: {key!r}") for key in ("name", "word", "description")}
    ensemble, contrast = (
        tuple(
            checked_text(text, f"{what}: a text of {key!r}") for text in checked_list(fields[key], f"{what}: {key!r}")
        )
        for key in ("ensemble", "contrast")
    )
    if not ensemble:
        raise InputError(f"{what} has no wording in 'ensemble'; give several.")
    needs = checked_text(fields["needs"], f"{what}: 'needs'") if "needs" in fields else None
    return LibraryEntry(modality, region, **texts, ensemble=ensemble, contrast=contrast, needs=needs)
