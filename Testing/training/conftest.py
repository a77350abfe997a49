"""Pairs of real pictures, small and fast."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from .. import samples

ORGANS = ("liver", "spleen", "left kidney", "right kidney", "aorta")


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Pictures of five organs cut from a CT slice and an MR slice, each twice, as four patients; a table of them."""
    rows = []
    for modality in ("CT", "MR"):
        whole = samples.abdomen_slice(modality).astype(float)
        low, high = (-160, 240) if modality == "CT" else np.percentile(whole, (1, 99))
        grey = np.rint(255 * ((whole - low) / (high - low)).clip(0, 1)).astype(np.uint8)
        for organ in ORGANS:
            rows_, columns = np.nonzero(samples.abdomen_organs(modality)[organ])
            for turn, margin in enumerate((3, 9)):
                box = grey[
                    max(0, rows_.min() - margin) : rows_.max() + margin,
                    max(0, columns.min() - margin) : columns.max() + margin,
                ]
                name = f"{modality}-{organ}-{turn}.png".replace(" ", "-")
                Image.fromarray(box).save(tmp_path / name)
                rows.append({"image": name, "text": f"{modality} of the {organ}", "patient": f"{modality}{turn}"})
    file = tmp_path / "pairs.csv"
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return file
