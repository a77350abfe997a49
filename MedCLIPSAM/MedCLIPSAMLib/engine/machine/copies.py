"""Frozen networks in another number format than that of their weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from .precision import autocast_format


class FrozenCopies:
    """Copies of frozen modules in the format that is asked for, each made at first need.

    They are for CPUs: there autocast casts frozen weights anew at each call, and what it keeps in float32 waits for
    memory. A copy in bfloat16 takes half the memory of the weights; those of one format are held at a time.

    Args:
        modules: which are left as they are.
        adapt: changes a copy where another way is faster in another format.
    """

    def __init__(self, modules: Sequence[Any], adapt: Callable[[Any], None] | None = None) -> None:
        self._modules = modules
        self._adapt = adapt
        self._held: dict[tuple[torch.dtype, int], Any] = {}

    def __len__(self) -> int:
        """How many are held."""
        return len(self._held)

    def of(self, number: int, dtype: torch.dtype) -> Any:
        """Module ``number`` in ``dtype``; it is to run without autocast."""
        if (dtype, number) not in self._held:
            self._held = {key: module for key, module in self._held.items() if key[0] == dtype}
            with torch.inference_mode(False):  # a gradient may be asked of it later
                module = copy.deepcopy(self._modules[number]).to(dtype)
            if self._adapt is not None:
                self._adapt(module)
            self._held[dtype, number] = module
        return self._held[dtype, number]

    def drop(self) -> None:
        """Frees them: they are made again when they are asked for."""
        self._held.clear()


def format_for(x: Tensor) -> torch.dtype:
    """The format in which to compute with ``x``: the one that autocast asks for or, without it, its own."""
    return autocast_format(x.device.type) or x.dtype
