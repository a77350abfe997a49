"""Where a model runs, and what is done where that place fails: fewer at once, then the CPU, then a sentence."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Generic, TypeVar

import torch

from ..errors import DeviceError, InputError

CPU = torch.device("cpu")
_log = logging.getLogger(__name__)

Model = TypeVar("Model", bound=Any)
Result = TypeVar("Result")


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


def load_where_it_fits(name: str, load: Callable[[torch.device], Model], device: torch.device) -> Model:
    """A model on ``device``, or on the CPU if that fails; it remembers how it is read anew, see `Placed`.

    Raises:
        DeviceError: there is not enough memory for it.
    """
    try:
        with within_memory(name, device):
            model = load(device)
    except DeviceError as error:
        model = _on_cpu(error, device, partial(load, CPU))
    model.on_cpu = partial(load, CPU)
    return model


@contextmanager
def within_memory(name: str, device: torch.device) -> Iterator[None]:
    """Says in a sentence what is wrong with the memory of ``device``, or with the device, while model ``name`` runs.

    Raises:
        DeviceError: PyTorch ran out of that memory, or an accelerator does not answer any more.
    """
    try:
        yield
    except (RuntimeError, MemoryError, ImportError) as error:  # a library may be imported only now
        if ran_out(error):
            where = "this computer" if device.type == "cpu" else str(device)
            free = "close other programs, or choose a smaller model or fewer slices"
            raise DeviceError(f"{name} does not fit into the free memory of {where}: {free}.") from error
        if device.type != "cpu" and _is_lost(error):
            raise DeviceError(f"{device} stopped working while {name} ran on it: choose device 'cpu'.") from error
        raise


def halving(make: Callable[[list[int]], Iterable[Result]]) -> Callable[[list[int]], list[Result]]:
    """``make`` for half of the positions at a time, and half of these, where memory does not do for all of them."""

    def make_all(positions: list[int]) -> list[Result]:
        try:
            return list(make(positions))
        except (RuntimeError, MemoryError) as error:
            if len(positions) == 1 or not ran_out(error):
                raise
        # Here the tensors of the attempt, which the traceback held, are gone.
        free_unused()
        half = len(positions) // 2
        return make_all(positions[:half]) + make_all(positions[half:])

    return make_all


class Placed(Generic[Model]):
    """A model that moves to the CPU when its device has too little memory, or is gone.

    Args:
        moved: called after that; tensors that are still on the device may be lost.

    Attributes:
        model: now.
    """

    def __init__(self, model: Model, moved: Callable[[], None] | None = None) -> None:
        self.model = model
        self._moved = moved

    def run(self, work: Callable[[], Result]) -> Result:
        """What ``work``, which uses `model`, gives.

        Raises:
            DeviceError: there is not enough memory for it on the CPU, or the device is gone and the model cannot be
                read anew.
        """
        device = self.model.device
        try:
            with within_memory(self.model.name, device):
                return work()
        except DeviceError as error:
            if self.model.on_cpu is None:
                raise
            self.model = _on_cpu(error, device, self.model.on_cpu)
        with within_memory(self.model.name, self.model.device):
            if self._moved is not None:
                self._moved()
            return work()


def ran_out(error: BaseException) -> bool:
    """Whether memory was missing, on any device: PyTorch has a type of its own for some of them only."""
    text = str(error)
    return (
        isinstance(error, torch.cuda.OutOfMemoryError | MemoryError)
        or any(
            said in text for said in ("allocate memory", "out of memory", "not enough memory", "failed to map segment")
        )
        or text == "could not create a primitive"  # all that oneDNN says; where it lacks a kernel it says more
    )


def free_unused() -> None:
    """Gives back what PyTorch keeps of an accelerator's memory for later."""
    with suppress(RuntimeError):  # the accelerator is gone
        torch.cuda.empty_cache()


def _on_cpu(error: DeviceError, device: torch.device, load: Callable[[], Model]) -> Model:
    if device.type == "cpu":
        raise error
    _log.warning("%s Going on with the CPU, which is slower.", error)
    free_unused()
    with within_memory("The model", CPU):
        return load()


def _is_lost(error: Exception) -> bool:
    newer: Any = getattr(torch, "AcceleratorError", ())
    return isinstance(error, newer) or "CUDA error" in str(error) or "CUDA driver" in str(error)
