"""Exact M2IB on a CUDA device: time per slice, and what part of it the arithmetic alone needs.

`PYTHONPATH=tools python -m Testing.benchmarks.gpu`; needs a GPU that PyTorch can use.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch
from torch import Tensor

from MedCLIPSAMLib.engine.clip.dual import DualEncoder
from MedCLIPSAMLib.engine.machine.precision import DTYPES, computing_in, pick_precision
from MedCLIPSAMLib.engine.saliency import TextQuery
from MedCLIPSAMLib.engine.saliency.m2ib import M2IB

from .figures import Figure, at_least, publish
from .materials import biomedclip_sized

_SIDE, _PRODUCTS = 8192, 50  # of the matrices whose products tell the rate
_BATCHES = (1, 8, 32)


def matrix_rate(dtype: torch.dtype) -> float:
    """Operations a second of large matrix products."""
    first, second = (torch.randn(_SIDE, _SIDE, device="cuda", dtype=dtype) for _ in range(2))
    torch.mm(first, second)
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(_PRODUCTS):
        torch.mm(first, second)
    torch.cuda.synchronize()
    return _PRODUCTS * 2 * _SIDE**3 / (time.perf_counter() - start)


def operations(model: DualEncoder, method: M2IB) -> float:
    """Multiplications and additions that a map needs: later blocks forward and backward, of the last but a part."""
    tokens, width = 1 + model.grid**2, model.token_width
    block = 2 * 12 * width**2 * tokens + 4 * tokens**2 * width
    last = 2 * 2 * width**2 * tokens
    later = (model.block_count - method.layer - 2) * block + last
    return 2.0 * (method.steps - 1) * method.noise_samples * later


def slice_seconds(model: DualEncoder, method: M2IB, tokens: Tensor, query: TextQuery) -> float:
    """Time of one slice in a batch of N, (N, T, W) tokens."""
    method.explain(model, tokens, query)
    torch.cuda.synchronize()
    start = time.perf_counter()
    method.explain(model, tokens, query)
    torch.cuda.synchronize()
    return (time.perf_counter() - start) / len(tokens)


def main() -> None:
    """Prints the table and leaves benchmark.json in output/bench-gpu."""
    if not torch.cuda.is_available():
        sys.exit("There is no CUDA device here, which this benchmark is about.")
    model = biomedclip_sized("cuda")
    precision = pick_precision("auto", model.device)
    rate = matrix_rate(DTYPES[precision])
    name = torch.cuda.get_device_name()
    figures = [Figure(f"{name}, {precision} matrix products", rate / 1e12, None, None, "TFLOP/s")]
    query = TextQuery.encode(model, ["liver of a ct"])
    for batch in _BATCHES:
        method = M2IB(batch=batch)
        pixels = torch.randn(batch, 3, model.image_size, model.image_size, device="cuda")
        with computing_in(DTYPES[precision], model.device):
            taken = slice_seconds(model, method, method.prepare(model, pixels), query)
        share = operations(model, method) / rate / taken
        figures.append(Figure(f"exact M2IB, batch of {batch}, per slice", 1000 * taken, None, None, "ms"))
        figures.append(at_least(f"  of it arithmetic at that rate, batch of {batch}", 100 * share, 25, "%"))
    publish(figures, Path("output/bench-gpu"))


if __name__ == "__main__":
    main()
