"""The folder that a training ends in: a model like any other, with a card that says what it was made from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from torch import Tensor

from ..engine.files.checksum import sha256
from ..engine.models.catalogue import entry_of
from ..engine.models.own import CARD
from .pairs import Pair
from .run import Trained
from .settings import TrainingSettings
from .trainee import Trainee

_SHOWS = ("blocks",)  # what a CLIP of two towers shows to saliency methods


def write_model(
    trainee: Trainee, trained: Trained, settings: TrainingSettings, data: Mapping[str, Any], name: str, folder: Path
) -> None:
    """All files of a trained model, and its card, into an empty folder.

    Args:
        data: of `about_data`.
        name: which `models import` keeps it under.
    """
    weights: dict[str, Tensor] = trained.weights
    trainee.write(weights, folder)
    base = trainee.model
    known = entry_of(base.name)
    card = {
        "name": name,
        "title": f"{name} ({known.title if known else base.name}, fine-tuned)",
        "purpose": f"Fine-tuned on {data['training pairs']} pairs of {data['training patients']} patients.",
        "license": f"of {base.name}: {known.license}" if known else f"as that of {base.name}",
        "citation": known.citation if known else base.name,
        "shows": known.shows if known else _SHOWS,
        "made": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "base": {"name": base.name, "sha256": base.checksum},
        "data": data,
        "settings": asdict(settings),
        "epochs": trained.epochs,
        "weights of epoch": trained.best,
        "training loss": trained.losses,
        "before": trained.before and asdict(trained.before),
        "after": trained.after and asdict(trained.after),
        "files": {file.name: sha256(file) for file in sorted(folder.iterdir())},
    }
    (folder / CARD).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


def about_data(training: Sequence[Pair], validation: Sequence[Pair]) -> dict[str, Any]:
    """How many pairs and patients, and one checksum over all texts and files, wherever these lie."""
    digest = hashlib.sha256()
    sums: dict[Path, str] = {}
    for pair in (*training, *validation):
        if pair.image not in sums:
            files = sorted(pair.image.rglob("*")) if pair.image.is_dir() else [pair.image]
            sums[pair.image] = sha256(*(file for file in files if file.is_file()))
        digest.update(json.dumps([sums[pair.image], pair.slice, pair.text]).encode())
    sides = {"training": training, "validation": validation}
    counts = {f"{side} pairs": len(pairs) for side, pairs in sides.items()}
    patients = {f"{side} patients": len({pair.patient for pair in pairs}) for side, pairs in sides.items()}
    return {**counts, **patients, "sha256": digest.hexdigest()}
