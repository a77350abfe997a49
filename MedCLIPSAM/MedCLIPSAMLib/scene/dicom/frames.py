"""Several volumes at one place in a series, such as phases, echoes or b-values: which slices belong together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.multival import MultiValue

from ...engine.errors import InputError
from .headers import number_of, printable, value_of
from .places import are_even, do_overlap, place_of
from .slices import Slice

# Where scanners keep the b-value of a file that is no enhanced one: group, creator, element.
_B_VALUES = (
    (0x0019, "SIEMENS MR HEADER", 0x0C),
    (0x2001, "Philips Imaging DD 001", 0x03),
    (0x0043, "GEMS_PARM_01", 0x39),
    (0x0065, "Image Private Header", 0x09),
)
_GE_FLAG = 1_000_000_000  # added to b-values by GE
_PLACES = (0x00209056, 0x00209057, 0x00200032, 0x00209113)  # dimensions along which a frame is at another place


@dataclass(frozen=True)
class Frame:
    """One volume of a series: its slices, and by what it differs from the others, "" where nothing says."""

    slices: tuple[Slice, ...]
    what: str


def frames_of(what: str, slices: Sequence[Slice]) -> list[Frame]:
    """The volumes that slices of one direction and size make, the first one first.

    Geometry decides how many there are: as many as slices at the place that has most. What differs in the headers
    decides which slices belong together; where that tells nothing, the order in which they are numbered.

    Args:
        what: the series, as a message begins.

    Raises:
        InputError: several slices are at one place, and nothing tells them apart.
    """
    places = place_of(slices)
    count = int(np.bincount(places).max())
    if count == 1 and are_even(slices):
        return [Frame(tuple(slices), "")]
    marks = {name: [read(slice_.header) for slice_ in slices] for name, read in _MARKS.items()}
    if count == 1:
        keys = _interleaved(slices, marks)
        return [Frame(tuple(slices), "")] if keys is None else _frames(slices, keys, marks)
    keys = _told_apart(places, count, marks) or _counted(slices, places, count)
    if keys is None:
        raise InputError(
            f"{what} has several images at one position, and nothing tells which belong together; "
            "leave one phase or echo in the folder."
        )
    return _frames(slices, keys, marks)


def _told_apart(places: np.ndarray, count: int, marks: dict[str, list[Any]]) -> list[Any] | None:
    """For each slice what it has in common with those of its volume: by one mark, else by several."""
    for values in marks.values():
        if len(set(values)) == count and _is_split(places, values):
            return values
    keys: list[Any] = [()] * len(places)
    for values in marks.values():
        finer = list(zip(keys, values, strict=True))
        if len(set(keys)) < len(set(finer)) <= count:  # more would be a mark of each slice
            keys = finer
            if _is_split(places, keys):
                return keys if len(set(keys)) == count else None
    return None


def _is_split(places: np.ndarray, keys: Sequence[Any]) -> bool:
    return len(set(zip(places.tolist(), keys, strict=True))) == len(places)


def _counted(slices: Sequence[Slice], places: np.ndarray, count: int) -> list[Any] | None:
    """The first at each place, the second at each, and so on, where all places have as many."""
    numbers = [slice_.number for slice_ in slices]
    if len(set(numbers)) < len(numbers):
        return None
    if not (np.bincount(places) == count).all():
        return None
    keys: list[Any] = [0] * len(slices)
    seen: dict[int, int] = defaultdict(int)
    for index in sorted(range(len(slices)), key=numbers.__getitem__):
        keys[index] = seen[places[index]]
        seen[places[index]] += 1
    return keys


def _interleaved(slices: Sequence[Slice], marks: dict[str, list[Any]]) -> list[Any] | None:
    """Volumes whose slices lie between each other: apart they are even, together they are not."""
    for values in marks.values():
        if 1 < len(set(values)) <= len(slices) // 2:
            groups = list(_grouped(slices, values).values())
            if all(map(are_even, groups)) and do_overlap(groups):
                return values
    return None


def _grouped(slices: Sequence[Slice], keys: Sequence[Any]) -> dict[Any, list[Slice]]:
    groups: dict[Any, list[Slice]] = defaultdict(list)
    for slice_, key in zip(slices, keys, strict=True):
        groups[key].append(slice_)
    return groups


def _frames(slices: Sequence[Slice], keys: Sequence[Any], marks: dict[str, list[Any]]) -> list[Frame]:
    telling = [name for name, values in marks.items() if name in _NAMED and _is_said(keys, values)]
    said = {key: ", ".join(_text(name, marks[name][index]) for name in telling[:2]) for index, key in enumerate(keys)}
    groups = _grouped(slices, keys)
    order = sorted(groups, key=lambda key: min(slice_.number for slice_ in groups[key]))
    return [Frame(tuple(groups[key]), printable(said[key])) for key in order]


def _is_said(keys: Sequence[Any], values: Sequence[Any]) -> bool:
    """Whether a mark is the same throughout each volume, and not the same for all."""
    return len(set(zip(keys, values, strict=True))) == len(set(keys)) and len(set(values)) > 1


def _text(name: str, value: Any) -> str:
    if value is None:
        return f"no {name}"
    text = "/".join(value) if isinstance(value, tuple) else f"{value:g}" if isinstance(value, float) else value
    return _NAMED[name].format(text)


def _mark(*tags: str) -> Callable[[Dataset], Any]:
    """What the first of some tags that is there holds: a number, or texts."""

    def read(header: Dataset) -> Any:
        for tag in tags:
            value = value_of(header, tag)
            if value is not None:
                number = number_of(header, tag)
                if np.isfinite(number):
                    return number
                return tuple(map(str, value)) if isinstance(value, MultiValue) else str(value)
        return None

    return read


def _b_value(header: Dataset) -> Any:
    number = number_of(header, "DiffusionBValue")
    for group, creator, element in _B_VALUES:
        if np.isfinite(number):
            break
        try:
            value = header.private_block(group, creator)[element].value
            value = value[0] if isinstance(value, MultiValue) else value
            number = float(value.split(b"\\")[0] if isinstance(value, bytes) else value)
        except Exception:  # it is not there, or what stands there is no number
            continue
    return float(number % _GE_FLAG) if np.isfinite(number) else None


def _dimensions(header: Dataset) -> Any:
    """Where a frame stands along the dimensions that a multi-frame file has beside those in space."""
    values, indices = value_of(header, "DimensionIndexValues"), value_of(header, "DimensionIndexSequence")
    if values is None or indices is None:
        return None
    numbers = list(values) if isinstance(values, MultiValue) else [values]
    pairs = zip(numbers, (value_of(index, "DimensionIndexPointer") for index in indices), strict=False)
    return tuple(number for number, pointer in pairs if pointer not in _PLACES)


# What may differ between the volumes of a series, those first that say most to a person.
_MARKS: dict[str, Callable[[Dataset], Any]] = {
    "b-value": _b_value,
    "time": _mark("TemporalPositionIndex", "TemporalPositionIdentifier"),
    "echo": _mark("EchoNumbers"),
    "echo time": _mark("EffectiveEchoTime", "EchoTime"),
    "inversion time": _mark("InversionTime", "InversionTimes"),
    "part": _mark("ComplexImageComponent"),
    "type": _mark("FrameType", "ImageType"),
    "cardiac phase": _mark("NominalPercentageOfCardiacPhase"),
    "trigger": _mark("NominalCardiacTriggerDelayTime", "TriggerTime"),
    "acquisition": _mark("AcquisitionNumber"),
    "gradient": _mark("DiffusionGradientOrientation"),
    "dimensions": _dimensions,
    "acquired": _mark("AcquisitionDateTime", "AcquisitionTime"),
    "created": _mark("ContentTime"),
    "frame acquisition": _mark("FrameAcquisitionNumber"),
}
_NAMED = {
    "b-value": "b = {} s/mm²",
    "time": "time {}",
    "echo": "echo {}",
    "echo time": "echo time {} ms",
    "inversion time": "inversion time {} ms",
    "part": "{}",
    "type": "{}",
    "cardiac phase": "{} % of the heartbeat",
    "trigger": "{} ms after the trigger",
    "acquisition": "acquisition {}",
}
