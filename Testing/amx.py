"""What PyTorch and oneDNN are made to say of the processor, so that tests and benchmarks run as on another one."""

from __future__ import annotations

import os

import torch

_ISA = "ONEDNN_MAX_CPU_ISA"


def say_amx(there: bool) -> None:
    """Have PyTorch report for the rest of this process that the processor multiplies matrices in bf16, or does not.

    Where it is not to be there, oneDNN goes without it too. Processes that are started from here ask the processor
    themselves, in both.
    """
    if not there:
        os.environ[_ISA] = "AVX512_CORE"
        matrix = torch.ones(64, 64, dtype=torch.bfloat16)
        _ = matrix @ matrix  # oneDNN reads the variable before its first product, and never again
        del os.environ[_ISA]  # else they would believe in AMX, and compute as slowly as without
    told = torch.cpu.get_capabilities
    torch.cpu.get_capabilities = lambda: {**told(), "amx_bf16": there}
