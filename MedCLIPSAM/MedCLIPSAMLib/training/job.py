"""A training from files to files: pairs on disk become the folder of a model, in one go or in several."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed

from ..engine.clip.registry import CLIPS, folder_of, load_clip
from ..engine.errors import InputError
from ..engine.models.own import CARD, check_own_name
from ..scene.files.replacing import write_text
from .pairs import Pair, check_apart, read_pairs, split
from .pictures import draw_pictures
from .result import about_data, write_model
from .run import STATE, Data, Trained, Training
from .settings import TrainingSettings
from .trainee import Trainee, trainee

WORK = "training"  # folder in that of the model: how far it is, and its logs
_ABOUT, _PICTURES = "about.json", "pictures.npy"
_COPIES = 6  # of the weights on disk at most: two checkpoints of network, optimiser and best; they are the largest part


class Job:
    """One training.

    Args:
        table: of pairs; ``others``: pairs for validation, None keeps some of ``table``.
        output: folder of the new model, which may be that of a training that was begun.
        name: of the new model; None takes the folder's.
        force: begin anew where there is something already.

    Attributes:
        is_first: whether this process, of several, writes.

    Raises:
        InputError: the pairs cannot be used, or ``output`` has a finished model.
        ModelError: the name cannot be that of a model.
    """

    def __init__(
        self,
        table: Path,
        others: Path | None,
        output: Path,
        name: str | None,
        clip: str,
        device: str,
        settings: TrainingSettings,
        *,
        force: bool,
    ) -> None:
        self.output, self._settings = output, settings
        self._name = name or output.resolve().name.lower().replace(" ", "-")
        check_own_name(self._name)
        self._clip, self._device = clip, _join(device)
        self.is_first = not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0
        if others is None:
            self._training, self._validation = split(read_pairs(table), settings.validation, settings.seed)
        else:
            self._training = [replace(pair, side=None) for pair in read_pairs(table)]
            self._validation = [replace(pair, side=None) for pair in read_pairs(others)]
            check_apart(self._training, self._validation)
        if (output / CARD).exists() and not force:
            raise InputError(f"{output} has a finished model; choose another folder, or train anew with --force.")
        self._force = force

    @property
    def pictures_to_draw(self) -> int:
        """Those that are not there from before."""
        return 0 if self._drawn is not None or not self.is_first else len(self._pairs)

    def load(self) -> None:
        """Loads the model and sees whether it can read the texts.

        Raises:
            ModelError: there is no such model, or it is not trained here.
            InputError: a text cannot be read, the disk is too full, or a training with other pairs or settings was
                begun here.
        """
        model = load_clip(self._clip, self._device)
        self.trainee: Trainee = trainee(model, _folder_of(self._clip))
        self.trainee.tokenize([pair.text for pair in self._pairs])
        if not self.is_first:
            return
        self._check_space()
        about = {"base": model.checksum, "settings": self._settings.decides(), "data": self.about_data}
        work, file = self.output / WORK, self.output / WORK / _ABOUT
        if self._force:
            shutil.rmtree(work, ignore_errors=True)
        if file.is_file():
            if file.read_text("utf-8") != json.dumps(about):
                raise InputError(
                    f"{self.output} has an unfinished training with other pairs, settings or another model; choose"
                    " another folder, or begin anew with --force."
                )
            return
        work.mkdir(parents=True, exist_ok=True)
        write_text(file, json.dumps(about))

    @cached_property
    def about_data(self) -> dict[str, Any]:
        """Counts and a checksum of the pairs."""
        return about_data(self._training, self._validation)

    def draw(self, done: Callable[[], None]) -> None:
        """Makes the pictures of all pairs as the model sees them.

        Raises:
            InputError: an image cannot be read, or has no such slice.
        """
        file = self.output / WORK / _PICTURES
        if self.is_first and self._drawn is None:
            unfinished = file.with_name(f".{_PICTURES}.part")
            try:
                draw_pictures(self._pairs, self.trainee.model.image_size, unfinished, done)
                unfinished.replace(file)
            except BaseException:
                unfinished.unlink(missing_ok=True)
                if not (self.output / WORK / STATE).is_file():  # nothing was begun yet
                    shutil.rmtree(self.output / WORK)
                    if not any(self.output.iterdir()):
                        self.output.rmdir()
                raise
        _wait()

    def train(self, progress: Callable[[int, int, float], None], cancelled: Callable[[], bool]) -> Trained:
        """Trains to the end.

        Raises:
            Cancelled, InputError: as of `Training.run`.
        """
        pictures, texts = self._drawn, [pair.text for pair in self._pairs]
        assert pictures is not None
        count = len(self._training)
        return Training(
            self.trainee,
            Data(pictures[:count], texts[:count]),
            Data(pictures[count:], texts[count:]),
            self._settings,
            self.output / WORK,
            progress,
            cancelled,
        ).run()

    def write(self, trained: Trained, folder: Path) -> None:
        """Writes the model into an empty folder."""
        write_model(self.trainee, trained, self._settings, self.about_data, self._name, folder)

    def end(self) -> None:
        """Removes what was only for going on; the logs stay."""
        for name in (STATE, _PICTURES, _ABOUT):
            (self.output / WORK / name).unlink(missing_ok=True)

    @property
    def _pairs(self) -> list[Pair]:
        return [*self._training, *self._validation]

    @property
    def _drawn(self) -> np.ndarray | None:
        """(P, S, S) uint8 of all pairs, if they are there."""
        file = self.output / WORK / _PICTURES
        return np.load(file, mmap_mode="r") if file.is_file() else None

    def _check_space(self) -> None:
        weights = sum(tensor.numel() * tensor.element_size() for tensor in self.trainee.network.state_dict().values())
        needed = _COPIES * weights + len(self._pairs) * self.trainee.model.image_size**2
        place = self.output if self.output.is_dir() else self.output.parent
        if needed > shutil.disk_usage(place).free:
            raise InputError(
                f"{self.output} needs {needed / 1e9:.1f} GB while it is made; free some space, or choose another disk."
            )


def _folder_of(clip: str) -> Path | None:
    """Where the files of a model are; None for one that has no folder of its own."""
    if clip in CLIPS:
        return None
    folder = folder_of(clip)
    return folder if folder.is_dir() else None


def _join(device: str) -> str:
    """Joins the processes that `torchrun` has started; the device of this one."""
    if "TORCHELASTIC_RUN_ID" not in os.environ or torch.distributed.is_initialized():
        return device
    cuda = device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())
    torch.distributed.init_process_group("nccl" if cuda else "gloo")
    return f"cuda:{os.environ['LOCAL_RANK']}" if cuda else device


def _wait() -> None:
    """Until all processes are here."""
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
