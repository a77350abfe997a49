"""Where a model runs."""

from __future__ import annotations

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
