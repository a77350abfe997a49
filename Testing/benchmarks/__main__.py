"""Everything that is promised about speed and memory, measured on this machine: `make bench`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from MedCLIPSAMLib.engine.allocation import keep_freed_memory

from . import chain, saliency
from .figures import publish
from .materials import biomedclip_sized


def main(
    quick: Annotated[bool, typer.Option("--quick", help="Fewer steps and slices: minutes instead of many.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for benchmark.json and cost.png.")] = Path("output/bench"),
) -> None:
    """Measures, prints one table, and leaves benchmark.json and a plot."""
    console = Console(width=140)
    keep_freed_memory()  # as the command line does
    with tempfile.TemporaryDirectory() as folder:
        model = biomedclip_sized(Path(folder))
        console.print("exact M2IB against the textbook ...")
        figures, textbook_s = saliency.exact(model, steps=3 if quick else 10)
        publish(figures, out)  # after each part, so that a run that is stopped leaves what it measured
        console.print("boxes and words ...")
        figures += chain.edits(model, slices=2 if quick else 5)
        publish(figures, out)
        if not quick:
            console.print("a volume with the target on part of it ...")
            figures += chain.absent_slices(model, textbook_s, slices=100)
            publish(figures, out)
    console.print("the whole chain ...")
    figures += chain.whole_chain(20 if quick else 100)
    publish(figures, out)
    console.print("memory ...")
    figures += chain.memory(50 if quick else 600)
    publish(figures, out)
    if not quick:
        console.print("cost against slices ...")
        figures += chain.cost_by_slices((25, 50, 100, 200, 400), out)
        publish(figures, out)
        console.print("what doing less changes ...")
        saliency.less_work(console, slices=4)
        figures += saliency.dice_beside_exact(slices=20)
    publish(figures, out)


if __name__ == "__main__":
    typer.run(main)
