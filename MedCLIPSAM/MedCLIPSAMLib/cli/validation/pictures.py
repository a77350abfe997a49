"""The best, the middle and the worst case of each structure, on the slice where there is most of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar

import numpy as np
from matplotlib.figure import Figure

_TRUE, _DRAWN = "orange", "lime"
_INCHES = 3.2
_PIXELS = 320  # a side, at most: what is kept of a case until all are known


class Scored(Protocol):
    """What has a Dice."""

    @property
    def dice(self) -> Any: ...


_Scored = TypeVar("_Scored", bound=Scored)


@dataclass(frozen=True)
class Case:
    """A slice of H x W pixels: grey uint8, what the labels say and what was drawn, both bool."""

    dice: float
    title: str
    grey: np.ndarray
    truth: np.ndarray
    mask: np.ndarray

    @classmethod
    def at_most(cls, dice: float, title: str, grey: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> Case:
        """With fewer pixels where there are many."""
        step = max(1, -(-max(grey.shape) // _PIXELS))
        return cls(dice, title, *(plane[::step, ::step].copy() for plane in (grey, truth, mask)))


def chosen(cases: Sequence[_Scored]) -> list[tuple[str, _Scored]]:
    """Best, middle and worst by Dice, each once."""
    order = sorted(cases, key=lambda case: -case.dice)
    places = {0: "best", len(order) // 2: "middle", len(order) - 1: "worst"}
    return [(name, order[place]) for place, name in sorted(places.items())]


def draw(title: str, cases: Sequence[Case], path: Path | IO[bytes]) -> None:
    """A PNG file: the labels' outline in orange, what was drawn in green."""
    shown = chosen(cases)
    figure = Figure(figsize=(_INCHES * len(shown), _INCHES + 0.5), layout="constrained")
    figure.suptitle(title, fontsize=10)
    for number, (name, case) in enumerate(shown, 1):
        axes = figure.add_subplot(1, len(shown), number)
        axes.imshow(case.grey, cmap="gray", vmin=0, vmax=255)
        for outline, colour in ((case.truth, _TRUE), (case.mask, _DRAWN)):
            if outline.any():
                axes.contour(outline, [0.5], colors=colour, linewidths=1)
        axes.set_title(f"{name}: {case.dice:.2f}\n{case.title[:40]}", fontsize=8)
        axes.set_axis_off()
    figure.savefig(path, format="png", dpi=110)
