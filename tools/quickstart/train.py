"""Trains the quick-start model: ``torchrun --nproc-per-node 2 -m quickstart.train --clinical DIR --out DIR`` in tools/.

Each process draws its own slices on one thread; small layers gain little from a second one.
"""

from __future__ import annotations

import json
import logging
import math
import random
from pathlib import Path
from typing import Annotated, cast

import torch
import torch.distributed
import typer
from safetensors.torch import save_file
from torch.nn import functional as F
from torch.nn.utils import clip_grad_norm_
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from MedCLIPSAMLib.engine.clip.quickstart_net import QuickStartConfig, QuickStartNet

from .augment import Slices
from .losses import bottleneck_noise, dense_losses, pooled_loss, presence_loss
from .polish import polish_text
from .terms import REGION_COUNT, REGIONS, TERMS, membership, settled
from .text import encode, train_tokenizer, with_dropout
from .volumes import load_all
from .wordings import write_text, write_unseen

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
    weights = {name: tensor.detach().half().contiguous().cpu() for name, tensor in net.state_dict().items()}
    save_file(weights, str(folder / "model.safetensors"))
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
    parts = dense_losses(features, texts, target[..., cells], known, settled_cells, scale, net.dense_offset)
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


def _share_gradients(net: QuickStartNet, processes: int) -> None:
    """Puts the mean of all processes' gradients into each."""
    gradients = [p.grad for p in net.parameters() if p.grad is not None]
    together = torch.cat([gradient.reshape(-1) for gradient in gradients]) / processes
    torch.distributed.all_reduce(together)
    for gradient, part in zip(gradients, together.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view(gradient.shape))


def train(
    clinical: Annotated[Path, typer.Option(help="Folder with the labelled CTs.")],
    out: Annotated[Path, typer.Option(help="Folder for weights, sizes, tokenizer and log.")],
    heads: Annotated[Path, typer.Option(help="Templates of Debian's mricron-data.")] = Path(
        "/usr/share/mricron/templates"
    ),
    examples: Annotated[Path, typer.Option(help="Examples of Debian's invesalius-examples.")] = Path(
        "/usr/share/doc/invesalius-examples/examples"
    ),
    steps: Annotated[int, typer.Option(help="Length of the training.")] = 8000,
    text_steps: Annotated[int, typer.Option(help="Steps of the text tower alone afterwards.")] = 3000,
    batch_size: Annotated[int, typer.Option(help="Slices per process and step.")] = 16,
    rate: Annotated[float, typer.Option(help="Peak learning rate.")] = 1.2e-3,
    seed: int = 0,
    initial: Annotated[Path | None, typer.Option(help="Folder of a model to go on from.")] = None,
) -> None:
    """Trains for ``steps``, then the text tower for ``text_steps``, and writes the averaged weights."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo")
    rank, processes = torch.distributed.get_rank(), torch.distributed.get_world_size()
    logging.basicConfig(level=logging.INFO if rank == 0 else logging.ERROR, format="%(asctime)s %(message)s")
    torch.manual_seed(seed)
    rng = random.Random(seed)
    out.mkdir(parents=True, exist_ok=True)
    if initial:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(initial / "tokenizer.json"))
        config = QuickStartConfig(**json.loads((initial / "config.json").read_text()))
    else:
        tokenizer = train_tokenizer(QuickStartConfig().vocabulary, seed)
        config = QuickStartConfig(vocabulary=tokenizer.get_vocab_size())
    split = with_dropout(tokenizer, out / "tokenizer.json", 0.1)
    net = QuickStartNet(config)
    if initial:
        from safetensors.torch import load_file

        net.load_state_dict({k: v.float() for k, v in load_file(str(initial / "model.safetensors")).items()})
    net.to(memory_format=torch.channels_last)
    log.info("%.2f M parameters, vocabulary %d", sum(p.numel() for p in net.parameters()) / 1e6, config.vocabulary)
    average = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(0.997))
    decayed = [p for p in net.parameters() if p.dim() > 1]
    free = [p for p in net.parameters() if p.dim() <= 1]
    optimiser = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.05}, {"params": free, "weight_decay": 0.0}],
        lr=rate,
        betas=(0.9, 0.98),
    )
    groups = F.pad(torch.from_numpy(membership()), (0, UNSEEN_PER_STEP))
    decisive = torch.from_numpy(settled())
    volumes = load_all(clinical, heads, examples)
    size, sums, loader = 0, {}, iter(())
    torch.manual_seed(processes * seed + rank)
    for step in range(1, steps + 1):
        done = step / steps
        wanted = next(size for until, size in PHASES if done <= until)
        if wanted != size:
            size = wanted
            loader = iter(DataLoader(Slices(volumes, size), batch_size))
            log.info("slices of %d pixels", size)
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1, step / 100) * (0.49 * (1 + math.cos(math.pi * done)) + 0.02)
        written = [write_text(term, rng) for term in TERMS] + [write_unseen(rng) for _ in range(UNSEEN_PER_STEP)]
        texts = F.normalize(net.text(encode(split, written, config.context)), dim=1)
        parts = losses(net, next(loader), texts, groups, decisive)
        total = torch.stack([LOSS_WEIGHTS[name] * part for name, part in parts.items()]).sum()
        optimiser.zero_grad()
        total.backward()
        _share_gradients(net, processes)
        clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        average.update_parameters(net)
        for name, part in parts.items():
            sums[name] = sums.get(name, 0.0) + part.item()
        if step % 50 == 0:
            values = " ".join(f"{name} {value / 50:.3f}" for name, value in sums.items())
            scale, offset = net.dense_scale.item(), net.dense_offset.item()
            log.info("step %d, %s, scale %.1f %.1f", step, values, scale, offset)
            sums = {}
            if rank == 0:
                save(cast(QuickStartNet, average.module), out)
    if rank == 0:
        final = cast(QuickStartNet, average.module)
        polish_text(final, split, text_steps, seed)
        save(final, out)
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    typer.run(train)
