"""A checkpoint's tensors into modules: BERT, residual networks and what is put on top of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from torch import Tensor, nn

from ...errors import ModelError
from ...files.checksum import sha256
from ..bert import BertSize, BertTower
from ..folder import BERT_CONFIGS, read_config
from ..layouts import HUB, misfit, rename
from ..shards import parts

_UNUSED = re.compile(r"num_batches_tracked$|relative_position_index$")
Module = TypeVar("Module", bound=nn.Module)


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a weights file, or of several that an index lists, by name."""

    weights: Path
    state: Mapping[str, Tensor]

    @property
    def checksum(self) -> str:
        """SHA-256 of its files, one after another."""
        return sha256(*parts(self.weights))

    def under(self, prefix: str) -> dict[str, Tensor]:
        """Those whose names begin with ``prefix``, by what follows, in float32; without what nobody needs.

        Raises:
            ModelError: there are none.
        """
        found = {
            name.removeprefix(prefix): tensor.float()
            for name, tensor in self.state.items()
            if name.startswith(prefix) and not _UNUSED.search(name)
        }
        if not found:
            raise self.unfit(f"no '{prefix}'")
        return found

    def fill(self, module: Module, state: Mapping[str, Tensor]) -> Module:
        """``module`` with all of ``state``.

        Raises:
            ModelError: they do not go together.
        """
        wanted = {name: tensor for name, tensor in module.state_dict().items() if not _UNUSED.search(name)}
        if problem := misfit(wanted, state):
            raise self.unfit(problem)
        module.load_state_dict(dict(state), strict=False, assign=True)
        return module

    def linear(self, state: Mapping[str, Tensor]) -> nn.Linear:
        """From "weight", which may be stored as a convolution of one place, and, where there is one, "bias".

        Raises:
            ModelError: they do not go together.
        """
        flat = {name: tensor.flatten(1) if tensor.dim() > 2 else tensor for name, tensor in state.items()}
        outputs, inputs = self.shape(flat, "weight", 2)
        return self.fill(nn.Linear(inputs, outputs, bias="bias" in flat), flat)

    def bert(self, state: Mapping[str, Tensor]) -> BertTower:
        """As the hub names its tensors; a configuration beside the weights tells the heads, if it is no common one.

        Raises:
            ModelError: it is none.
        """
        files = [self.weights.parent / name for name in BERT_CONFIGS]
        configs = [read_config(file) for file in files if file.is_file()]
        config = next((each for each in configs if each.get("model_type") == "bert"), {})
        named = rename({f"text.transformer.{name}": tensor for name, tensor in state.items()}, HUB)
        try:
            size = BertSize.of(
                named,
                config.get("num_attention_heads"),
                config.get("layer_norm_eps", 1e-12),
                config.get("pad_token_id", 0),
            )
            tower = BertTower(size)
        except (KeyError, ValueError, AssertionError, TypeError) as error:
            raise self.unfit(f"its text tower: {error}") from error
        return self.fill(tower, {name.removeprefix("text."): tensor for name, tensor in named.items()})

    def shape(self, state: Mapping[str, Tensor], name: str, dimensions: int) -> tuple[int, ...]:
        """Of one tensor.

        Raises:
            ModelError: it is missing, or has other ``dimensions``.
        """
        if name not in state or state[name].dim() != dimensions:
            raise self.unfit(f"'{name}'")
        return tuple(state[name].shape)

    def unfit(self, problem: str) -> ModelError:
        """What is said of tensors that do not go together."""
        return ModelError(
            f"'{self.weights}' is not a model as its tensors say it is ({problem}): fetch the file again."
        )
