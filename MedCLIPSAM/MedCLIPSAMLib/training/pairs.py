"""Pictures and their texts, as a department has them: a table, or a folder."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from ..engine.errors import InputError
from ..scene.pictures import SUFFIXES

TABLES = (".csv", ".jsonl")
_COLUMNS = ("image", "text", "slice", "patient", "split")
_TRAINING, _VALIDATION = "training", "validation"
_SIDES = {"train": _TRAINING, _TRAINING: _TRAINING, "val": _VALIDATION, _VALIDATION: _VALIDATION}
_LONG_FIELD = 1_000_000  # letters of a field of a CSV: reports are long


@dataclass(frozen=True)
class Pair:
    """A picture, or a slice of a volume, and what is said of it.

    Attributes:
        image: a picture, or any volume that `segment` takes.
        slice: of a volume, from 0, along the axis that `segment` would take; None for a picture.
        patient: whose picture it is; where nothing says it, each file is of a patient of its own.
        side: "training" or "validation" where the table says so.
    """

    image: Path
    text: str
    slice: int | None
    patient: str
    side: str | None = None


def read_pairs(path: Path) -> list[Pair]:
    """The pairs of a CSV or JSON Lines file, or of a folder of pictures with text files of the same names.

    Raises:
        InputError: there are none, a column or a file is missing, a text is empty, or a slice is no number.
    """
    if path.is_dir():
        pairs = list(_of_folder(path))
        if not pairs:
            raise InputError(
                f"{path} has no pairs: put NAME.txt beside each picture ({', '.join(SUFFIXES)}), or give a table."
            )
    else:
        if not path.is_file():
            raise InputError(f"There is no {path}; give a CSV or JSON Lines file, or a folder of pictures and texts.")
        if path.suffix.lower() not in TABLES:
            raise InputError(
                f"{path} is no table of pairs; give a file that ends in {' or '.join(TABLES)}, or a folder."
            )
        pairs = [_pair(row, f"{path}, {where}", path.parent) for where, row in _rows(path)]
        if not pairs:
            raise InputError(f"{path} has no pairs; give it a line for each picture, with its image and its text.")
    missing = [pair.image for pair in pairs if not pair.image.exists()]
    if missing:
        raise InputError(
            f"{path} names {len(missing)} of {len(pairs)} images that are not there, the first is {missing[0]};"
            " correct the paths, which count from the table's folder."
        )
    return pairs


def split(pairs: Sequence[Pair], share: float, seed: int) -> tuple[list[Pair], list[Pair]]:
    """Pairs for training and for validation, nobody on both sides.

    Args:
        share: of the patients that are kept for validation where the table does not say who.

    Raises:
        InputError: the table has a patient on both sides, says it of some pairs only, or nothing is left to train on.
    """
    said = [pair.side for pair in pairs if pair.side is not None]
    if said and len(said) < len(pairs):
        raise InputError("The column split is empty in some lines; fill it in all of them, or leave it out.")
    if not said:
        patients = sorted({pair.patient for pair in pairs})
        Random(seed).shuffle(patients)
        kept = set(patients[: round(share * len(patients))])
        pairs = [replace(pair, side=_VALIDATION if pair.patient in kept else _TRAINING) for pair in pairs]
    training = [pair for pair in pairs if pair.side == _TRAINING]
    validation = [pair for pair in pairs if pair.side == _VALIDATION]
    check_apart(training, validation)
    if len(training) < 2:
        raise InputError("There are fewer than two pairs to train on; give more, or keep fewer for validation.")
    return training, validation


def check_apart(training: Sequence[Pair], validation: Sequence[Pair]) -> None:
    """Refuses a patient on both sides: what was learnt by heart would count as understood.

    Raises:
        InputError: there is one.
    """
    both = Counter(pair.patient for pair in training).keys() & {pair.patient for pair in validation}
    if both:
        raise InputError(
            f"{len(both)} patients, such as {min(both)!r}, are in training and in validation; put all pairs of a"
            " patient on one side."
        )


def _of_folder(folder: Path) -> Iterator[Pair]:
    for picture in sorted(folder.rglob("*")):
        text = picture.with_suffix(".txt")
        if picture.suffix.lower() in SUFFIXES and text.is_file():
            row = {"image": picture.name, "text": _read(text)}
            yield _pair(row, str(text), picture.parent)


def _rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Where each row is, and its fields."""
    content = _read(path)
    if path.suffix.lower() == ".csv":
        csv.field_size_limit(_LONG_FIELD)
        try:
            for row in (reader := csv.DictReader(io.StringIO(content, newline=""), strict=True)):
                yield f"line {reader.line_num}", row
        except csv.Error as error:
            raise InputError(f"{path} is no table in CSV ({error}); save it as CSV with commas.") from None
        return
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise InputError(f"{path}, line {number}, is no JSON object; write one to a line.")
        yield f"line {number}", row


def _pair(row: Mapping[str, Any], where: str, folder: Path) -> Pair:
    lacking = next((name for name in ("image", "text") if name not in row), None)
    if lacking:
        raise InputError(f"{where}, has no {lacking!r}; name the columns {', '.join(_COLUMNS)}, of which two will do.")
    image, text, number, patient, side = ("" if row.get(name) is None else str(row[name]).strip() for name in _COLUMNS)
    if not image:
        raise InputError(f"{where}, names no image; give its path.")
    if not text:
        raise InputError(f"{where}, has an empty text for {image}; say what the image shows, or leave the line out.")
    if number and not number.isdecimal():
        raise InputError(f"{where}, has the slice {number!r}; give its number, from 0.")
    if side and side.casefold() not in _SIDES:
        raise InputError(f"{where}, has the split {side!r}; use {_TRAINING} or {_VALIDATION}.")
    path = folder / Path(image).expanduser()
    return Pair(path, text, int(number) if number else None, patient or str(path), _SIDES.get(side.casefold()))


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{file} is not in UTF-8; save it as UTF-8.") from None
