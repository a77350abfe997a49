"""Learning rate and snapshots of each epoch, as MedCLIP-SAMv2 trains nnU-Net (Koleilat et al., arXiv:2409.19483)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from ..engine.errors import InputError

Rule = Literal["late", "sparse", "both"]
RULES: tuple[Rule, ...] = get_args(Rule)

_EXPONENT = 0.9
_LATE = 10  # snapshots a cycle
_SPARSE, _SPARSE_FROM = 7, 0.7  # places in a cycle, of which those at its end lie beyond it


@dataclass(frozen=True)
class Schedule:
    """Cycles of a learning rate that falls, and which epochs of them are kept.

    Attributes:
        epochs: of all cycles together, numbered from 0.
        cycles: of equal length, each beginning with the initial rate.
        gamma: share of a cycle in which the rate falls; afterwards it is constant. Of no effect in a single cycle.
        rule: "late" keeps the last ten epochs of a cycle but for the very last, "sparse" up to seven spread over its
            last third, "both" both.
        initial_rate: learning rate of the first epoch.

    Raises:
        InputError: the epochs are no multiple of the cycles, or a value is out of range or unknown.
    """

    epochs: int = 250
    cycles: int = 1
    gamma: float = 0.5
    rule: Rule = "both"
    initial_rate: float = 0.01

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.cycles < 1 or self.epochs % self.cycles:
            raise InputError(f"{self.epochs} epochs make no {self.cycles} equal cycles; give a multiple of the cycles.")
        if not 0 <= self.gamma <= 1:
            raise InputError(f"The gamma {self.gamma} is no share of a cycle; give 0 to 1.")
        if self.rule not in RULES:
            raise InputError(f"The rule {self.rule!r} is unknown; use {', '.join(RULES)}.")

    @property
    def cycle(self) -> int:
        """Epochs of one cycle."""
        return self.epochs // self.cycles

    def rate(self, epoch: int) -> float:
        """The learning rate; in several cycles it falls only a little, as each is held against all epochs."""
        if self.cycles == 1:
            return self._falling(epoch)
        return self._falling(min(epoch % self.cycle, int(self.gamma * self.cycle)))

    def saved(self, epoch: int) -> tuple[str, ...]:
        """Names of the files that are saved after an epoch."""
        step = (epoch + 1) % self.cycle
        late = step >= self.cycle - _LATE
        places = np.linspace(int(_SPARSE_FROM * (self.cycle - _LATE)), self.epochs + 1, _SPARSE, dtype=int)
        files = []
        if self.rule != "sparse" and late:
            files.append(f"checkpoint_{epoch}.pth")
        if self.rule != "late" and step in places:
            files.append(f"e_checkpoint_{epoch}.pth")
        return tuple(files)

    def snapshots(self) -> list[str]:
        """Names of all files, in the order in which they are saved."""
        return [file for epoch in range(self.epochs) for file in self.saved(epoch)]

    def _falling(self, step: int) -> float:
        return self.initial_rate * (1 - step / self.epochs) ** _EXPONENT
