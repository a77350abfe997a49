"""A trained model on disk, and the snapshots that are fused."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..engine.errors import InputError, ModelError
from .dataset import DATASET
from .schedule import Schedule

ABOUT = "training.json"  # in the folder of a fold: how it is trained
PLANS = "plans.json"

_FOLDS = "fold_*"
_BEST = "checkpoint_best.pth"


@dataclass(frozen=True)
class Model:
    """One fold of a training.

    Attributes:
        folder: of the fold.
        plans, described: nnU-Net's plans.json and dataset.json.
        configuration: of nnU-Net.
        files: the snapshots, in the order in which they were saved.
    """

    folder: Path
    plans: dict[str, Any]
    described: dict[str, Any]
    configuration: str
    files: tuple[Path, ...]

    @classmethod
    def find(cls, folder: Path, *, exact: bool = False) -> Model:
        """Recognise the folder of a fold, or one with a single fold.

        Args:
            exact: every checkpoint that the published prediction takes for the rule: of "late" also the best, the final
                and the latest one, of "sparse" the best.

        Raises:
            InputError: it is neither, has several folds, or no snapshot yet.
        """
        if not folder.is_dir():
            raise InputError(f"{folder} is no folder; give the one that `weak train` names.")
        if not (folder / ABOUT).is_file():
            folds = [fold for fold in sorted(folder.glob(_FOLDS)) if (fold / ABOUT).is_file()]
            if len(folds) > 1:
                names = ", ".join(fold.name for fold in folds)
                raise InputError(f"{folder} has several folds ({names}); give the folder of one.")
            folder = folds[0] if folds else folder
        try:
            about = json.loads((folder / ABOUT).read_text("utf-8"))
            plans, described = (json.loads((folder.parent / name).read_text("utf-8")) for name in (PLANS, DATASET))
            schedule, configuration = Schedule(**about["schedule"]), about["configuration"]
        except (OSError, ValueError, KeyError, TypeError, InputError):
            raise InputError(f"{folder} holds no model of `weak train`; give the folder that it names.") from None
        names = _published(folder, schedule) if exact else schedule.snapshots()
        files = tuple(folder / name for name in names if (folder / name).is_file())
        if not files:
            raise InputError(f"{folder} has no snapshot yet; go on with `weak train`.")
        return cls(folder, plans, described, configuration, files)

    @property
    def labels(self) -> list[str]:
        """Names in the order of their numbers, from 1."""
        ordered = sorted(self.described["labels"].items(), key=lambda label: label[1])
        return [name for name, _ in ordered if name not in ("background", "ignore")]


def read_weights(file: Path) -> tuple[dict[str, Tensor], tuple[int, ...] | None]:
    """Tensors by name, and the axes along which the network may be mirrored; no code in the file is run.

    Raises:
        ModelError: it is damaged, or no checkpoint of nnU-Net.
    """
    numbers = [np.float32, np.float64, np.int64]
    # The course of training in nnU-Net's own checkpoints is in numbers of NumPy.
    allowed: list[Any] = [np.dtype, np.float64(0).__reduce__()[0], *(type(np.dtype(number)) for number in numbers)]
    try:
        with torch.serialization.safe_globals(allowed):
            content = torch.load(file, map_location="cpu", weights_only=True)
        axes = content["inference_allowed_mirroring_axes"]
        return content["network_weights"], None if axes is None else tuple(axes)
    except Exception as error:  # a broken file can fail anywhere inside the unpickler, with any exception
        raise ModelError(f"{file} is damaged, or no checkpoint of nnU-Net; train again, or move it away.") from error


def _published(folder: Path, schedule: Schedule) -> list[str]:
    names = sorted(file.name for file in folder.glob("*.pth"))
    begins = {"late": "checkpoint_", "sparse": "e_checkpoint_", "both": ""}[schedule.rule]
    return [name for name in names if name.startswith(begins) or name == _BEST]
