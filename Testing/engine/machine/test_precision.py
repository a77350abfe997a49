"""Which number format is taken, and that it is used."""

from __future__ import annotations

import pytest
import torch

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.engine.machine import precision as module
from MedCLIPSAMLib.engine.machine.precision import computing_in, pick_precision

CPU = torch.device("cpu")


@pytest.mark.parametrize(("amx", "name"), [(True, "bf16"), (False, "fp32")])
def test_a_cpu_computes_in_bf16_only_where_it_has_hardware_for_it(monkeypatch, amx, name):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": amx}, raising=False)
    assert pick_precision("auto", CPU) == name


def test_an_older_pytorch_that_cannot_tell_stays_in_float32(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert pick_precision("auto", CPU) == "fp32"


@pytest.mark.parametrize(("ampere", "name"), [(True, "bf16"), (False, "fp16")])
def test_cuda_by_what_the_device_supports(monkeypatch, ampere, name):
    monkeypatch.setattr(module.torch.cuda, "is_bf16_supported", lambda including_emulation: ampere)
    assert pick_precision("auto", torch.device("cuda")) == name


def test_a_name_decides_and_an_unknown_one_is_refused():
    assert pick_precision("fp32", CPU) == "fp32"
    with pytest.raises(InputError, match="no precision 'int8': choose one of auto, fp32, bf16, fp16"):
        pick_precision("int8", CPU)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_products_are_in_the_format_and_norms_in_float32(dtype):
    x = torch.ones(2, 3)
    with computing_in(dtype, CPU):
        assert (x @ x.T).dtype == dtype
        assert torch.nn.functional.layer_norm(x, (3,)).dtype == torch.float32
