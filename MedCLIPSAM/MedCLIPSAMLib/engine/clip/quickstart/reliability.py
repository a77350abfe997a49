"""How well a model was found to do on people whom it had not met, term by term and modality by modality."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FILE = "reliability.json"


@dataclass(frozen=True)
class Checked:
    """The people on whom a term was looked for, and the mean Dice coefficient over them."""

    people: int
    dice: float


class Reliability:
    """What is said beside "found".

    Args:
        table: term -> modality ("CT", "MR", ...) -> what was measured.
    """

    def __init__(self, table: Mapping[str, Mapping[str, Checked]]) -> None:
        self._table = table

    @classmethod
    def read(cls, folder: Path) -> Reliability:
        """Of the model in ``folder``; an empty one if nothing was measured.

        Raises:
            OSError, ValueError, AttributeError, TypeError: the file is damaged.
        """
        file = folder / FILE
        if not file.is_file():
            return cls({})
        table = json.loads(file.read_text("utf-8"))
        return cls({term: {kind: Checked(**made) for kind, made in kinds.items()} for term, kinds in table.items()})

    def of(self, term: str, modality: str) -> str:
        """A clause such as "checked on 34 people in CT, Dice 0.93", or "not checked in MR".

        Args:
            modality: "CT" or "MR"; of another the clause tells all that were measured.
        """
        made = self._table.get(term, {})
        if modality in made:
            made = {modality: made[modality]}
        elif modality in ("CT", "MR"):
            return f"not checked in {modality}"
        if not made:
            return "not checked"
        parts = [
            f"on {each.people} {'person' if each.people == 1 else 'people'} in {kind}, Dice {each.dice:.2f}"
            for kind, each in made.items()
        ]
        return f"checked {'; '.join(parts)}"
