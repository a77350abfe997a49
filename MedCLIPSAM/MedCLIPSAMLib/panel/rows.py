"""The rows of the prompt table: what the user typed, finished or not, and what became of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any
from uuid import uuid4

from ..engine.errors import InputError, MedCLIPSAMError
from ..engine.files.document import checked_list, checked_type
from ..engine.prompt.prompt import Point, Prompt, PromptSet

Colour = tuple[float, float, float]
_VERSION = 1


@dataclass(frozen=True)
class Outcome:
    """How the last run of a row ended.

    Attributes:
        found, searched: numbers of slices.
        known: False where the model was not trained to find it.
        cancelled: the run was stopped, and what it had drawn was kept.
        judged: False where a mask was asked for on every slice, present or not.
    """

    found: int
    searched: int
    known: bool = True
    cancelled: bool = False
    judged: bool = True


@dataclass(frozen=True)
class Row:
    """One structure, as its widgets show it; texts may be anything until they are needed.

    Attributes:
        text: what is typed in the table; ``wordings`` are more of the same, ``contrast`` what it is not.
        name: of the segment; the text if empty.
        colour: r, g, b in 0..1; None leaves it to 3D Slicer's terminology.
        points: places clicked, in RAS mm of the volume.
        instances, visual, localize, sensitivity: as of `Prompt`.
        outcome: None before the first run and after a change of what is looked for.
        accepted: numbers of the slices that were accepted by hand.
        place: the volume and the axis that ``outcome`` and ``accepted`` are of.
        key: tells rows apart, whatever they are called and wherever they stand.
    """

    text: str = ""
    name: str = ""
    on: bool = True
    colour: Colour | None = None
    wordings: tuple[str, ...] = ()
    contrast: tuple[str, ...] = ()
    instances: int | None = None
    visual: str = "box"
    localize: str | None = None
    sensitivity: float = 0.5
    points: tuple[Point, ...] = ()
    outcome: Outcome | None = None
    accepted: tuple[int, ...] = ()
    place: str = ""
    key: str = field(default_factory=lambda: uuid4().hex, compare=False)

    @property
    def title(self) -> str:
        """The name of the segment."""
        return self.name.strip() or self.text.strip()

    def prompt(self) -> Prompt:
        """What to look for.

        Raises:
            InputError: a text is empty, too long or has control characters.
        """
        return Prompt(
            self.title,
            (self.text, *(text for text in self.wordings if text.strip())),
            tuple(text for text in self.contrast if text.strip()),
            self.instances,
            self.visual,  # type: ignore[arg-type]  # checked there
            self.points,
            self.localize,
            self.sensitivity,
        )

    def changed(self, **values: Any) -> Row:
        """The row with other values.

        What was found is no longer its outcome if it looks for something else, nor are slices accepted for it if its
        segment is another.
        """
        row = replace(self, **values)
        if not row.looks_as(self):
            row = replace(row, outcome=None)
        return row if row.title == self.title else replace(row, accepted=())

    def looks_as(self, other: Row, but: tuple[str, ...] = ()) -> bool:
        """Whether both rows look for the same, ``but`` for some of its parts."""
        return all(getattr(self, name) == getattr(other, name) for name in _LOOKED_FOR if name not in but)

    def at(self, place: str) -> Row:
        """The row as it is for a volume and an axis: what became of it elsewhere does not count."""
        return self if place == self.place else replace(self, outcome=None, accepted=(), place=place)

    @classmethod
    def of(cls, prompt: Prompt) -> Row:
        """The row of a prompt that came from a file or a library."""
        text, *more = prompt.wordings
        name = "" if prompt.name == text else prompt.name
        return cls(
            text,
            name,
            wordings=tuple(more),
            contrast=prompt.contrast,
            instances=prompt.instances,
            visual=prompt.visual,
            localize=prompt.localize,
            sensitivity=prompt.sensitivity,
            points=prompt.points,
        )


_LOOKED_FOR = ("text", "wordings", "contrast", "instances", "visual", "localize", "sensitivity", "points")


@dataclass(frozen=True)
class Rows:
    """The table. Every change gives a new one, so that nothing is half changed."""

    rows: tuple[Row, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> Row:
        return self.rows[number]

    def number_of(self, key: str) -> int | None:
        """Where the row with this key is; None if it is not there any more."""
        return next((number for number, row in enumerate(self.rows) if row.key == key), None)

    def with_row(self, number: int, row: Row) -> Rows:
        """Row ``number`` replaced."""
        return Rows((*self.rows[:number], row, *self.rows[number + 1 :]))

    def added(self, rows: Iterable[Row]) -> Rows:
        """``rows`` at the end, with other names where a name is taken."""
        together = list(self.rows)
        for row in rows:
            together.append(_with_free_name(row, together))
        return Rows(tuple(together))

    def duplicated(self, number: int) -> Rows:
        """A copy of row ``number`` after it, of which nothing was found yet."""
        copy = _with_free_name(self.rows[number], self.rows)
        copy = replace(copy, outcome=None, accepted=(), place="", key=Row().key)
        return Rows((*self.rows[: number + 1], copy, *self.rows[number + 1 :]))

    def removed(self, number: int) -> Rows:
        """Without row ``number``."""
        return Rows((*self.rows[:number], *self.rows[number + 1 :]))

    def moved(self, number: int, by: int) -> Rows:
        """Row ``number`` further down, or up where ``by`` is negative; as far as the table goes."""
        rows = list(self.rows)
        row = rows.pop(number)
        rows.insert(min(max(number + by, 0), len(rows)), row)
        return Rows(tuple(rows))

    def prompts(self) -> PromptSet:
        """All rows, switched on or not.

        Raises:
            InputError: as of `Row.prompt`, or two rows have the same name.
        """
        return PromptSet(tuple(row.prompt() for row in self.rows))

    def switched_on(self) -> tuple[tuple[int, Prompt], ...]:
        """Numbers and prompts of the rows that a run looks for.

        Raises:
            InputError: there is none, or as of `prompts`.
        """
        chosen = [(number, row.prompt()) for number, row in enumerate(self.rows) if row.on]
        if not chosen:
            raise InputError("No prompt is switched on; type what to segment and tick it.")
        PromptSet(tuple(prompt for _, prompt in chosen))
        return tuple(chosen)

    def to_json(self) -> str:
        """For the parameter node."""
        return json.dumps({"version": _VERSION, "rows": [asdict(row) for row in self.rows]}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Rows:
        """The inverse of `to_json`; a text that is damaged gives no rows."""
        try:
            document = json.loads(text)
            rows = cls(tuple(_row(entry) for entry in checked_list(document["rows"], "The rows")))
            rows.to_json().encode()  # half of a surrogate pair could not be kept
        except (ValueError, TypeError, KeyError, RecursionError, MedCLIPSAMError):
            return cls()
        return rows if len({row.key for row in rows.rows}) == len(rows) else cls()


_TYPES = {"text": str, "name": str, "on": bool, "place": str, "key": str}
_TYPES_IN_LISTS = {"wordings": str, "contrast": str, "accepted": int}


def _row(entry: Any) -> Row:
    checked_type(entry, "A row", dict)
    known = {each.name: entry[each.name] for each in fields(Row) if each.name in entry}
    for name in _TYPES.keys() & known.keys():
        checked_type(known[name], name, _TYPES[name])
    for name, kind in _TYPES_IN_LISTS.items():
        known[name] = tuple(checked_type(each, name, kind) for each in checked_list(known.get(name, ()), name))
    points = checked_list(known.get("points", ()), "points")
    known["points"] = tuple(Point(point["ras"], checked_type(point["positive"], "A point", bool)) for point in points)
    if known.get("colour") is not None:
        known["colour"] = _colour(known["colour"])
    if known.get("outcome") is not None:
        known["outcome"] = _outcome(known["outcome"])
    row = Row(**known)
    # Raises for what no widget can show; texts may be unfinished.
    Prompt("-", ("-",), (), row.instances, row.visual, row.points, row.localize, row.sensitivity)  # type: ignore[arg-type]
    return row


def _colour(value: object) -> Colour:
    red, green, blue = (checked_type(part, "A colour", int, float) for part in checked_list(value, "A colour"))
    if not all(0 <= part <= 1 for part in (red, green, blue)):
        raise ValueError("A colour is not in 0..1")
    return red, green, blue


def _outcome(value: object) -> Outcome:
    outcome = Outcome(**checked_type(value, "An outcome", dict))
    for count in (outcome.found, outcome.searched):
        checked_type(count, "A count of slices", int)
    for flag in (outcome.known, outcome.cancelled, outcome.judged):
        checked_type(flag, "Known, cancelled or judged", bool)
    return outcome


def _with_free_name(row: Row, others: Sequence[Row]) -> Row:
    taken = {other.title.casefold() for other in others}
    if not row.title or row.title.casefold() not in taken:
        return row
    numbered = (f"{row.title} {number}" for number in range(2, len(taken) + 3))
    return replace(row, name=next(name for name in numbered if name.casefold() not in taken))
