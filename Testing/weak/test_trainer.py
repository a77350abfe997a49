"""nnU-Net's own trainer takes the learning rate of the schedule and saves its snapshots."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from MedCLIPSAMLib.weak.schedule import Schedule
from MedCLIPSAMLib.weak.snapshots import read_weights

from . import networks


def test_each_epoch_has_the_rate_and_the_files_of_the_schedule(tmp_path):
    pytest.importorskip("nnunetv2")
    trainer, schedule = networks.trainer(tmp_path), Schedule(24, 2, 0.5, "both")
    trainer.follow(schedule, 3, 1)
    trainer.optimizer, trainer.lr_scheduler = trainer.configure_optimizers()
    folder, done = Path(trainer.output_folder), []
    trainer.told = done.append
    for epoch in range(schedule.epochs):
        before = {file.name for file in folder.glob("*checkpoint_[0-9]*.pth")}
        trainer.on_epoch_start()
        trainer.on_train_epoch_start()
        assert trainer.optimizer.param_groups[0]["lr"] == schedule.rate(epoch)
        for name in ("train_losses", "val_losses"):
            trainer.logger.log(name, 1.0, epoch)
        trainer.logger.log("dice_per_class_or_region", [0.5], epoch)
        trainer.logger.log("mean_fg_dice", 0.5, epoch)
        trainer.logger.plot_progress_png = lambda folder: None
        trainer.on_epoch_end()
        made = {file.name for file in folder.glob("*checkpoint_[0-9]*.pth")} - before
        assert made == set(schedule.saved(epoch))
    assert done == list(range(1, 25))
    assert (trainer.num_iterations_per_epoch, trainer.num_val_iterations_per_epoch) == (3, 1)
    assert not list(folder.glob("*.part"))
    assert (folder / "checkpoint_latest.pth").is_file()


def test_a_snapshot_holds_the_weights_and_is_read_without_running_code(tmp_path):
    pytest.importorskip("nnunetv2")
    fold = networks.write_model(tmp_path)
    weights, axes = read_weights(fold / "checkpoint_2.pth")
    assert axes == (0, 1)
    best, _ = read_weights(fold / "checkpoint_best.pth")  # nnU-Net's own, with numbers of NumPy
    assert weights.keys() == best.keys()
    assert any(not torch.equal(weights[name], best[name]) for name in weights)
