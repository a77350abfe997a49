"""Trains the second look in one run: language, bank of slices, their features, head; and judges what it is good for.

The first look is kept as it is.

``python -m quickstart.everything OUT CLINICAL PATIENTS`` (in tools/). Each part is left out where it is done
already, and goes on where it was stopped. What is shipped lies in OUT/model afterwards. `quickstart.train` trains a
first look.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from MedCLIPSAMLib.engine.clip.quickstart.second_look import ABOUT, TOKENIZER, WEIGHTS
from MedCLIPSAMLib.engine.files.resources import resource

from .drawing.everyone import EXAMPLES, HEADS


def _run(module: str, *arguments: object, processes: int = 1) -> None:
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes)] if processes > 1 else []
    subprocess.run([sys.executable, *launcher, "-m", f"quickstart.{module}", *map(str, arguments)], check=True)


def _run_beside_one_another(module: str, arguments: Sequence[object], processes: int) -> None:
    command = [sys.executable, "-m", f"quickstart.{module}", *map(str, arguments), "--parts", str(processes), "--part"]
    parts = [subprocess.Popen([*command, str(part)]) for part in range(processes)]
    codes = [part.wait() for part in parts]
    if any(codes):
        raise typer.Exit(1)


def main(
    out: Path,
    clinical: Path,
    patients: Path,
    heads: Annotated[Path, typer.Option(help="Templates of Debian's mricron-data.")] = HEADS,
    examples: Annotated[Path, typer.Option(help="Examples of Debian's invesalius-examples.")] = EXAMPLES,
    slices: Annotated[int, typer.Option(help="Of the bank.")] = 6000,
    steps: int = 6000,
    seed: int = 0,
) -> None:
    """See the module."""
    processes = os.cpu_count() or 1
    language, bank, second, model = (out / name for name in ("language", "bank", "second", "model"))
    if not (language / "texts.safetensors").exists():
        _run("language.learn", language, "--seed", seed)
    if not (bank / "embedded.npy").exists():
        data = ("--heads", heads, "--examples", examples)
        _run("closer.bank", bank, clinical, patients, *data, "--count", slices, "--seed", seed)
    _run_beside_one_another("closer.embed", [bank], processes)
    _run("closer.train", bank, language, second, "--steps", steps, "--seed", seed, processes=processes)
    shutil.copytree(resource("QuickStart"), model, dirs_exist_ok=True)
    for name in (WEIGHTS, ABOUT, TOKENIZER):
        shutil.copy(second / name, model)
    people, judged = out / "kept", out / "judged.json"
    if not judged.exists():
        _run("kept", patients, people)
        _run("closer.judge", model, people, judged)
    _run("closer.choose", judged, model / ABOUT)
    settings = {"seed": seed, "slices": slices, "steps": steps, "processes": processes}
    (model / "training.json").write_text(json.dumps(settings, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
