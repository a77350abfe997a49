"""For which terms the second look is asked, and which it confirms, by what `quickstart.closer.judge` measured.

``python -m quickstart.closer.choose JUDGED.json MODEL/second.json`` (in tools/). Printed is the table of both looks.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from MedCLIPSAMLib.engine.presence import UNDOUBTED
from MedCLIPSAMLib.engine.volume import MODALITIES

_LOOKS = ("first", "second")
_GOOD = 0.5  # Dice from which a term is worth an answer that nobody else gives
_FAIR = 0.4  # the same, of a term that the first look answers anyway, and worse
_BETTER = 0.1  # by which it must exceed the first look's
_SLICES = 4  # on so many, of people who were kept from training
_WORTH = 5  # claims that a doubt must take away for each slice with the structure that it costs
_CLAIMED = 0.1  # of a source's slices without it, that a term may be claimed on at most


def answered(rows: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
    """Term -> modalities of volumes in which the second look is asked for it; "other" stands for all together."""
    found: dict[str, list[str]] = {}
    for (term,), group in _grouped(rows, "term").items():
        for modality in MODALITIES:
            some = [row for row in group if modality == "other" or row["modality"] == modality]
            if _does_better(some):
                found.setdefault(term, []).append(modality)
        if term in found and not any(row["first"] for row in group):  # nobody else answers
            found[term] = list(MODALITIES)
    return dict(sorted(found.items()))


def _does_better(rows: Sequence[dict[str, Any]]) -> bool:
    with_it = [row for row in rows if row["drawn"] and row["second"]]
    without = [row for row in rows if not row["present"] and row["second"]]
    known = any(row["first"] for row in rows)
    if len(with_it) < _SLICES or (known and len(without) < _SLICES) or _claims(without):
        return False
    second = _mean(row["second"]["dice"] for row in with_it)
    first = _mean(row["first"]["dice"] for row in with_it if row["first"])
    return second >= (max(_FAIR, first + _BETTER) if known else _GOOD)


def _claims(without: Sequence[dict[str, Any]]) -> bool:
    """Whether it is claimed too often in any source that tells: beside a structure it is hard to say no.

    No more often than by the first look is never too often.
    """
    for group in _grouped(without, "source").values():
        by_first, by_second = (sum(bool(row[look] and row[look]["found"]) for row in group) for look in _LOOKS)
        if len(group) >= _SLICES and by_second > max(1, _CLAIMED * len(group), by_first):
            return True
    return False


def confirmed(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Terms of which the second look doubts what the first finds wrongly much oftener than what is there.

    What is there counts whether the first look finds it or not: the more slices, the surer what a doubt costs.
    """
    found = []
    for (term,), group in _grouped(rows, "term").items():
        both = [row for row in group if row["first"] and row["second"]]
        there = [row for row in both if row["present"]]
        lost = sum(row["second"]["score"] < UNDOUBTED for row in there)
        claimed = [row for row in both if not row["present"] and row["first"]["found"]]
        gained = sum(row["second"]["score"] < UNDOUBTED for row in claimed)
        if len(there) >= _SLICES and gained >= _WORTH * lost:
            found.append(term)
    return sorted(found)


def _grouped(rows: Iterable[dict[str, Any]], *names: str) -> dict[tuple[str, ...], list[dict[str, Any]]]:
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[tuple(row[name] for name in names)].append(row)
    return groups


def _mean(values: Iterable[float]) -> float:
    some = list(values)
    return float(np.mean(some)) if some else 0.0


def table(rows: Sequence[dict[str, Any]]) -> Table:
    """Dice of both looks and of the true box, and how often each claims what is not there."""
    columns = ("source", "term", "slices", "true box", "first", "second", "without", "claimed by first", "by second")
    shown = Table(*columns)
    for (source, term), group in sorted(_grouped(rows, "source", "term").items()):
        there, away = [row for row in group if row["drawn"]], [row for row in group if not row["present"]]
        cells = [source, term, str(len(there)), _cell(row["boxed"] for row in there)]
        cells += [_cell(row[look]["dice"] for row in there if row[look]) for look in _LOOKS]
        cells.append(str(len(away)))
        cells += [_cell(float(row[look]["found"]) for row in away if row[look]) for look in _LOOKS]
        shown.add_row(*cells)
    return shown


def _cell(values: Iterable[float]) -> str:
    some = list(values)
    return f"{np.mean(some):.2f}" if some else "-"


def main(judged: Path, about: Path) -> None:
    """Prints the table, and writes both lists into ``about``."""
    rows = json.loads(judged.read_text("utf-8"))
    Console(width=150).print(table(rows))
    told = json.loads(about.read_text("utf-8"))
    told |= {"answers": answered(rows), "confirms": confirmed(rows)}
    Console(width=150).print({name: told[name] for name in ("answers", "confirms")})
    about.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
