"""What PyTorch and oneDNN are made to say of the processor, so that tests and benchmarks run as on another one."""

from __future__ import annotations

import os

import torch


def say_amx(there: bool) -> None:
    """Have PyTorch report for the rest of this process that the processor multiplies matrices in bf16, or does not.

    Where it is not to be there, oneDNN goes without it too, here and in processes that are started from here; it reads
    the variable before its first product.
    """
    if not there:
        os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX512_CORE"
    told = torch.cpu.get_capabilities
    torch.cpu.get_capabilities = lambda: {**told(), "amx_bf16": there}
