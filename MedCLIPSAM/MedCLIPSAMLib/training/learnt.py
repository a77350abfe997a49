"""Which weights learn: all of them, those of the last blocks, or small ones beside them (LoRA)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.utils.checkpoint import checkpoint

from ..engine.errors import InputError
from .trainee import Trainee

_LEAST_SIDE = 16  # of a matrix that gets small ones beside it


@dataclass(frozen=True)
class Learnt:
    """What learns.

    Attributes:
        kind: "all" weights; those of the "last" so many blocks of either tower, and what is behind them; or "lora".
        number: of blocks, or the rank of LoRA.
    """

    kind: Literal["all", "last", "lora"] = "all"
    number: int = 0

    @classmethod
    def parse(cls, text: str) -> Learnt:
        """ "all", "last:2" or "lora:8".

        Raises:
            InputError: it is none of these.
        """
        kind, colon, number = text.partition(":")
        if text == "all":
            return cls()
        if kind in ("last", "lora") and colon and number.isdecimal() and int(number) > 0:
            return cls(kind, int(number))
        raise InputError(f"--train {text!r} is unknown; use all, last:N for the last N blocks, or lora:RANK.")


def let_learn(trainee: Trainee, learnt: Learnt) -> None:
    """Marks the weights of ``trainee`` that want a gradient.

    Raises:
        InputError: it has fewer blocks than are to learn.
    """
    network = trainee.network
    network.requires_grad_(learnt.kind == "all")
    if learnt.kind == "last":
        for blocks in stacks(network):
            if learnt.number > len(blocks):
                raise InputError(
                    f"--train last:{learnt.number} is more than the {len(blocks)} blocks of '{trainee.model.name}';"
                    " give fewer, or all."
                )
            for block in blocks[len(blocks) - learnt.number :]:
                block.requires_grad_(True)
        for name, weight in network.named_parameters():
            if name.startswith(trainee.ends):
                weight.requires_grad_(True)
    elif learnt.kind == "lora":
        for blocks in stacks(network):
            for module in [part for block in blocks for part in block.modules()]:
                for name, weight in list(module.named_parameters(recurse=False)):
                    if weight.ndim == 2 and min(weight.shape) >= _LEAST_SIDE:
                        parametrize.register_parametrization(module, name, _LowRank(weight, learnt.number))


def stacks(network: nn.Module) -> list[Sequence[nn.Module]]:
    """The transformer blocks of each tower."""
    return [
        list(part)
        for part in network.modules()
        if isinstance(part, nn.ModuleList | nn.Sequential) and len(part) and len({type(block) for block in part}) == 1
        if any("attn" in name or "qkv" in name for name, _ in part[0].named_parameters())
    ]


def merged(network: nn.Module) -> dict[str, Tensor]:
    """The weights by the names that they have without LoRA, on the CPU."""
    made = {}
    for name, tensor in network.state_dict().items():
        if ".parametrizations." not in f".{name}":
            made[name] = tensor
    for place, module in network.named_modules():
        if parametrize.is_parametrized(module):
            for name in module.parametrizations:  # type: ignore[union-attr]
                made[f"{place}.{name}"] = getattr(module, name)
    return {name: tensor.detach().cpu().clone() for name, tensor in made.items()}


def save_memory(network: nn.Module) -> None:
    """Makes the blocks of each tower again on the way back instead of keeping what is inside them (checkpointing)."""
    for block in (block for blocks in stacks(network) for block in blocks):
        block.forward = _Again(block.forward)


class _Again:
    def __init__(self, forward: Any) -> None:
        self._forward = forward

    def __call__(self, *given: Any, **named: Any) -> Any:
        return checkpoint(self._forward, *given, use_reentrant=False, **named)


class _LowRank(nn.Module):
    """LoRA (Hu et al., arXiv:2106.09685): (O, I) weight -> weight + B A, of which only B (O, R) and A (R, I) learn."""

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        rows, columns = weight.shape
        self.a = nn.Parameter(torch.empty(rank, columns, device=weight.device))
        nn.init.kaiming_uniform_(self.a, math.sqrt(5))
        self.b = nn.Parameter(torch.zeros(rows, rank, device=weight.device))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.b @ self.a


def learning(network: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """The weights that want a gradient, by name."""
    return ((name, weight) for name, weight in network.named_parameters() if weight.requires_grad)
