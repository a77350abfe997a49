"""The loop: batches in an order that a seed decides, a validation after each epoch, and files to go on from."""

from __future__ import annotations

import logging
import os
import pickle
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed
from torch import Tensor
from torch.nn import functional as F

from ..engine.errors import Cancelled, InputError
from ..engine.machine.arrays import to_array
from ..engine.machine.precision import DTYPES, computing_in, pick_precision
from .gradients import batch_gradients, share_gradients
from .learnt import learning, let_learn, merged, save_memory
from .logs import Logs
from .losses import loss_function
from .optimiser import make_optimiser, rate_at, set_rate
from .recall import RANKS, Recall, recall
from .settings import TrainingSettings
from .trainee import Trainee

STATE = "checkpoint.pt"
_SAVED_S = 300.0  # between two files to go on from, within an epoch
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Data:
    """Pairs as a model takes them.

    Attributes:
        pictures: (P, S, S) uint8.
        texts: P texts.
    """

    pictures: np.ndarray
    texts: Sequence[str]

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class Measured:
    """How well pictures and texts of validation go together; None without any."""

    loss: float
    recall: Recall

    @classmethod
    def read(cls, kept: Mapping[str, Any] | None) -> Measured | None:
        """As `asdict` gives it."""
        return None if kept is None else cls(kept["loss"], Recall(**kept["recall"]))


@dataclass(frozen=True)
class Trained:
    """What came of a training.

    Attributes:
        weights: those of the epoch with the least validation loss, or of the last one without validation.
        before, after: on the validation pairs; None without any.
        epochs: that were run.
        best: the epoch of the weights, from 1.
        losses: mean training loss of each epoch.
    """

    weights: dict[str, Tensor]
    before: Measured | None
    after: Measured | None
    epochs: int
    best: int
    losses: tuple[float, ...]


class Training:
    """Trains one model.

    With several processes (``torchrun``), each has a part of every batch, and all find the same weights.

    Args:
        folder: of the file to go on from, and of the logs.
        progress: told the steps done and their number, and the training loss.
        cancelled: asked after each step.
        saved_s: seconds between two files to go on from.
    """

    def __init__(
        self,
        trainee: Trainee,
        training: Data,
        validation: Data,
        settings: TrainingSettings,
        folder: Path,
        progress: Callable[[int, int, float], None],
        cancelled: Callable[[], bool] = lambda: False,
        saved_s: float = _SAVED_S,
    ) -> None:
        self._trainee, self._settings, self._folder = trainee, settings, folder
        self._training, self._validation = training, validation
        self._progress, self._cancelled, self._saved_s = progress, cancelled, saved_s
        self._device = trainee.model.device
        self._dtype = DTYPES[pick_precision(settings.precision, self._device)]
        self._ids = trainee.tokenize([*training.texts, *validation.texts])
        # As published, a last short batch is dropped; else the pairs that are over go into the batches that there are.
        self._steps = max(1, len(training) // settings.batch_size)
        self._batch = min(settings.batch_size, len(training))
        self._total = self._steps * settings.epochs
        self._loss = loss_function(settings.loss, settings.batch_size)
        self._rank, self._processes = _processes()
        torch.manual_seed(settings.seed)
        let_learn(trainee, settings.learnt)
        if settings.save_memory:
            save_memory(trainee.network)
        self._optimiser = make_optimiser(trainee.network, settings.weight_decay)
        # Half precision has no small gradients: its loss is scaled up.
        self._scaler = torch.amp.GradScaler(self._device.type) if self._dtype == torch.float16 else None

    def run(self) -> Trained:
        """Trains to the end, from where a run that was stopped has been.

        Raises:
            Cancelled: it was cancelled; the next run goes on from here.
            InputError: the loss is no number any more.
        """
        state = self._read()
        logs = Logs(self._folder, state["step"]) if self._rank == 0 else None
        if state["before"] is None and len(self._validation):
            state["before"] = asdict(self._measure())
        kept = time.monotonic()
        for epoch in range(state["step"] // self._steps, self._settings.epochs):
            if self._is_over(state):
                break
            for rows in self._batches(epoch, state["step"] - epoch * self._steps):
                value = self._step(rows, state["step"])
                state["step"] += 1
                state["sum"] += value
                self._progress(state["step"], self._total, value)
                if state["step"] % self._steps == 0:
                    self._end_of(epoch, state, logs)
                elif not self._cancelled() and time.monotonic() - kept < self._saved_s:
                    continue
                self._write(state)
                kept = time.monotonic()
                if self._cancelled():
                    raise Cancelled("The training was cancelled; the same command goes on from here.")
        if logs is not None:
            logs.close()
        return Trained(
            state["weights"],
            Measured.read(state["before"]),
            Measured.read(state["after"]),
            len(state["losses"]),
            state["best"],
            tuple(state["losses"]),
        )

    def _step(self, rows: np.ndarray, step: int) -> float:
        """One batch; its loss."""
        value = self._gradients(rows)
        if not np.isfinite(value) and self._dtype != torch.float32:
            _log.warning("The loss is no number at step %d in this precision; going on in fp32.", step + 1)
            self._dtype, self._scaler = torch.float32, None
            value = self._gradients(rows)
        if not np.isfinite(value):
            raise InputError(
                f"The training loss is no number any more at step {step + 1}; give a lower --learning-rate."
            )
        warm_up = self._total // 10 if self._settings.warm_up is None else self._settings.warm_up
        set_rate(self._optimiser, rate_at(step, self._settings.learning_rate, warm_up, self._total))
        if self._scaler is None:
            self._optimiser.step()
        else:
            self._scaler.step(self._optimiser)
            self._scaler.update()
        return value

    def _gradients(self, rows: np.ndarray) -> float:
        """Makes the gradients of a batch, of which every process has a part; its loss."""
        part = np.array_split(np.arange(len(rows)), self._processes)[self._rank]
        own = range(int(part[0]), int(part[-1]) + 1)
        pixels = self._pixels(self._training.pictures[rows[own.start : own.stop]])
        ids = self._ids[rows[own.start : own.stop]]
        self._optimiser.zero_grad()
        value = batch_gradients(
            (
                lambda piece: self._encode(self._trainee.images, pixels[piece]),
                lambda piece: self._encode(self._trainee.texts, ids[piece]),
            ),
            own,
            len(rows),
            self._settings.chunk,
            self._scaled,
        )
        share_gradients([weight for _, weight in learning(self._trainee.network)])
        return value if self._scaler is None else value / self._scaler.get_scale()

    def _scaled(self, images: Tensor, texts: Tensor) -> Tensor:
        value = self._loss(images, texts)
        return value if self._scaler is None else self._scaler.scale(value)

    def _encode(self, encode: Callable[[Tensor], Tensor], given: Tensor) -> Tensor:
        with computing_in(self._dtype, self._device):
            return encode(given.to(self._device)).float()

    def _pixels(self, pictures: np.ndarray) -> Tensor:
        return self._trainee.model.preprocess(np.repeat(pictures[..., None], 3, -1))

    def _batches(self, epoch: int, done: int) -> Iterator[np.ndarray]:
        """Rows of the batches of an epoch that are left; each process draws the same ones."""
        order = np.random.default_rng((self._settings.seed, epoch)).permutation(len(self._training))
        if self._settings.loss.exact:
            order = order[: self._steps * self._batch]
        for rows in np.array_split(order, self._steps)[done:]:
            yield np.sort(rows)

    def _end_of(self, epoch: int, state: dict[str, Any], logs: Logs | None) -> None:
        state["losses"].append(state.pop("sum") / self._steps)
        state["sum"] = 0.0
        numbers = {"epoch": epoch + 1, "training loss": state["losses"][-1]}
        numbers["rate"] = self._optimiser.param_groups[0]["lr"]
        measured = self._measure() if len(self._validation) else None
        if measured is not None:
            numbers["validation loss"] = measured.loss
            found = measured.recall.texts_of_pictures, measured.recall.pictures_of_texts
            for what, shares in zip(("texts of pictures", "pictures of texts"), found, strict=True):
                numbers |= {f"{what} at {rank}": share for rank, share in zip(RANKS, shares, strict=True)}
        if measured is None or state["after"] is None or measured.loss < state["after"]["loss"]:
            after = measured and asdict(measured)
            state |= {"after": after, "best": epoch + 1, "weights": merged(self._trainee.network)}
        if logs is not None:
            logs.add(state["step"], numbers)

    def _is_over(self, state: dict[str, Any]) -> bool:
        """Whether the validation loss has not fallen for too long."""
        patience = self._settings.patience
        return bool(patience and state["after"] is not None and len(state["losses"]) - state["best"] >= patience)

    def _measure(self) -> Measured:
        """Loss over batches of the size of training, and recall, on the validation pairs."""
        ids = self._ids[len(self._training) :]
        images, texts = [], []
        with torch.no_grad():
            for first in range(0, len(self._validation), self._settings.chunk):
                piece = slice(first, first + self._settings.chunk)
                images.append(self._encode(self._trainee.images, self._pixels(self._validation.pictures[piece])))
                texts.append(self._encode(self._trainee.texts, ids[piece]))
            seen, said = torch.cat(images, 1), torch.cat(texts, 1)[0]
            values = []
            for first in range(0, max(1, len(said) - 1), self._batch):  # a pair alone is no batch
                piece = slice(first, first + self._batch)
                values += [float(self._loss(view[piece], said[piece])) for view in seen]
        unit = [to_array(F.normalize(features, dim=-1).cpu()) for features in (*seen, said)]
        return Measured(float(np.mean(values)), recall(unit[0], unit[-1], self._validation.texts))

    def _read(self) -> dict[str, Any]:
        """Where a run that was stopped has been, or the beginning."""
        file = self._folder / STATE
        if not file.is_file():
            return {
                "step": 0,
                "sum": 0.0,
                "losses": [],
                "before": None,
                "after": None,
                "best": 0,
                "weights": {},
            }
        try:
            saved = torch.load(file, map_location=self._device, weights_only=True)
            self._trainee.network.load_state_dict(saved["network"])
            self._optimiser.load_state_dict(saved["optimiser"])
            if self._scaler is not None:
                self._scaler.load_state_dict(saved["scaler"])
        except (OSError, RuntimeError, ValueError, KeyError, EOFError, pickle.UnpicklingError) as error:
            raise InputError(f"{file} is damaged ({type(error).__name__}); start anew with --force.") from None
        return saved["state"]

    def _write(self, state: dict[str, Any]) -> None:
        if self._rank != 0:
            return
        parts = {
            "network": self._trainee.network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "scaler": {} if self._scaler is None else self._scaler.state_dict(),
            "state": state,
        }
        new = self._folder / f".{STATE}.part"
        with new.open("wb") as file:
            torch.save(parts, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._folder / STATE)


def _processes() -> tuple[int, int]:
    """Number of this process, and how many there are."""
    if not torch.distributed.is_initialized():
        return 0, 1
    return torch.distributed.get_rank(), torch.distributed.get_world_size()
