"""What a training tells: a table in CSV, and TensorBoard where it is installed."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

TABLE = "log.csv"
_COLUMNS = (
    "step",
    "epoch",
    "rate",
    "training loss",
    "validation loss",
    *(f"{what} at {rank}" for what in ("texts of pictures", "pictures of texts") for rank in (1, 5, 10)),
)


class Logs:
    """Lines of numbers by step; those behind the step from which a training goes on are written anew.

    Args:
        folder: of the table, and of TensorBoard's files.
        step: the last one whose line counts.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._file = folder / TABLE
        before = list(csv.DictReader(self._file.open(newline="", encoding="utf-8"))) if self._file.is_file() else []
        self._rows = [row for row in before if int(row["step"]) <= step]
        self._board = None
        if find_spec("tensorboard"):
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def add(self, step: int, numbers: Mapping[str, float | int]) -> None:
        """A line, by the names of columns."""
        self._rows.append({"step": str(step)} | {name: f"{value:.6g}" for name, value in numbers.items()})
        with self._file.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, _COLUMNS)
            writer.writeheader()
            writer.writerows(self._rows)
        if self._board is not None:
            for name, value in numbers.items():
                self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Nothing more will come."""
        if self._board is not None:
            self._board.close()
