"""The models that are known by name: Resources/Models/catalogue.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

from ..errors import ModelError
from ..files.resources import resource

Role = Literal["clip", "segmenter"]


@dataclass(frozen=True)
class Entry:
    """A text-image model ("clip") or a segmenter.

    Attributes:
        name: what it is called on the command line and in provenance.
        title, purpose, license, citation, source: for people; ``source`` is where its files come from.
        megabytes: of its files, about.
        hub: repository of the Hugging Face hub that ``files`` can be downloaded from, or
        url: address of its only file; both empty where a person has to get it.
        files: their names in the store; empty where they depend on what is imported.
        sha256: of files by name, where the publisher's is known.
        shows: what saliency methods can look into of a text-image model, see `methods.Shown`.
    """

    name: str
    role: Role
    title: str
    purpose: str
    megabytes: int
    license: str
    citation: str
    source: str
    hub: str = ""
    url: str = ""
    files: tuple[str, ...] = ()
    sha256: Mapping[str, str] = field(default_factory=dict)
    shows: tuple[str, ...] = ()

    @property
    def built_in(self) -> bool:
        """Whether it comes with the installation."""
        return self.source.startswith("built in")

    @property
    def installed_by(self) -> str:
        """The arguments of `medclipsam models` that bring it to this computer."""
        return f"download {self.name}" if self.can_be_downloaded else f"import PATH --as {self.name}"

    @property
    def can_be_downloaded(self) -> bool:
        """Whether there is a public address of it."""
        return bool(self.hub or self.url)


def catalogue() -> dict[str, Entry]:
    """All entries by name: those of the file in its order, then the models of the store that were made on own data."""
    from .own import own_entries

    return {**shipped(), **own_entries()}


@cache
def shipped() -> dict[str, Entry]:
    """The entries of the file by name."""
    document = json.loads(resource("Models/catalogue.json").read_text("utf-8"))
    lists = ("files", "shows")
    entries = [
        Entry(**{**content, **{name: tuple(content.get(name, ())) for name in lists}}) for content in document["models"]
    ]
    return {entry.name: entry for entry in entries}


def entries(role: Role) -> list[Entry]:
    """The models of a role, in the order of the catalogue."""
    return [entry for entry in catalogue().values() if entry.role == role]


def entry_of(name: str) -> Entry | None:
    """The entry of that name, if there is one; the store is read for names alone that the file does not have."""
    from .own import own_entries

    return shipped().get(name) or own_entries().get(name)


def find_entry(name: str) -> Entry:
    """The entry of that name.

    Raises:
        ModelError: there is none.
    """
    entry = entry_of(name)
    if entry is None:
        raise ModelError(f"There is no model '{name}' in the catalogue; choose one of {', '.join(catalogue())}.")
    return entry


def find_storable(name: str) -> Entry:
    """The entry of a model that is kept in a store, whether or not it is there now.

    Raises:
        ModelError: as of `find_entry`, or it is built in.
    """
    entry = find_entry(name)
    if entry.built_in:
        raise ModelError(
            f"{entry.title} is {entry.source}: it comes with the installation, so the store has no folder of it, and"
            " there is nothing to download, export or remove."
        )
    return entry
