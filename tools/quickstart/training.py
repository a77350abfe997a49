"""The loop that both looks are trained by: several processes, a cosine schedule, averaged weights; resumable."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from .matrices import MatrixOptimiser

log = logging.getLogger("quickstart")
_TOLD, _KEPT = 50, 200  # steps between two lines of the log, and between two files to go on from


@dataclass(frozen=True)
class Schedule:
    """Of ``steps``, with the peak learning ``rates`` after ``warm_up`` steps.

    Attributes:
        rates: of matrices and of all else, and the decay of matrices; see `MatrixOptimiser`.
        averaging: decay of the averaged weights.
        parts: weight of each loss by its name.
    """

    steps: int
    rates: tuple[float, float]
    warm_up: int
    decay: float
    averaging: float
    parts: Mapping[str, float]


def join_processes() -> tuple[int, int]:
    """Number of this process and how many there are; the first one writes the log."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo")
    rank, processes = torch.distributed.get_rank(), torch.distributed.get_world_size()
    logging.basicConfig(level=logging.INFO if rank == 0 else logging.ERROR, format="%(asctime)s %(message)s")
    return rank, processes


def run(
    net: nn.Module,
    out: Path,
    schedule: Schedule,
    start: Callable[[int], None],
    losses: Callable[[int], dict[str, Tensor]],
    save: Callable[[Any], None],
) -> None:
    """Trains the weights of ``net`` that want a gradient, and ends what `join_processes` began.

    Args:
        out: folder of the file to go on from.
        start: told the first step, before it is taken.
        losses: of a step, by name.
        save: given the network with the averaged weights, now and then and at the end.
    """
    rank, processes = torch.distributed.get_rank(), torch.distributed.get_world_size()
    learnt = [p for p in net.parameters() if p.requires_grad]
    log.info("%.2f M parameters learn", sum(p.numel() for p in learnt) / 1e6)
    average = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(schedule.averaging))
    optimiser = MatrixOptimiser(net, schedule.rates, schedule.decay)
    parts = {"net": net, "average": average, "optimiser": optimiser}
    kept, first = out / "resume.pt", 1
    if kept.exists():
        saved = torch.load(kept, weights_only=True)
        for name, part in parts.items():
            part.load_state_dict(saved[name])
        first = saved["step"] + 1
    start(first)
    sums: dict[str, float] = {}
    for step in range(first, schedule.steps + 1):
        falling = 0.49 * (1 + math.cos(math.pi * step / schedule.steps)) + 0.02
        found = losses(step)
        net.zero_grad()
        torch.stack([schedule.parts[name] * loss for name, loss in found.items()]).sum().backward()
        _share_gradients(net, processes)
        clip_grad_norm_(learnt, 1.0)
        optimiser.step(min(1, step / schedule.warm_up) * falling)
        average.update_parameters(net)
        for name, loss in found.items():
            sums[name] = sums.get(name, 0.0) + loss.item()
        if step % _TOLD == 0:
            log.info("step %d, %s", step, " ".join(f"{name} {value / _TOLD:.3f}" for name, value in sums.items()))
            sums = {}
        if rank == 0 and step % _KEPT == 0:
            torch.save({name: part.state_dict() for name, part in parts.items()} | {"step": step}, kept)
            save(average.module)
    if rank == 0:
        save(average.module)
    torch.distributed.destroy_process_group()


def _share_gradients(net: nn.Module, processes: int) -> None:
    """Puts the mean of all processes' gradients into each."""
    gradients = [p.grad for p in net.parameters() if p.grad is not None]
    together = torch.cat([gradient.reshape(-1) for gradient in gradients]) / processes
    torch.distributed.all_reduce(together)
    for gradient, part in zip(gradients, together.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view(gradient.shape))


def half_precision(net: nn.Module) -> dict[str, Tensor]:
    """The weights as they are shipped."""
    return {name: tensor.detach().half().contiguous().cpu() for name, tensor in net.state_dict().items()}
