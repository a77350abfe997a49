"""A dataset of pseudo-labels trains an nnU-Net; a training that was killed goes on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from ..engine.errors import InputError, ModelError
from ..engine.machine.device import within_memory
from ..scene.files.replacing import write_text
from .dataset import DATASET, PREPROCESSED, SPLITS, Dataset
from .environment import augment_in_this_process, check_installed, point_to, silence, workers
from .schedule import Schedule
from .snapshots import ABOUT

Configuration = Literal["2d", "3d_fullres"]
CONFIGURATIONS: tuple[Configuration, ...] = get_args(Configuration)

_PLANS = "nnUNetPlans"


@dataclass(frozen=True)
class Training:
    """What is trained, and how long.

    Attributes:
        configuration: of nnU-Net.
        fold: of `splits_final.json`, or "all" for all cases.
        steps, validation_steps: of each epoch.
    """

    configuration: Configuration
    fold: int | Literal["all"]
    schedule: Schedule
    steps: int = 250
    validation_steps: int = 50


def read_fold(text: str) -> int | Literal["all"]:
    """A fold as typed.

    Raises:
        InputError: neither "all" nor a number.
    """
    if text == "all":
        return "all"
    if not text.isascii() or not text.isdigit():
        raise InputError(f"--fold {text!r} is no fold; give all, or a number from 0.")
    return int(text)


class Trainee:
    """A dataset that is ready to be learnt from.

    Raises:
        InputError: it is not of `weak prepare`, is not finished, all cases are discarded, it has no such fold or no
            volumes for that configuration, or nnU-Net is not installed.
    """

    def __init__(self, folder: Path, training: Training) -> None:
        self._dataset, self._training = Dataset(folder), training
        described = folder / DATASET
        if not self._dataset.records or not described.is_file():
            raise InputError(f"{folder} is no finished dataset of `weak prepare`; make it, or go on with it, first.")
        try:
            labels: dict[str, int] = json.loads(described.read_text("utf-8"))["labels"]
            names = [name for name, number in labels.items() if 0 < number < labels["ignore"]]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise InputError(f"{described} is not as `weak prepare` writes it; delete it, and prepare again.") from None
        self._dataset.finish(names)
        if training.configuration == "3d_fullres" and all(record.flat for record in self._dataset.kept().values()):
            raise InputError(f"{folder} holds single slices; train them with --configuration 2d.")
        folds = json.loads((folder / SPLITS).read_text("utf-8"))
        if training.fold != "all" and training.fold >= len(folds):
            there = f"folds 0 to {len(folds) - 1}" if folds else "one patient only"
            raise InputError(f"{folder} has {there}, and no fold {training.fold}; choose another, or all.")
        check_installed()

    def preprocess(self) -> None:
        """Plan and preprocess by nnU-Net, unless that was done for the same cases.

        Raises:
            InputError: the folder for it holds something else.
            ModelError: nnU-Net cannot plan for these cases.
        """
        point_to(self._dataset)
        folder = self._dataset.place(PREPROCESSED) / self._dataset.folder.name
        mark, done = folder / "medclipsam.json", {"cases": self._cases()}
        if not mark.is_file() and folder.exists():
            raise InputError(f"{folder} is not of `weak train`; move it away.")
        if not mark.is_file() or json.loads(mark.read_text("utf-8")).get("cases") != done["cases"]:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            write_text(mark, "{}")  # cases are named when all is planned
            with silence():
                self._plan()
            write_text(mark, json.dumps(done))
        shutil.copy(self._dataset.folder / SPLITS, folder / SPLITS)
        ready = folder / f"{self._training.configuration}.done"
        if not ready.is_file():
            with silence():
                self._preprocess()
            ready.touch()

    def train(self, device: torch.device, told: Callable[[int], None]) -> Path:
        """Train, or go on where training was interrupted.

        Args:
            told: called with the number of epochs that are done, at the start and after each.

        Returns:
            The folder of the model, for `weak predict`.

        Raises:
            InputError: what is there was trained otherwise.
            ModelError: a checkpoint cannot be read.
            DeviceError: there is too little memory.
        """
        from .trainer import FINAL, LATEST, SnapshotTrainer

        base = self._dataset.place(PREPROCESSED) / self._dataset.folder.name
        plans = json.loads((base / f"{_PLANS}.json").read_text("utf-8"))
        if self._training.configuration not in plans["configurations"]:
            raise InputError(f"nnU-Net plans no {self._training.configuration} for these cases; choose 2d.")
        plans["continue_training"] = True
        described = json.loads((base / DATASET).read_text("utf-8"))
        with silence():
            trainer = SnapshotTrainer(plans, self._training.configuration, self._training.fold, described, device)
            folder = Path(trainer.output_folder)
            self._begin(folder)
            trainer.follow(self._training.schedule, self._training.steps, self._training.validation_steps)
            trainer.told, trainer.device = told, device  # nnU-Net itself would take the first GPU
            if (folder / FINAL).is_file():
                told(self._training.schedule.epochs)
                return folder
            if (folder / LATEST).is_file():
                try:
                    trainer.load_checkpoint(str(folder / LATEST))
                except Exception as error:  # whatever a damaged file does to the unpickler
                    raise ModelError(f"{folder / LATEST} cannot be read; delete it to train from the start.") from error
            told(trainer.current_epoch)
            if device.type == "cpu":
                augment_in_this_process()
            with within_memory("nnU-Net", device):
                trainer.run_training()
        return folder

    def _cases(self) -> list[str]:
        return sorted(self._dataset.kept().keys() - self._dataset.discarded())

    def _begin(self, folder: Path) -> None:
        account: dict[str, Any] = {"cases": self._cases(), **asdict(self._training)}
        file = folder / ABOUT
        if not file.is_file():
            write_text(file, json.dumps(account, indent=1))
        elif json.loads(file.read_text("utf-8")) != account:
            raise InputError(f"{folder} was begun with other cases or options; move it away, or choose another fold.")

    def _plan(self) -> None:
        from nnunetv2.experiment_planning.plan_and_preprocess_api import (
            extract_fingerprint_dataset,
            plan_experiment_dataset,
        )

        number = self._dataset.number
        try:
            extract_fingerprint_dataset(number, num_processes=workers(), verbose=False, show_progress_bar=False)
            plan_experiment_dataset(number)
        except (RuntimeError, AssertionError, ValueError) as error:
            raise ModelError(f"nnU-Net cannot plan for {self._dataset.folder} ({_short(error)}); check it.") from error

    def _preprocess(self) -> None:
        from nnunetv2.experiment_planning.plan_and_preprocess_api import preprocess_dataset

        preprocess_dataset(
            self._dataset.number,
            _PLANS,
            (self._training.configuration,),
            (workers(),),
            show_progress_bar=False,
        )


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
