"""Everything that is promised about speed and memory, measured on this machine: `make bench`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from MedCLIPSAMLib.engine.machine.allocation import keep_freed_memory

from ..amx import say_amx
from . import chain, saliency, segmenter
from .figures import Figure, publish
from .materials import biomedclip_sized


def main(
    quick: Annotated[bool, typer.Option("--quick", help="Fewer steps and slices: minutes instead of many.")] = False,
    without_amx: Annotated[bool, typer.Option("--without-amx", help="As on a processor that has none.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for benchmark.json and cost.png.")] = Path("output/bench"),
) -> None:
    """Measures, prints one table, and leaves benchmark.json and a plot."""
    console = Console(width=140)
    if without_amx:
        say_amx(False)
    keep_freed_memory()  # as the command line does
    model = biomedclip_sized()
    console.print("exact M2IB against the textbook ...")
    figures, textbook_s = saliency.exact(model, steps=3 if quick else 10)
    parts: list[tuple[str, Callable[[], list[Figure]]]] = [
        ("the segmenter's encoder", lambda: segmenter.encoder(repeats=3 if quick else 7)),
        ("boxes and words", lambda: chain.edits(model, slices=2 if quick else 5)),
        ("the whole chain", lambda: chain.whole_chain(20 if quick else 100)),
        ("memory", lambda: chain.memory(50 if quick else 600)),
    ]
    if not quick:
        parts += [
            ("a volume with the target on part of it", lambda: chain.absent_slices(model, textbook_s, slices=100)),
            ("cost against slices", lambda: chain.cost_by_slices((25, 50, 100, 200, 400), out)),
        ]
    all_of_it = not (quick or without_amx)  # what doing less changes is the same on every processor
    if all_of_it:
        parts.append(("what doing less changes: masks", lambda: saliency.dice_beside_exact(slices=20)))
    for announcement, measure in parts:
        publish(figures, out)  # so that a run that is stopped leaves what it measured
        console.print(f"{announcement} ...")
        figures += measure()
    publish(figures, out)
    if all_of_it:
        saliency.less_work(console, slices=4)


if __name__ == "__main__":
    typer.run(main)
