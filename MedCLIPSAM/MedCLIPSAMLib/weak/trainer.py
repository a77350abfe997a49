"""nnU-Net's own trainer with the learning rate and the snapshots of a `Schedule`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from .schedule import Schedule

LATEST, FINAL, BEST = "checkpoint_latest.pth", "checkpoint_final.pth", "checkpoint_best.pth"


class SnapshotTrainer(nnUNetTrainer):
    """The stock trainer but for `schedule`: SGD with Nesterov momentum 0.99, weight decay 3e-5, loss and augmentation.

    Attributes:
        schedule: set by `follow`.
        told: called with the number of epochs that are done.
    """

    schedule = Schedule()
    told: Callable[[int], None] = staticmethod(lambda done: None)

    def follow(self, schedule: Schedule, steps: int, validation_steps: int) -> None:
        """Before training: its schedule, and the steps of an epoch."""
        self.schedule = schedule
        self.num_epochs, self.initial_lr = schedule.epochs, schedule.initial_rate
        self.num_iterations_per_epoch, self.num_val_iterations_per_epoch = steps, validation_steps
        self.save_every = 1  # one epoch at most is lost where training is killed

    def configure_optimizers(self) -> tuple[Any, Any]:
        optimizer, _ = super().configure_optimizers()
        return optimizer, _Rates(optimizer, self.schedule)

    def on_epoch_end(self) -> None:
        for name in self.schedule.saved(self.current_epoch):
            self._save_snapshot(Path(self.output_folder) / name)
        super().on_epoch_end()
        self.told(self.current_epoch)

    def save_checkpoint(self, filename: str) -> None:
        """As nnU-Net's, but never half-written."""
        unfinished = f"{filename}.part"
        super().save_checkpoint(unfinished)
        Path(unfinished).replace(filename)

    def _save_snapshot(self, path: Path) -> None:
        """What prediction needs, without the optimizer, which is larger than the weights; nnU-Net predicts with it."""
        network = getattr(self.network, "_orig_mod", self.network)
        snapshot = {
            "network_weights": network.state_dict(),
            "current_epoch": self.current_epoch + 1,
            "init_args": self.my_init_kwargs,
            "trainer_name": nnUNetTrainer.__name__,  # whose network it is
            "inference_allowed_mirroring_axes": self.inference_allowed_mirroring_axes,
        }
        unfinished = path.with_name(f"{path.name}.part")
        torch.save(snapshot, unfinished)
        unfinished.replace(path)


class _Rates:
    """Sets the learning rate of an epoch."""

    def __init__(self, optimizer: torch.optim.Optimizer, schedule: Schedule) -> None:
        self._optimizer, self._schedule = optimizer, schedule

    def step(self, epoch: int) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = self._schedule.rate(epoch)
