"""What a benchmark leaves: a table on the screen, benchmark.json, and a plot of cost against slices."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cpuinfo
import numpy as np
import psutil
import torch
from matplotlib.figure import Figure as Picture
from rich.console import Console
from rich.table import Table

from MedCLIPSAMLib.engine.machine.precision import pick_precision


@dataclass(frozen=True)
class Figure:
    """One measured number.

    Attributes:
        value: None where this machine cannot measure it; ``figure`` says why.
        reach: what was aimed at, None for a number that only informs.
        met: whether it was reached; None where there is no value or no aim.
    """

    figure: str
    value: float | None
    reach: float | None
    met: bool | None
    unit: str


def at_least(figure: str, value: float, reach: float, unit: str = "x") -> Figure:
    """A number that is better when larger."""
    return Figure(figure, value, reach, value >= reach, unit)


def at_most(figure: str, value: float, reach: float, unit: str) -> Figure:
    """A number that is better when smaller."""
    return Figure(figure, value, reach, value <= reach, unit)


def has_amx() -> bool:
    """Whether the processor multiplies bf16 in hardware of its own, as PyTorch tells."""
    return pick_precision("auto", torch.device("cpu")) == "bf16"


def machine() -> str:
    """Processor, cores, memory and PyTorch in one line."""
    return (
        f"{cpuinfo.get_cpu_info().get('brand_raw', platform.processor())}, {os.cpu_count()} cores,"
        f" {psutil.virtual_memory().total / 2**30:.0f} GiB, {'AMX' if has_amx() else 'no AMX'},"
        f" PyTorch {torch.__version__}"
    )


def publish(figures: Sequence[Figure], folder: Path) -> None:
    """Prints the table and writes benchmark.json into ``folder``."""
    table = Table("figure", "value", "reach", "met", title=machine())
    for entry in figures:
        value = "-" if entry.value is None else f"{entry.value:.4g} {entry.unit}"
        reach = "" if entry.reach is None else f"{entry.reach:g} {entry.unit}"
        table.add_row(entry.figure, value, reach, {None: "", True: "yes", False: "NO"}[entry.met])
    Console(width=140).print(table)
    folder.mkdir(parents=True, exist_ok=True)
    entries = [asdict(entry) for entry in figures]
    (folder / "benchmark.json").write_text(json.dumps(entries, indent=1) + "\n", "utf-8")


def plot_cost(slices: Sequence[int], seconds: Sequence[float], path: Path) -> float:
    """Draws seconds against slices with the straight line through them; returns its r squared."""
    slope, offset = np.polyfit(slices, seconds, 1)
    fitted = offset + slope * np.asarray(slices)
    r2 = float(np.corrcoef(slices, seconds)[0, 1] ** 2)
    picture = Picture(figsize=(6, 4), layout="constrained")
    axes = picture.subplots()
    axes.plot(slices, seconds, "o", label="measured")
    axes.plot(slices, fitted, "-", label=f"{slope * 1000:.0f} ms a slice, $r^2$ = {r2:.4f}")
    axes.set(xlabel="slices", ylabel="seconds", title="One prompt, built-in models, 512 x 512 pixels")
    axes.legend()
    picture.savefig(path, dpi=120)
    return r2
