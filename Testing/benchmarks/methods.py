"""What each saliency method costs on one slice, with random weights of BiomedCLIP's size: `make bench-saliency`.

Each method runs in a process of its own, so that its memory can be told.
"""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from MedCLIPSAMLib.cli.comparison.judging import PeakMemory
from MedCLIPSAMLib.engine.machine.allocation import keep_freed_memory
from MedCLIPSAMLib.engine.machine.precision import computing_in, pick_precision
from MedCLIPSAMLib.engine.saliency import SALIENCY, TextQuery, saliency_class
from MedCLIPSAMLib.engine.session.settings import Settings

from .materials import biomedclip_sized
from .saliency import seconds

_EXACT = "m2ib --exact"
_OTHERS = ("dense", "two-looks", "attention")  # of models with cells that are aligned with texts, or without blocks


def measure(name: str) -> dict[str, float]:
    """Seconds of a slice whose text is new and whose features are not, and MiB that the process needs more for it."""
    keep_freed_memory()
    model = biomedclip_sized()
    exact = name == _EXACT
    method = saliency_class(name.split()[0]).chosen(model, Settings(exact=exact))
    noise = np.random.default_rng(0).normal(size=(1, 3, model.image_size, model.image_size))
    pixels, query = torch.from_numpy(noise).float(), TextQuery.encode(model, ["liver of a ct"])
    fast = not exact and pick_precision("auto", model.device) == "bf16"
    with computing_in(torch.bfloat16 if fast else torch.float32, model.device):
        prepared = method.prepare(model, pixels)
        model.encode_image(pixels)  # the first pass of anything is slower
        memory = PeakMemory()
        with memory.watched():
            taken, _ = seconds(method.explain, model, prepared, query)
    return {"seconds": taken, "mib": memory.mebibytes}


def main(only: str = "") -> None:
    """Prints the table; with ``--only NAME`` the numbers of one method, in JSON."""
    if only:
        print(json.dumps(measure(only)))
        return
    found = {}
    for name in [_EXACT, *(name for name in SALIENCY if name not in _OTHERS)]:
        command = [sys.executable, "-m", "Testing.benchmarks.methods", "--only", name]
        answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found[name] = json.loads(answer.splitlines()[-1])
        print(f"{name}: {found[name]['seconds']:.2f} s", flush=True)  # the slow ones take minutes
    table = Table("method", "seconds a slice", "of exact M2IB", "MiB more")
    for name, row in sorted(found.items(), key=lambda each: each[1]["seconds"]):
        share = row["seconds"] / found[_EXACT]["seconds"]
        table.add_row(name, f"{row['seconds']:.2f}", f"{share:.2f}", f"{row['mib']:.0f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    typer.run(main)
