"""What `medclipsam validate` found, as the built-in model says it beside "found".

``python -m quickstart.reliability VALIDATION.json ../MedCLIPSAM/Resources/QuickStart/reliability.json`` (in tools/).
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import typer

from .language.terms import REGIONS


def main(validation: Path, out: Path) -> None:
    """Adds up the people of all sources of a modality, each with the same weight."""
    terms = {term.nouns[0] for term in REGIONS}
    sums: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(lambda: [0, 0.0]))
    for row in json.loads(validation.read_text("utf-8"))["rows"]:
        if row["people"] and row["structure"] in terms:
            people = sums[row["structure"]][_kind(row["modality"])]
            people[0] += row["people"]
            people[1] += row["people"] * row["dice"]
    table = {
        term: {kind: {"people": int(count), "dice": round(total / count, 3)} for kind, (count, total) in kinds.items()}
        for term, kinds in sorted(sums.items())
    }
    out.write_text(json.dumps(table, indent=1) + "\n")


def _kind(modality: str) -> str:
    return modality if modality in ("CT", "MR") else modality.lower()


if __name__ == "__main__":
    typer.run(main)
