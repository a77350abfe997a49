"""The table of inputs and faults, `matrix.csv`, as tests see it; and how many of its rows were tried and passed."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

TABLE = Path(__file__).with_name("matrix.csv")


@dataclass(frozen=True)
class Row:
    """One input or fault.

    Attributes:
        name: by which tests say that they try it: `@pytest.mark.row(name)`.
        area: what it is about.
        given: the input or fault.
        sees: what the user sees; where a test compares it with a sentence, * stands for any text.
        guaranteed: what holds afterwards.
    """

    name: str
    area: str
    given: str
    sees: str
    guaranteed: str


def read_matrix() -> dict[str, Row]:
    """All rows by name, in the order of the table."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return {entry["name"]: Row(**entry) for entry in csv.DictReader(file)}


MATRIX = read_matrix()


def rows_of(area: str) -> list[Row]:
    """The rows of one area."""
    return [row for row in MATRIX.values() if row.area == area]


def counts(outcomes: Mapping[str, Iterable[bool]]) -> list[str]:
    """Lines for people: rows tried and passed by area, and which failed.

    Args:
        outcomes: for each row that was tried, whether each of its tests passed.
    """
    passed = {name for name, results in outcomes.items() if all(results)}
    lines = []
    for area in dict.fromkeys(row.area for row in MATRIX.values()):
        names = {row.name for row in rows_of(area)}
        tried = names & set(outcomes)
        if tried:
            lines.append(f"{area}: {len(tried)} of {len(names)} rows tried, {len(names & passed)} passed")
    lines.append(f"together: {len(outcomes)} of {len(MATRIX)} rows tried, {len(passed)} passed")
    if failed := sorted(set(outcomes) - passed):
        lines.append(f"failed: {', '.join(failed)}")
    return lines
