"""What MedCLIP-SAMv2 was published with, set by set (Koleilat et al., arXiv:2409.19483): `Resources/Reproduction`."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Any

from ...engine.files.resources import resource


@dataclass(frozen=True)
class PublishedSet:
    """One of the four sets of test pictures.

    Attributes:
        name: of its folder.
        one_prompt: ours, for all of its pictures: it tells no type of tumour.
        dsc: mean Dice in per cent, zero-shot, as published.
        read_from: the authors' files that say the settings.
        layer, beta, seed, localize: of M2IB and of what follows it.
        contours: how many parts are kept.
        box_each: a box around each part, not one around all.
        images: how many there are, None where the authors do not list them.
        names_sha256: of their names without endings, in order, a line for each.
        person: pattern whose first group, in the name of a picture, tells the person.
    """

    name: str
    title: str
    one_prompt: str
    dsc: float
    read_from: str
    layer: int
    beta: float
    seed: int
    localize: str
    contours: int
    box_each: bool
    images: int | None = None
    names_sha256: str | None = None
    person: str | None = None

    def person_of(self, name: str) -> str:
        """The person in the name of a picture: by ``person``, or what stands before "__", or else the name."""
        match = re.match(self.person, name) if self.person else None
        return match[1] if match else name.split("__")[0]

    def doubt(self, names: Collection[str]) -> str:
        """Why pictures of these names, without endings, may not be the published ones; empty where they are."""
        if self.names_sha256 is None:
            return "The authors do not list the pictures of this set, so it cannot be shown that these are the same."
        if hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest() == self.names_sha256:
            return ""
        if len(names) != self.images:
            return f"These are not the published pictures: there are {len(names)} here, and {self.images} there."
        return f"These are not the published pictures: there are {self.images}, but of other names."


@dataclass(frozen=True)
class Publication:
    """Where the sets and their settings were read; ``tolerance_px``: of the surface distance, in pixels."""

    paper: str
    repository: str
    commit: str
    tolerance_px: float
    clip: str
    segmenter: str
    sets: tuple[PublishedSet, ...]

    @classmethod
    def read(cls) -> Publication:
        """From `Resources/Reproduction/sets.json`."""
        document: dict[str, Any] = json.loads(resource("Reproduction/sets.json").read_text("utf-8"))
        known = {field.name for field in fields(PublishedSet)} - {"read_from"}
        sets = tuple(
            PublishedSet(read_from=each["from"], **{name: each[name] for name in known if name in each})
            for each in document.pop("sets")
        )
        return cls(sets=sets, **document)
