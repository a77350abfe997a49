"""In which number format the large networks compute."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch

from ..errors import InputError, MedCLIPSAMError
from .cache import Tensors
from .device import ran_out

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
PRECISIONS = ("auto", *DTYPES)
_SAID = 100  # characters of an error that are logged
_log = logging.getLogger(__name__)


def pick_precision(name: str, device: torch.device) -> str:
    """The name in `DTYPES` for one in `PRECISIONS`.

    "auto" is bf16 where the device multiplies it in hardware of its own (AMX of a CPU, CUDA from Ampere on), fp16 on
    older CUDA devices, and fp32 elsewhere: a CPU without AMX is slower in bf16.

    Raises:
        InputError: there is no such format, or not on this device.
    """
    if name not in PRECISIONS:
        raise InputError(f"There is no precision '{name}': choose one of {', '.join(PRECISIONS)}.")
    if name == "fp16" and device.type != "cuda":
        raise InputError(f"The precision fp16 is for CUDA devices, not for '{device.type}': choose bf16 or fp32.")
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if _has_bf16() else "fp16"
    return "bf16" if device.type == "cpu" and _has_amx() else "fp32"


def _has_bf16() -> bool:
    try:
        return torch.cuda.is_bf16_supported(including_emulation=False)
    except TypeError:  # older versions of PyTorch emulate nothing
        return torch.cuda.is_bf16_supported()


def computing_in(dtype: torch.dtype, device: torch.device) -> AbstractContextManager[object]:
    """Matrix products on ``device`` are in ``dtype`` inside; sums and norms stay in float32."""
    if dtype == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, dtype)


def autocast_format(device: str) -> torch.dtype | None:
    """The format that autocast asks for on devices of a type such as "cpu" at this moment; None without autocast."""
    if hasattr(torch, "get_autocast_dtype"):
        return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
    # PyTorch before 2.4, on Intel Macs, which have no other device.
    return torch.get_autocast_cpu_dtype() if torch.is_autocast_cpu_enabled() else None


class NumberFormat:
    """The format of one network: the one that was chosen, and once that has failed, float32.

    Args:
        network: its name, for people.
        precision: a name in `PRECISIONS`.
    """

    def __init__(self, network: str, precision: str) -> None:
        self._network = network
        self._precision = precision
        self._failed = False

    def on(self, device: torch.device) -> str:
        """The name in `DTYPES` that counts on ``device``."""
        no_longer = self._precision == "fp16" and device.type != "cuda"  # the card of a run was lost
        return "fp32" if self._failed or no_longer else pick_precision(self._precision, device)

    def run(self, device: torch.device, work: Callable[[], list[Tensors]]) -> list[Tensors]:
        """What ``work`` gives, done in the format.

        PyTorch lacks an operator in a format here and there, which shows only when it runs, and large numbers overflow;
        then the work is done in float32, as is all that follows.

        Raises:
            Exception: what ``work`` raises in float32.
        """
        name = self.on(device)
        if name == "fp32":
            return work()
        try:
            with computing_in(DTYPES[name], device):
                made = work()
            why = None if _is_finite(made) else "its results are not finite"
        except MedCLIPSAMError:
            raise
        except Exception as error:  # whatever it is: in float32 it is raised again, if it has another reason
            if ran_out(error):
                raise
            why = " ".join(str(error).split())[:_SAID]
        if why is None:
            return made
        made = work()
        self._failed = True
        _log.warning("%s does not compute in %s here (%s); going on in fp32.", self._network, name, why)
        return made


def _is_finite(made: list[Tensors]) -> bool:
    return all(bool(torch.isfinite(tensor).all()) for tensors in made for tensor in tensors.values())


def _has_amx() -> bool:
    capabilities = getattr(torch.cpu, "get_capabilities", None)  # newer PyTorch
    return bool(capabilities and capabilities().get("amx_bf16", False))
