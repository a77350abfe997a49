"""What each saliency method costs on one slice, with random weights of BiomedCLIP's size: `make bench-saliency`.

Each method runs in a process of its own, so that its memory can be told. Of methods that try hundreds of masks a few
are measured, and the time is scaled to all of them, which the table says. Beside a class activation map stands what it
takes as published: in float32, with the published number of masks at once.
"""

from __future__ import annotations

import json
import multiprocessing
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import Tensor

from MedCLIPSAMLib.cli.comparison.judging import PeakMemory
from MedCLIPSAMLib.engine.clip.registry import load_clip
from MedCLIPSAMLib.engine.machine.allocation import keep_freed_memory
from MedCLIPSAMLib.engine.machine.precision import computing_in, pick_precision
from MedCLIPSAMLib.engine.saliency import SALIENCY, SaliencyMethod, TextQuery, saliency_class
from MedCLIPSAMLib.engine.saliency.cam import ByGradient
from MedCLIPSAMLib.engine.saliency.hilacam import HilaCAM
from MedCLIPSAMLib.engine.saliency.masked import GScoreCAM, Masked, Rise, ScoreCAM
from MedCLIPSAMLib.engine.session.settings import Settings
from Testing.engine.biomedclip import BIOMEDCLIP, random_state, write_hub

from .figures import machine
from .saliency import seconds
from .textbook import textbook_gradient, textbook_scores

_EXACT = "m2ib --exact"
_OTHERS = ("dense", "two-looks", "attention")  # of models with cells that are aligned with texts, or without blocks
_MEASURED = 32  # masks of those that are tried: as many as run at once
_AT_ONCE, _AT_ONCE_OF_RISE = 128, 64  # masks, in the code of the first MedCLIP-SAM


def with_fewer_masks(method: Any, channels: int) -> tuple[SaliencyMethod, int, int]:
    """The method with `_MEASURED` masks, where it has more; how many it then tries, and how many it would."""
    if isinstance(method, GScoreCAM):
        return replace(method, most=min(_MEASURED, method.most)), min(_MEASURED, method.most), method.most
    if isinstance(method, ScoreCAM):
        return replace(method, channels=range(min(_MEASURED, channels))), min(_MEASURED, channels), channels
    if isinstance(method, Rise):
        return replace(method, masks=min(_MEASURED, method.masks)), min(_MEASURED, method.masks), method.masks
    return method, 1, 1


def measure(name: str, folder: Path, passes: dict[int, float]) -> dict[str, Any]:
    """Seconds of a slice whose text is new and whose features are not, and MiB that the process needs more for it.

    Args:
        folder: of a BiomedCLIP.
        passes: seconds a mask of a published batch, by its size, as far as they were measured in this run.

    Returns:
        With what the published way takes, and ``passes`` as far as they are known now.
    """
    keep_freed_memory()
    model: Any = load_clip(folder, "cpu")
    exact = name == _EXACT
    chosen = saliency_class(name.split()[0]).chosen(model, Settings(exact=exact))
    method, measured, of = with_fewer_masks(chosen, model.token_width)
    noise = np.random.default_rng(0).normal(size=(1, 3, model.image_size, model.image_size))
    pixels, query = torch.from_numpy(noise).float(), TextQuery.encode(model, ["liver of a ct"])
    fast = not exact and pick_precision("auto", model.device) == "bf16"
    with computing_in(torch.bfloat16 if fast else torch.float32, model.device):
        prepared = method.prepare(model, pixels)
        model.encode_image(pixels)  # the first pass of anything is slower
        memory = PeakMemory()
        with memory.watched():
            taken, _ = seconds(method.explain, model, prepared, query)
    return {
        "seconds": taken * of / measured,
        "mib": memory.mebibytes,
        "measured": measured,
        "of": of,
        "textbook": _textbook(method, model, pixels, query.target, of, passes),
        "passes": passes,
    }


def _textbook(
    method: SaliencyMethod, model: Any, pixels: Tensor, target: Tensor, masks: int, passes: dict[int, float]
) -> float | None:
    """Seconds of the published way; None of a method that is no class activation map, see `make bench`."""
    if isinstance(method, Masked):
        at_once = _AT_ONCE_OF_RISE if isinstance(method, Rise) else _AT_ONCE
        if at_once not in passes:
            some = torch.rand(at_once, *pixels.shape[2:], generator=torch.Generator().manual_seed(0))
            passes[at_once] = seconds(textbook_scores, model, pixels, target, some)[0] / at_once
        return passes[at_once] * masks
    if isinstance(method, (ByGradient, HilaCAM)):
        return seconds(textbook_gradient, model, pixels, target, model.block_count - 1)[0]
    return None


def main(only: str = "") -> None:
    """Prints the table; with ``--only NAME`` the numbers of one method, in JSON."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = write_hub(Path(temporary) / "biomedclip", BIOMEDCLIP, random_state(BIOMEDCLIP))
        if only:
            print(json.dumps(measure(only, folder, {})))
            return
        # Processes that begin with what they need imported: on a busy computer that takes longer than most methods.
        processes = multiprocessing.get_context("forkserver")
        processes.set_forkserver_preload(["Testing.benchmarks.saliency", "MedCLIPSAMLib.engine.clip.biomedclip"])
        found: dict[str, dict[str, Any]] = {}
        passes: dict[int, float] = {}
        for name in [_EXACT, *(name for name in SALIENCY if name not in _OTHERS)]:
            with ProcessPoolExecutor(1, mp_context=processes) as own:
                found[name] = own.submit(measure, name, folder, passes).result()
                passes = found[name]["passes"]
            print(f"{name}: {found[name]['seconds']:.2f} s", flush=True)  # the slow ones take a while
    Console(width=120).print(tabulated(found))


def tabulated(found: dict[str, dict[str, Any]]) -> Table:
    """What was measured of each method, the quickest first."""
    caption = "textbook: the published way in float32, on the same computer, divided by ours; text not counted"
    table = Table(
        "method", "seconds a slice", "of exact M2IB", "textbook", "scaled from", "MiB more",
        title=machine(), caption=caption,
    )  # fmt: skip
    for name, row in sorted(found.items(), key=lambda each: each[1]["seconds"]):
        table.add_row(
            name,
            f"{row['seconds']:.2f}",
            f"{row['seconds'] / found[_EXACT]['seconds']:.3f}",
            "" if row["textbook"] is None else f"{row['textbook'] / row['seconds']:.1f} x",
            f"{row['measured']} of {row['of']} masks" if row["of"] > row["measured"] else "",
            f"{row['mib']:.0f}",
        )
    return table


if __name__ == "__main__":
    typer.run(main)
