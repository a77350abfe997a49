"""Where a segment came from, kept in its tags so that it travels with scenes and .seg.nrrd files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass, field, fields
from datetime import datetime, timezone
from typing import Any

import vtk

from ... import __version__
from ...engine.errors import MedCLIPSAMError
from ...engine.files.document import checked_list, checked_type
from ...engine.prompt.prompt import Prompt, PromptSet

_PREFIX = "MedCLIPSAM."


@dataclass(frozen=True)
class ModelUse:
    """A model which took part: its role (clip, segmenter or second look), its name and the SHA-256 of its weights."""

    role: str
    name: str
    checksum: str


@dataclass(frozen=True)
class Provenance:
    """How a segment was made, by the last run that wrote it. Nothing of the patient is in it.

    Attributes:
        prompt: what was asked for.
        found: whether the structure was found; the segment is empty if not, but for what is kept of earlier runs. None
            where that was not judged: the settings have forced a mask on every slice.
        slices_found, slices_searched: on how many of the searched slices it was found, or has a mask.
        slices_kept: on how many other slices it has voxels of earlier runs.
        searched: numbers of the first and the last slice that was searched.
        edited: numbers of the slices that were corrected by hand before the run.
        models: the models that were used.
        settings: all other choices, values which JSON can hold.
        version: of this package.
        created: time in UTC, ISO 8601.
    """

    prompt: Prompt
    found: bool | None
    slices_found: int = 0
    slices_searched: int = 0
    slices_kept: int = 0
    searched: tuple[int, int] | None = None
    edited: tuple[int, ...] = ()
    models: tuple[ModelUse, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    version: str = __version__
    created: str = field(default_factory=lambda: datetime.now(timezone.utc).isoformat(timespec="seconds"))

    def to_tags(self) -> dict[str, str]:
        """A tag for each attribute; values are JSON in ASCII without the "|" that separates tags in files."""
        values = {item.name: getattr(self, item.name) for item in fields(self)} | {
            "prompt": json.loads(PromptSet((self.prompt,)).to_json()),
            "models": [asdict(model) for model in self.models],
            "settings": dict(self.settings),
        }
        # In JSON a "|" can only stand inside a text, where its escape means the same.
        return {_PREFIX + name: json.dumps(value).replace("|", "\\u007c") for name, value in values.items()}

    @classmethod
    def from_tags(cls, tags: Mapping[str, str]) -> Provenance:
        """The inverse of `to_tags`; other tags are passed over.

        Raises:
            ValueError: a tag is missing or damaged.
        """
        try:
            values = {name: json.loads(tags[_PREFIX + name]) for name in _names()}
            (values["prompt"],) = PromptSet.from_json(json.dumps(values["prompt"]))
            values["models"] = tuple(ModelUse(**model) for model in checked_list(values["models"], "The models"))
            if values["searched"] is not None:
                values["searched"] = tuple(checked_list(values["searched"], "The searched slices"))
            values["edited"] = tuple(checked_list(values["edited"], "The edited slices"))
            made = cls(**values)
            made._check()
        except (KeyError, TypeError, ValueError, RecursionError, MedCLIPSAMError) as error:
            raise ValueError(f"The provenance tags are incomplete or damaged ({error}).") from None
        return made

    def _check(self) -> None:
        """Raises ValueError or InputError for values that no run writes, as those of damaged tags."""
        checked_type(self.found, "Found", bool, type(None))
        checked_type(self.settings, "The settings", dict)
        first, last = (0, 0) if self.searched is None else self.searched
        counts = (self.slices_found, self.slices_searched, self.slices_kept)
        for number in (*counts, first, last, *self.edited):
            checked_type(number, "A number of slices", int)
        for text in (self.version, self.created, *(part for model in self.models for part in astuple(model))):
            checked_type(text, "A name", str).encode()  # halves of surrogate pairs could not be written


def write_provenance(segment: Any, provenance: Provenance) -> None:
    """Put `provenance` into the tags of a vtkSegment, in place of an earlier one."""
    for name, value in provenance.to_tags().items():
        segment.SetTag(name, value)


def read_provenance(segment: Any) -> Provenance | None:
    """The provenance of a vtkSegment, None where this package did not make it or its tags are damaged."""
    tags = {_PREFIX + name: read_tag(segment, _PREFIX + name) for name in _names()}
    try:
        return Provenance.from_tags({name: value for name, value in tags.items() if value is not None})
    except ValueError:
        return None


def read_tag(segment: Any, name: str) -> str | None:
    """The value of a tag of a vtkSegment, None where it has no such tag."""
    value = vtk.reference("")
    return str(value) if segment.GetTag(name, value) else None


def _names() -> list[str]:
    return [item.name for item in fields(Provenance)]
