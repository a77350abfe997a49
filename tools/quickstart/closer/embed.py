"""Frozen features of LiteMedSAM for every slice of a bank; several processes share the work, and it can be resumed."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch
import typer

from MedCLIPSAMLib.engine.machine.precision import computing_in, pick_precision
from MedCLIPSAMLib.engine.sam.registry import load_segmenter

from .bank import Bank, features_file

log = logging.getLogger("quickstart")
_BATCH = 4


def embed(folder: Path, part: int = 0, parts: int = 1) -> None:
    """Every ``parts``-th slice from ``part`` on, those left out that are there already."""
    torch.set_num_threads(1)
    bank = Bank.open(folder)
    features = np.lib.format.open_memmap(features_file(folder), "r+")
    done = np.lib.format.open_memmap(folder / "embedded.npy", "r+")
    segmenter = load_segmenter("lite-medsam", "cpu")
    dtype = {"bf16": torch.bfloat16}.get(pick_precision("auto", segmenter.device), torch.float32)
    rows = [row for row in range(part, len(bank), parts) if not done[row]]
    for start in range(0, len(rows), _BATCH):
        some = rows[start : start + _BATCH]
        with computing_in(dtype, segmenter.device):
            made = segmenter.embed(np.repeat(bank.image[some][..., None], 3, 3)).features
        for row, each in zip(some, made.numpy(), strict=True):
            features[row] = each
            done[row] = 1
        if start % 200 == 0:
            log.info("part %d: %d of %d", part, start + len(some), len(rows))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    typer.run(embed)
