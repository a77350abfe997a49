"""Results as they come, a line for each: what is whole when a run is killed counts when it is run again."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from ...engine.errors import InputError

OWN, ONE, WEAK = "own prompts", "one prompt", "weakly supervised"
WAYS = (OWN, ONE, WEAK)


@dataclass(frozen=True)
class Result:
    """One picture of a set, segmented in one way.

    Attributes:
        way: one of `WAYS`.
        dice, nsd, outline_nsd: 0 to 1; None where neither the mask nor the truth has a pixel. The first NSD is the
            published one, of a picture as a slice one pixel thick; the other is that of outlines in the plane.
        drawn: whether anything was drawn.
        content: checksum of picture and mask, so that a changed one is done again.
    """

    set_name: str
    way: str
    image: str
    person: str
    prompt: str
    dice: float | None
    nsd: float | None
    outline_nsd: float | None
    drawn: bool
    content: str

    @property
    def key(self) -> tuple[str, ...]:
        """What was asked of what: the same is not done twice."""
        return self.set_name, self.way, self.image, self.prompt, self.content


_NUMBERS = ("dice", "nsd", "outline_nsd")
_COLUMNS = [field.name for field in fields(Result)]


class Ledger:
    """A CSV file of results, to which only whole lines count.

    Args:
        path: made where there is none; an unfinished line at its end is taken away.

    Attributes:
        results: by `Result.key`, those of earlier runs, too.

    Raises:
        InputError: the file is not of this kind.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.results: dict[tuple[str, ...], Result] = {}
        content = path.read_bytes() if path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        if not whole:
            whole = f"{','.join(_COLUMNS)}\n".encode()
            path.write_bytes(whole)
        elif whole != content:
            os.truncate(path, len(whole))
        try:
            for row in csv.DictReader(io.StringIO(whole.decode("utf-8"), newline=""), strict=True):
                self._keep(_result(row))
        except (ValueError, KeyError, TypeError, csv.Error):
            raise InputError(f"{path} is damaged; use --force to begin again, or another folder.") from None

    def add(self, result: Result) -> None:
        """Writes it to the disk before it returns."""
        text = io.StringIO(newline="")
        values = ("" if value is None else value for value in asdict(result).values())
        csv.writer(text, lineterminator="\n").writerow(values)
        with self._path.open("ab") as file:
            file.write(text.getvalue().encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        self._keep(result)

    def _keep(self, result: Result) -> None:
        self.results[result.key] = result


def _result(row: dict[str, str]) -> Result:
    numbers = {name: float(row[name]) if row[name] else None for name in _NUMBERS}
    return Result(**{**row, **numbers, "drawn": {"True": True, "False": False}[row["drawn"]]})  # type: ignore[arg-type]
