"""What is trained of an image-text model, and how it becomes a folder again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ..engine.clip.base import ImageTextModel
from ..engine.clip.dual import DualEncoder
from ..engine.clip.folder import (
    HUGGING_FACE_CONFIG,
    HUGGING_FACE_WEIGHTS,
    OPEN_CLIP_CONFIG,
    OPEN_CLIP_WEIGHTS,
    find_weights,
)
from ..engine.clip.layouts import HUB, HUGGING_FACE, restore
from ..engine.clip.quickstart.model import WEIGHTS, QuickStart
from ..engine.clip.quickstart.reliability import FILE as RELIABILITY
from ..engine.errors import ModelError
from ..engine.files.renames import Renames
from ..engine.files.weights import read_state_dict

_DOCUMENTS = (".json", ".txt")  # configuration, tokenizer, vocabulary


class Trainee(Protocol):
    """A model in training.

    Attributes:
        model: the frozen model that it was.
        network: with all weights.
        ends: beginnings of the names of weights behind the last block of either tower.
    """

    model: ImageTextModel

    @property
    def network(self) -> nn.Module: ...

    @property
    def ends(self) -> tuple[str, ...]: ...

    def images(self, pixels: Tensor) -> Tensor:
        """(N, 3, S, S) -> (V, N, D): features, in each of V ways in which the model sums up a picture."""
        ...

    def texts(self, ids: Tensor) -> Tensor:
        """(N, L) -> (1, N, D)."""
        ...

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """T texts -> (T, L) token ids."""
        ...

    def write(self, weights: dict[str, Tensor], folder: Path) -> None:
        """The files of a model with these weights of `network`, into an empty folder."""
        ...


def trainee(model: ImageTextModel, folder: Path | None) -> Trainee:
    """A loaded model, ready to be trained.

    Args:
        folder: of its files, where it has one.

    Raises:
        ModelError: it is of a kind that is not trained here.
    """
    if isinstance(model, QuickStart):
        return _QuickStart(model)
    if isinstance(model, DualEncoder):
        if hasattr(model.network, "visual"):
            return _OpenCLIP(model, folder)
        if folder is not None:  # it always has one
            return _BiomedCLIP(model, folder)
    raise ModelError(
        f"'{model.name}' is no CLIP of two towers, which fine-tuning needs: take quickstart, a BiomedCLIP or an"
        " open_clip model."
    )


class _Dual:
    """Both towers of a `DualEncoder`."""

    ends: tuple[str, ...] = ()

    def __init__(self, model: DualEncoder) -> None:
        self.model: ImageTextModel = model
        self.network = model.network
        self._vision, self._text, self._tokenize = model.vision, model.text, model.tokenize

    def images(self, pixels: Tensor) -> Tensor:
        return self._vision.features(pixels)[None]

    def texts(self, ids: Tensor) -> Tensor:
        return self._text(ids)[None]

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        return self._tokenize(list(texts))


class _BiomedCLIP(_Dual):
    """A BiomedCLIP, which goes back into the layout that it came in."""

    ends = ("vision.trunk.norm.", "vision.head.", "text.proj.")

    def __init__(self, model: DualEncoder, folder: Path) -> None:
        super().__init__(model)
        self._folder = folder
        hub = (folder / OPEN_CLIP_CONFIG).is_file()
        self._renames: Renames = HUB if hub else HUGGING_FACE
        self._names = OPEN_CLIP_WEIGHTS if hub else HUGGING_FACE_WEIGHTS
        self._config = OPEN_CLIP_CONFIG if hub else HUGGING_FACE_CONFIG

    def write(self, weights: dict[str, Tensor], folder: Path) -> None:
        before = read_state_dict(find_weights(self._folder, self._names))
        save_file(restore(before, weights, self._renames), folder / self._names[0])
        copy_documents(self._folder, folder, {self._config})


class _OpenCLIP(_Dual):
    """A model of open_clip, whose own names are those of its file."""

    ends = ("visual.ln_post.", "visual.proj", "visual.head.", "visual.trunk.norm.", "ln_final.", "text_projection")

    def __init__(self, model: DualEncoder, folder: Path | None) -> None:
        super().__init__(model)
        self._folder = folder

    def write(self, weights: dict[str, Tensor], folder: Path) -> None:
        save_file({name: tensor.contiguous() for name, tensor in weights.items()}, folder / OPEN_CLIP_WEIGHTS[0])
        if self._folder is not None:
            copy_documents(self._folder, folder, {OPEN_CLIP_CONFIG})
            return
        import open_clip

        sizes = open_clip.get_model_config(self.model.name.partition(":")[0])
        seen = {"mean": self.model.mean, "std": self.model.std}
        described = {"model_cfg": sizes, "preprocess_cfg": seen}
        (folder / OPEN_CLIP_CONFIG).write_text(json.dumps(described, indent=1), encoding="utf-8")


class _QuickStart:
    """The first look of the built-in model, or of one that was made from it.

    It sums a picture up twice: in the mean of its patches, by which M2IB looks, and in its class token, by which it
    judges what is there. Both are trained, or the one would no longer go with the other.
    """

    ends = ("image.norm.", "image.pool.", "image.project.", "text.norm.", "text.weigh.", "text.project.")

    def __init__(self, model: QuickStart) -> None:
        self.model: ImageTextModel = model
        self.network = model.network
        self.tokenize = model.tokenize
        self._folder = model.second.folder

    def images(self, pixels: Tensor) -> Tensor:
        tower = self.network.image
        tokens = tower.run(tower.stem(pixels.mean(1, keepdim=True))[0], 0, len(tower.blocks))
        return torch.stack([tower.patches(tokens).mean(1), tower.presence(tokens)])

    def texts(self, ids: Tensor) -> Tensor:
        return self.network.text(ids)[None]

    def write(self, weights: dict[str, Tensor], folder: Path) -> None:
        copy_documents(self._folder, folder, set())
        (folder / RELIABILITY).unlink(missing_ok=True)  # what was measured was measured with other weights
        for file in self._folder.glob("*.safetensors"):
            if file.name != WEIGHTS:
                shutil.copyfile(file, folder / file.name)
        save_file({name: tensor.contiguous() for name, tensor in weights.items()}, folder / WEIGHTS)


def copy_documents(source: Path, folder: Path, needed: set[str]) -> None:
    """What stands beside weights: configuration, tokenizer, vocabulary.

    Raises:
        OSError: one of ``needed`` is missing.
    """
    beside = {file.name for file in source.iterdir() if file.suffix in _DOCUMENTS and file.is_file()}
    for name in sorted(beside | needed):
        shutil.copyfile(source / name, folder / name)
