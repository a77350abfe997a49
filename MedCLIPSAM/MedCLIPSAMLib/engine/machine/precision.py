"""In which number format the large networks compute."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from ..errors import InputError

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
PRECISIONS = ("auto", *DTYPES)


def pick_precision(name: str, device: torch.device) -> str:
    """The name in `DTYPES` for one in `PRECISIONS`.

    "auto" is bf16 where the device multiplies it in hardware of its own (AMX of a CPU, CUDA from Ampere on), fp16 on
    older CUDA devices, and fp32 elsewhere: a CPU without AMX is slower in bf16.

    Raises:
        InputError: there is no such format.
    """
    if name not in PRECISIONS:
        raise InputError(f"There is no precision '{name}': choose one of {', '.join(PRECISIONS)}.")
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return "bf16" if device.type == "cpu" and _has_amx() else "fp32"


def computing_in(dtype: torch.dtype, device: torch.device) -> AbstractContextManager[object]:
    """Matrix products on ``device`` are in ``dtype`` inside; sums and norms stay in float32."""
    if dtype == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, dtype)


def _has_amx() -> bool:
    capabilities = getattr(torch.cpu, "get_capabilities", None)  # newer PyTorch
    return bool(capabilities and capabilities().get("amx_bf16", False))
