"""What each look finds on people who were kept from training, slice by slice.

``python -m quickstart.closer.judge MODEL KEPT OUT.json`` (in tools/): MODEL, a folder with all files of the built-in
model; KEPT, a folder as `quickstart.kept` leaves it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import typer
from surface_distance import compute_dice_coefficient

from MedCLIPSAMLib.cli.validation.measuring import LEAST, boxed
from MedCLIPSAMLib.cli.validation.people import Labelled, find_people, read_case
from MedCLIPSAMLib.engine.clip.quickstart.model import QuickStart
from MedCLIPSAMLib.engine.prompt.prompt import Prompt
from MedCLIPSAMLib.engine.sam.base import PromptableSegmenter
from MedCLIPSAMLib.engine.sam.registry import load_segmenter
from MedCLIPSAMLib.engine.session.session import Session

log = logging.getLogger("quickstart")
_SLICES = 5  # of a volume, evenly spread
# What every picture of a source shows, although nobody drew it: to be confirmed, too.
_SURE = {
    "brisc_brain_tumour_mr": ("brain",),
    "chd_heart_ct": ("heart",),
    "ct_ich": ("brain", "skull"),
    "hvsmr2_heart_mr": ("heart",),
    "msd_hepatic_vessel": ("liver", "vertebra"),
    "msd_lung_tumour": ("lung",),
    "msd_spleen": ("vertebra",),
    "sich_head_ct": ("brain", "skull"),
}


def main(model: Path, kept: Path, out: Path, only: str = "") -> None:
    """Writes a row for each structure, or what cannot be there, on each slice; ``--only``: part of a source's name."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    clip, segmenter = QuickStart(model, torch.device("cpu")), load_segmenter("lite-medsam", "cpu")
    people = [person for person in find_people(kept) if only in person.source.name]
    rows: list[dict[str, Any]] = []
    for number, person in enumerate(people, 1):
        rows += _rows(person, clip, segmenter)
        if number % 10 == 0:
            log.info("%d of %d", number, len(people))
            out.write_text(json.dumps(rows) + "\n", encoding="utf-8")
    out.write_text(json.dumps(rows) + "\n", encoding="utf-8")


def _rows(person: Labelled, clip: QuickStart, segmenter: PromptableSegmenter) -> Iterator[dict[str, Any]]:
    volume, labels = read_case(person)
    session = Session(volume, clip, segmenter)
    assert session._again is not None
    session._again.about = replace(session._again.about, answers={}, confirms=frozenset())  # each look for itself
    arranged = session.stack.arrange(labels)
    slices = np.unique(np.linspace(0, len(arranged) - 1, _SLICES + 2).round().astype(int)[1:-1])
    sure = _SURE.get(person.source.name, ())
    for text in (*person.source.prompts, *person.source.absent, *sure):
        truth = np.isin(arranged, person.source.numbers(text))
        named = text in person.source.prompts
        if named and person.source.partial and not truth.any():
            continue
        for index in slices.tolist():
            area = int(np.count_nonzero(truth[index])) if named else 0
            if 0 < area < LEAST:
                continue
            row: dict[str, Any] = {
                "source": person.source.name,
                "modality": person.source.modality,
                "image": f"{person.name} {index}",
                "term": text,
                "present": area > 0 or text in sure,
                "drawn": area > 0,
            }
            for look in ("first", "second"):
                row[look] = _answer(session, look, text, index, truth[index])
            if area:
                row["boxed"] = compute_dice_coefficient(truth[[index]], boxed(session, truth, [index]))
            yield row


def _answer(session: Session, look: str, text: str, index: int, truth: np.ndarray) -> dict[str, Any] | None:
    """What one look alone makes of a slice; None if it does not know the term."""
    again, prompt = session._again, Prompt(text, (text,))
    assert again is not None
    meaning = again.meaning(prompt) if look == "second" else session._looker.meaning(prompt)
    if meaning != text:
        return None
    again.answers = lambda prompt: look == "second"
    seen = session.preview(index, prompt)
    found = {"score": seen.score, "found": seen.found}
    return found | {"dice": compute_dice_coefficient(truth, seen.mask)} if truth.any() else found


if __name__ == "__main__":
    typer.run(main)
