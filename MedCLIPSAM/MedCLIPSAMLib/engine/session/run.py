"""What the stages of one run over a volume share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from ..errors import Cancelled
from ..prompt.prompt import Prompt
from .evidence import Progress

ReportProgress = Callable[[Progress], None]
IsCancelled = Callable[[], bool]
ShowMask = Callable[[int, np.ndarray], None]  # number of a slice and its mask, (H, W) bool


@dataclass(frozen=True)
class Run:
    """One prompt on the slices ``indices``; ``positive`` and ``negative`` are (n, 3) slice, row, column."""

    prompt: Prompt
    indices: list[int]
    positive: np.ndarray
    negative: np.ndarray
    report: ReportProgress
    cancelled: IsCancelled | None
    drawn: ShowMask
    seconds: dict[str, float] = field(default_factory=dict)

    def stop_if_cancelled(self) -> None:
        """Raises Cancelled if somebody asked for it."""
        if self.cancelled is not None and self.cancelled():
            raise Cancelled("The run was cancelled.")

    @property
    def clicked(self) -> np.ndarray:
        """(N,) bool: slices with a positive point."""
        return np.isin(self.indices, np.rint(self.positive[:, 0]))

    def points_by_row(self) -> tuple[np.ndarray, np.ndarray]:
        """Positive and negative points with the place of their slice in the run: (n, 3) row of the run, row, column."""
        first = np.array([self.indices[0] if self.indices else 0, 0, 0])
        return self.positive - first, self.negative - first

    def add_clicks(self, coarse: np.ndarray) -> None:
        """Makes (N, H, W) bool of components all that led to masks: components and clicks."""
        row, y, x = np.rint(self.points_by_row()[0]).astype(int).T
        coarse[row, y, x] = True

    def batches(self, stage: str, rows: Sequence[int], size: int) -> Iterator[Sequence[int]]:
        """Hands out ``rows`` by ``size``, asks before each batch whether to stop, and reports after it."""
        for start in range(0, len(rows), size):
            self.stop_if_cancelled()
            batch = rows[start : start + size]
            yield batch
            self.report(Progress(self.prompt.name, stage, start + len(batch), len(rows)))


@contextmanager
def timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Adds the time that what is inside takes to that of ``stage``."""
    start = time.perf_counter()
    try:
        yield
    finally:
        seconds[stage] = seconds.get(stage, 0.0) + time.perf_counter() - start
