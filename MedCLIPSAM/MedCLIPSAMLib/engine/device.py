"""Where a model runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from .errors import InputError


def pick_device(name: str | torch.device = "auto") -> torch.device:
    """`auto` is the first CUDA device, or else the CPU; any other name is PyTorch's.

    Raises:
        InputError: the name is no device of this computer.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # how PyTorch reports an unknown or an absent device
        raise InputError(f"Device '{name}' is not available here: use 'auto' or 'cpu'.") from error
    return device


@contextmanager
def within_memory(name: str, device: torch.device) -> Iterator[None]:
    """Says in a sentence that model ``name`` does not fit into the memory of ``device``.

    Raises:
        InputError: PyTorch ran out of that memory.
    """
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        torch.cuda.empty_cache()
        raise too_large(name, device) from error


def too_large(name: str, device: torch.device) -> InputError:
    """What to tell where model ``name`` does not fit into the memory of ``device``."""
    return InputError(f"{name} does not fit into the free memory of {device}: choose device 'cpu'.")
