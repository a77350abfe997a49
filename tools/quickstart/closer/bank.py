"""A bank of drawn slices: what the second look learns from, drawn once because its features are dear.

``python -m quickstart.closer.bank OUT CLINICAL PATIENTS`` (in tools/); an array file per kind.
"""

from __future__ import annotations

import json
import logging
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import typer

from ..drawing.draw import draw
from ..drawing.everyone import EXAMPLES, HEADS, load_all
from ..drawing.volumes import TrainingVolume
from ..language.terms import TERMS

log = logging.getLogger("quickstart")
SIZE = 256  # pixels a side: what LiteMedSAM sees
FEATURES = (256, 64, 64)  # of LiteMedSAM's encoder
_FILES = {"image": (SIZE, SIZE), "labels": (SIZE, SIZE), "known": (len(TERMS),), "globals": (len(TERMS),)}


@dataclass(frozen=True)
class Bank:
    """N slices, memory-mapped: image and labels (N, 256, 256) uint8, known and globals (N, terms) uint8.

    Attributes:
        sources: (N,) names of the volumes that they were drawn from.
    """

    image: np.ndarray
    labels: np.ndarray
    known: np.ndarray
    globals: np.ndarray
    sources: np.ndarray

    @classmethod
    def open(cls, folder: Path) -> Bank:
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in _FILES}
        return cls(**arrays, sources=np.load(folder / "sources.npy"))

    def __len__(self) -> int:
        return len(self.image)


def fill(folder: Path, volumes: list[TrainingVolume], count: int, seed: int) -> None:
    """Draws ``count`` slices of ``volumes`` by their weights into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    random.seed(seed)
    torch.manual_seed(seed)
    files = {
        name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.uint8, (count, *shape))
        for name, shape in _FILES.items()
    }
    chosen = random.choices(volumes, [volume.weight for volume in volumes], k=count)
    for row, volume in enumerate(chosen):
        drawn = draw(volume, SIZE)
        for name, file in files.items():
            file[row] = getattr(drawn, name).numpy()
        if row % 500 == 499:
            log.info("%d of %d drawn", row + 1, count)
    for file in files.values():
        file.flush()
    np.save(folder / "sources.npy", np.array([volume.name for volume in chosen]))
    (folder / "bank.json").write_text(json.dumps({"seed": seed, "count": count, "terms": [t.name for t in TERMS]}))


def features_file(folder: Path) -> Path:
    """The features of a bank's slices, (N, 256, 64, 64) float16."""
    return folder / "features.npy"


def _make_room(folder: Path, count: int) -> None:
    np.lib.format.open_memmap(features_file(folder), "w+", np.float16, (count, *FEATURES)).flush()
    np.lib.format.open_memmap(folder / "embedded.npy", "w+", np.uint8, (count,)).flush()


def main(
    out: Path,
    clinical: Path,
    patients: Path,
    heads: Path = HEADS,
    examples: Path = EXAMPLES,
    count: int = 6000,
    seed: int = 0,
) -> None:
    """Fills a bank in the folder ``out``, and makes room for the features of its slices."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    fill(out, load_all(clinical, heads, examples, patients), count, seed)
    _make_room(out, count)


if __name__ == "__main__":
    typer.run(main)
