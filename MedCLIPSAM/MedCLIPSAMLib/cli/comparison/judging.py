"""How well a map and a mask agree with the labels of a slice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import psutil
from scipy.stats import rankdata

_EVERY_S = 0.02


def hits(heat: np.ndarray, truth: np.ndarray) -> bool:
    """Pointing game (Zhang et al., IJCV 2018): whether the highest value of (H, W) lies in (H, W) bool."""
    return bool(truth[np.unravel_index(heat.argmax(), heat.shape)])


def map_auc(heat: np.ndarray, truth: np.ndarray) -> float:
    """Area under the ROC curve of the pixels of (H, W) against (H, W) bool; NaN where all are of one kind."""
    inside = int(np.count_nonzero(truth))
    outside = truth.size - inside
    if not inside or not outside:
        return float("nan")
    ranks = rankdata(heat.ravel())[truth.ravel()].sum()
    return float((ranks - inside * (inside + 1) / 2) / (inside * outside))


class PeakMemory:
    """The most memory that this process had, watched from time to time.

    Attributes:
        mebibytes: above what it had when this was made, once the watch has ended.
    """

    def __init__(self) -> None:
        self._start = psutil.Process().memory_info().rss
        self.mebibytes = 0.0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watches what is done inside."""
        process, done = psutil.Process(), threading.Event()
        peak = 0

        def watch() -> None:
            nonlocal peak
            while not done.wait(_EVERY_S):
                peak = max(peak, process.memory_info().rss)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()
            self.mebibytes = max(0.0, (max(peak, process.memory_info().rss) - self._start) / 2**20)
