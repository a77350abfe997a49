"""Trains the first look: ``torchrun --nproc-per-node 2 -m quickstart.train LANGUAGE OUT --clinical DIR`` in tools/.

Each process draws its own slices on one thread; small layers gain little from a second one. The text tower, made by
`quickstart.language.learn`, stands still.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import torch
import typer
from safetensors.torch import load_file, save_file
from torch.nn import functional as F
from torch.utils.data import DataLoader

from MedCLIPSAMLib.engine.clip.quickstart.net import QuickStartConfig, QuickStartNet

from .drawing.draw import Slices
from .drawing.everyone import EXAMPLES, HEADS, load_all
from .drawing.volumes import TrainingVolume
from .language.covers import membership, settled
from .language.learn import Texts
from .language.terms import REGION_COUNT, REGIONS, TERMS
from .losses import bottleneck_noise, dense_losses, pooled_loss, presence_loss
from .training import Schedule, half_precision, join_processes, run

log = logging.getLogger("quickstart")
UNSEEN_PER_STEP = 16
CELLS_PER_STEP = 900  # of the dense map: the loss costs as much as the network otherwise
# Share of the steps until which slices of this size are drawn: shapes first, then detail.
PHASES = ((0.7, 128), (1.0, 192))
LOSS_WEIGHTS = {
    "cross_entropy": 1.0,
    "dice": 0.7,
    "softmax": 0.5,
    "presence": 0.4,
    "pooled": 0.4,
    "noise": 0.6,
}


def save(net: QuickStartNet, folder: Path) -> None:
    """Weights in float16, sizes beside them; ``load_quickstart`` reads both."""
    save_file(half_precision(net), str(folder / "model.safetensors"))
    (folder / "config.json").write_text(json.dumps(net.config.as_dict(), indent=1) + "\n")
    anchors = {term.nouns[0]: term.labels for term in REGIONS}
    (folder / "anchors.json").write_text(json.dumps(anchors, indent=1) + "\n")


def losses(
    net: QuickStartNet,
    batch: dict[str, torch.Tensor],
    texts: torch.Tensor,
    groups: torch.Tensor,
    decisive: torch.Tensor,
) -> dict[str, torch.Tensor]:
    """All losses of one batch.

    ``texts`` (T + unseen, E) normalised, ``groups`` (labels, T + unseen) membership,
    ``decisive`` (labels, T) as `settled` gives it.
    """
    images = batch["image"].float() / 127.5 - 1
    fractions = batch["fractions"].float().flatten(2) / 255
    target = torch.einsum("nlp,lt->ntp", fractions, groups).clamp(0, 1)
    extra = texts.shape[0] - batch["known"].shape[1]
    presence_known = F.pad(batch["known"], (0, extra), value=True)
    known = presence_known.clone()
    known[:, REGION_COUNT : len(TERMS)] = False
    area = target.mean(-1)

    tower = net.image
    tokens, eighth, quarter = tower.stem(images)
    middle = tower.run(tokens, 0, tower.bottleneck + 1)
    last = tower.run(middle, tower.bottleneck + 1, len(tower.blocks))
    scale = net.dense_scale.clamp(1, 40)
    cells = torch.randperm(target.shape[-1])[:CELLS_PER_STEP]
    features = tower.decode(last, eighth, quarter).flatten(2)[..., cells]
    decided = torch.einsum("nlp,lt->ntp", fractions[..., cells], decisive) > 0.95
    settled_cells = known[..., None] | F.pad(decided, (0, 0, 0, extra))
    alike = torch.ones(len(images), len(cells))
    parts = dense_losses(features, texts, target[..., cells], known, settled_cells, scale, net.dense_offset, alike)
    out: dict[str, torch.Tensor] = dict(zip(("cross_entropy", "dice", "softmax"), parts, strict=True))
    out["presence"] = presence_loss(
        tower.presence(last),
        texts,
        area,
        presence_known,
        batch["globals"],
        net.presence_scale.clamp(1, 40),
        net.presence_offset,
    )

    out["pooled"] = pooled_loss(tower.patches(last).mean(1), texts, area, known)

    half = len(images) // 2
    side = int(target.shape[-1] ** 0.5)
    coarse = F.avg_pool2d(target[:half].unflatten(2, (side, side)), 4).flatten(2)
    usable = known[:half].clone()
    usable[:, REGION_COUNT - 1 :] = False
    mixed, keep = bottleneck_noise(middle[:half], coarse, usable)
    pooled = tower.patches(tower.run(mixed, tower.bottleneck + 1, len(tower.blocks))).mean(1)
    out["noise"] = pooled_loss(pooled, texts, (coarse * keep[:, None]).mean(-1), known[:half])
    return out


def train(
    language: Annotated[Path, typer.Argument(help="Folder of the tokenizer and the text tower.")],
    out: Annotated[Path, typer.Argument(help="Folder for weights, sizes, tokenizer and log.")],
    clinical: Annotated[Path, typer.Option(help="Folder with the labelled CTs.")],
    patients: Annotated[Path, typer.Option(help="Folder with people of many sources.")],
    heads: Annotated[Path, typer.Option(help="Templates of Debian's mricron-data.")] = HEADS,
    examples: Annotated[Path, typer.Option(help="Examples of Debian's invesalius-examples.")] = EXAMPLES,
    steps: Annotated[int, typer.Option(help="Length of the training.")] = 8000,
    batch_size: Annotated[int, typer.Option(help="Slices per process and step.")] = 16,
    rates: Annotated[tuple[float, float], typer.Option(help="Peak learning rates: of matrices, of all else.")] = (
        0.02,
        0.006,
    ),
    seed: int = 0,
    initial: Annotated[Path | None, typer.Option(help="Folder of a model whose image tower goes on.")] = None,
) -> None:
    """Trains for ``steps``, going on where a run that was stopped has been, and writes the averaged weights."""
    rank, processes = join_processes()
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    net = QuickStartNet(QuickStartConfig(**json.loads((language / "config.json").read_text())))
    if initial:
        state = {name: tensor.float() for name, tensor in load_file(str(initial / "model.safetensors")).items()}
        net.load_state_dict({n: t for n, t in state.items() if not n.startswith("text.")}, strict=False)
    net.text.load_state_dict(load_file(str(language / "text.safetensors")))
    net.text.requires_grad_(False)
    shutil.copy(language / "tokenizer.json", out)
    net.to(memory_format=torch.channels_last)
    texts = Texts.load(language)
    groups = F.pad(torch.from_numpy(membership()), (0, UNSEEN_PER_STEP))
    decisive = torch.from_numpy(settled())
    slices = _draw(load_all(clinical, heads, examples, patients), PHASES[-1:] if initial else PHASES, batch_size)

    def of_step(step: int) -> dict[str, torch.Tensor]:
        return losses(net, slices(step / steps), texts.draw(UNSEEN_PER_STEP), groups, decisive)

    schedule = Schedule(steps, rates, warm_up=100, decay=0.01, averaging=0.997, parts=LOSS_WEIGHTS)

    def start(first: int) -> None:
        torch.manual_seed(processes * (seed + first) + rank)

    run(net, out, schedule, start, of_step, lambda averaged: save(averaged, out))


def _draw(
    volumes: list[TrainingVolume], phases: tuple[tuple[float, int], ...], batch_size: int
) -> Callable[[float], dict[str, torch.Tensor]]:
    """What gives a batch at a share of the training that is done: of larger slices from phase to phase."""
    size, loader = 0, iter(())

    def draw(done: float) -> dict[str, torch.Tensor]:
        nonlocal size, loader
        wanted = next(size for until, size in phases if done <= until)
        if wanted != size:
            size = wanted
            loader = iter(DataLoader(Slices(volumes, size), batch_size))
            log.info("slices of %d pixels", size)
        return next(loader)

    return draw


if __name__ == "__main__":
    typer.run(train)
