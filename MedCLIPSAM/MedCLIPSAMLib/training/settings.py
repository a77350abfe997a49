"""What the user may choose about a training."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ..engine.errors import InputError
from .learnt import Learnt
from .losses import LOSSES, LossSettings

# Of the published program (MedCLIP-SAMv2, its script for fine-tuning).
_PUBLISHED = {"epochs": 32, "batch_size": 16, "learning_rate": 1e-3, "weight_decay": 0.1, "warm_up": 1000}


@dataclass(frozen=True)
class TrainingSettings:
    """Choices of one training.

    Attributes:
        loss: of a batch.
        epochs: how often each pair is seen.
        batch_size: pairs that are told from one another.
        learning_rate: the highest one; it rises for ``warm_up`` steps and falls along a cosine.
        weight_decay: of matrices and tables.
        warm_up: steps; None is a tenth of all.
        learnt: which weights learn.
        validation: share of the patients kept for validation.
        patience: epochs after which training ends if the validation loss has not fallen; 0 never ends it so.
        seed: of the order of pairs, of the patients that are kept, and of LoRA.
        chunk: pairs that go through the model at a time; it changes memory and time, not the result.
        save_memory: make what is inside blocks again on the way back, in place of keeping it.
        precision: number format, see `precision.pick_precision`.
    """

    loss: LossSettings = field(default_factory=LossSettings)
    epochs: int = 10
    batch_size: int = 64
    learning_rate: float = 1e-4
    weight_decay: float = 0.1
    warm_up: int | None = None
    learnt: Learnt = field(default_factory=Learnt)
    validation: float = 0.2
    patience: int = 3
    seed: int = 0
    chunk: int = 32
    save_memory: bool = False
    precision: str = "auto"

    def __post_init__(self) -> None:
        if self.loss.name not in LOSSES:
            raise InputError(f"There is no loss {self.loss.name!r}; use {' or '.join(LOSSES)}.")
        if self.loss.exact and self.loss.name != "dhn-nce":
            raise InputError("--exact is how dhn-nce was published; leave out --loss, or --exact.")
        positive = {
            "--epochs": self.epochs,
            "--batch-size": self.batch_size - 1,  # a pair alone has nothing to be told from
            "--learning-rate": self.learning_rate,
            "--temperature": self.loss.temperature,
            "--chunk": self.chunk,
        }
        for name, value in positive.items():
            if not value > 0:
                raise InputError(
                    f"{name} is too small; give {'2 or more' if name == '--batch-size' else 'more than 0'}."
                )
        if not 0 <= self.validation < 1:
            raise InputError(f"--validation {self.validation:g} is no share of the patients; give 0 to less than 1.")

    @classmethod
    def published(cls, **chosen: Any) -> TrainingSettings:
        """Those of the published program, but for what is chosen."""
        return cls(**{**_PUBLISHED, "loss": LossSettings(exact=True), "patience": 0, **chosen})

    def decides(self) -> dict[str, Any]:
        """What the result depends on; how much memory is used is not part of it."""
        return asdict(replace(self, chunk=1, save_memory=False))
