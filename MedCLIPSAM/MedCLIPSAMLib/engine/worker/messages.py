"""What a window and the engine's process say to each other: one line of JSON each, arrays in files beside it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..prompt.prompt import Point, Prompt
from ..session.evidence import Progress, SegmentEvidence, SliceEvidence, SliceSummary
from ..session.settings import Settings
from ..volume import Frame, Modality, Volume, Window
from ..volume.block import Block
from ..volume.region import Region

# Files in the folder: what the engine says, that it lives, and its process id until it ends by itself.
ANSWERS, ALIVE, IDENTITY = "answers", "alive", "identity"
_LARGE = 8 << 20  # bytes of an array that is mapped instead of read


@dataclass(frozen=True)
class StoredArray:
    """An array that lies in the folder already; it arrives as the array."""

    file: str


@dataclass(frozen=True)
class Open:
    """Take this volume, fields as of `Volume`, and load these models, as their registries name them."""

    array: Any
    ijk_to_ras: np.ndarray
    modality: Modality
    name: str
    clip: str
    segmenter: str
    device: str
    settings: Settings

    @classmethod
    def of(cls, volume: Volume, clip: str, segmenter: str, device: str, settings: Settings) -> Open:
        """The request for a volume."""
        geometry = (volume.array, volume.ijk_to_ras, volume.modality, volume.name)
        return cls(*geometry, clip, segmenter, device, settings)


@dataclass(frozen=True)
class Preview:
    """Look at one slice; one that was asked for before and is not done yet is no longer wanted."""

    index: int
    prompt: Prompt
    quick: bool
    region: Region | None = None


@dataclass(frozen=True)
class Edit:
    """Run the mask decoder again on one slice, as `Session.edit` does."""

    index: int
    prompt: Prompt
    boxes: np.ndarray
    region: Region | None = None


@dataclass(frozen=True)
class Segment:
    """Run the chain on the slices ``first`` to ``last``, as if nobody had corrected anything.

    Attributes:
        later: prompts that will be asked for next; a text among them that must be worded differently is told now.
    """

    prompt: Prompt
    first: int
    last: int
    region: Region | None = None
    later: tuple[Prompt, ...] = ()


@dataclass(frozen=True)
class Doubt:
    """Say how sure the chain is of a segment that it made, as `Session.uncertainty` does.

    Attributes:
        mask: of the segment, bool.
        slices: of the run that made it; those that a person has corrected since are ``edited``.
    """

    prompt: Prompt
    mask: Block
    slices: tuple[SliceSummary, ...]
    region: Region | None = None


@dataclass(frozen=True)
class Import:
    """Put what is at ``path`` into the store of models, see `import_model`."""

    path: str


@dataclass(frozen=True)
class Download:
    """Fetch model ``name`` of the catalogue into the store; `Progress` tells its bytes."""

    name: str


@dataclass(frozen=True)
class Cancel:
    """Request ``number`` is no longer wanted."""

    number: int


@dataclass(frozen=True)
class Opened:
    """What was opened: number of slices, the window that the models are shown, and what provenance needs.

    Attributes:
        models, choices: see `Session`.
    """

    slices: int
    window: Window
    models: tuple[tuple[str, str, str], ...]
    choices: dict[str, Any]


@dataclass(frozen=True)
class Stored:
    """Model ``name`` of the catalogue is in the store now."""

    name: str


@dataclass(frozen=True)
class Drawn:
    """A mask of a run as it is before the run ends: (H, W) bool on slice ``index``."""

    index: int
    mask: np.ndarray


@dataclass(frozen=True)
class Doubted:
    """How sure the chain is of a segment, see `Uncertainty`.

    Attributes:
        map: uint8, in 255ths of a bit: 0 where it is certain, 255 where it might as well toss a coin.
        slices: number and expected loss of each, the least sure first.
    """

    map: Block
    slices: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Failure:
    """A request ended without a result; ``sentence`` is for the user.

    Attributes:
        cancelled: because somebody asked for it.
        dead: because the process ended or does not answer: it must be started again.
    """

    sentence: str
    cancelled: bool = False
    dead: bool = False


Request = Open | Preview | Edit | Segment | Doubt | Import | Download | Cancel
Answer = Opened | Progress | Drawn | SliceEvidence | SegmentEvidence | Doubted | Stored | Failure

_KNOWN = {
    kind.__name__: kind
    for kind in (
        *(Open, Preview, Edit, Segment, Doubt, Import, Download, Cancel, Prompt, Point, Region, Settings, Window),
        *(
            Opened,
            Stored,
            Drawn,
            Doubted,
            Block,
            Failure,
            Progress,
            SliceEvidence,
            SliceSummary,
            SegmentEvidence,
            Frame,
        ),
    )
}


class Mailbox:
    """Writes and reads messages; only the types that are listed here are ever made from what is read.

    Args:
        folder: for the arrays, known to both sides and to nobody else.
        prefix: of the names of this side's files.
    """

    def __init__(self, folder: Path, prefix: str) -> None:
        self._folder = folder
        self._names: Iterator[str] = (f"{prefix}{number}.npy" for number in itertools.count())

    def new_file(self) -> Path:
        """Where the next array goes."""
        return self._folder / next(self._names)

    def write(self, number: int, message: Request | Answer) -> bytes:
        """One line; arrays are on disk when it is returned."""
        return json.dumps([number, self._plain(message)]).encode() + b"\n"

    def read(self, line: bytes) -> tuple[int, Any]:
        """The inverse of `write`: number and message; its arrays are the reader's now, and their files are gone."""
        number, message = json.loads(line)
        return number, self._made(message)

    def _plain(self, value: Any) -> Any:
        if isinstance(value, StoredArray):
            return {"npy": value.file}
        if isinstance(value, np.ndarray):
            path = self.new_file()
            np.save(path, value)
            return {"npy": path.name}
        if isinstance(value, np.generic):
            return value.item()
        if is_dataclass(value):
            content = {field.name: self._plain(getattr(value, field.name)) for field in fields(value)}
            return {"type": type(value).__name__, "fields": content}
        if isinstance(value, dict):
            return {"dict": {key: self._plain(item) for key, item in value.items()}}
        return [self._plain(item) for item in value] if isinstance(value, list | tuple) else value

    def _made(self, value: Any) -> Any:
        if isinstance(value, list):
            return tuple(self._made(item) for item in value)
        if not isinstance(value, dict):
            return value
        if "npy" in value:
            return self._array(value["npy"])
        if "dict" in value:
            return {key: self._made(item) for key, item in value["dict"].items()}
        return _KNOWN[value["type"]](**{name: self._made(item) for name, item in value["fields"].items()})

    def _array(self, name: str) -> np.ndarray:
        path = self._folder / Path(name).name
        large = path.stat().st_size > _LARGE
        array = np.load(path, mmap_mode="r" if large else None)
        with suppress(OSError):  # Windows keeps files that are mapped; they go with the folder
            path.unlink()
        return array
