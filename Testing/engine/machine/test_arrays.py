"""Arrays become tensors and come back without PyTorch's own way, which one for NumPy 1 does not have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from MedCLIPSAMLib import engine
from MedCLIPSAMLib.engine.clip.registry import load_clip
from MedCLIPSAMLib.engine.machine import precision
from MedCLIPSAMLib.engine.machine.arrays import to_array, to_tensor
from MedCLIPSAMLib.engine.machine.precision import autocast_format, computing_in, pick_precision
from MedCLIPSAMLib.engine.prompt.prompt import Prompt
from MedCLIPSAMLib.engine.sam.registry import load_segmenter
from MedCLIPSAMLib.engine.session.session import Session
from MedCLIPSAMLib.engine.session.settings import Settings
from MedCLIPSAMLib.engine.volume import Volume

from ...samples import ABDOMEN_MM, abdomen_slice


@pytest.fixture
def older_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    """As PyTorch 2.2 with NumPy 2 is, on Intel Macs."""

    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("Numpy is not available")

    monkeypatch.setattr(torch, "from_numpy", refuse)
    for name in ("numpy", "__array__"):
        monkeypatch.setattr(torch.Tensor, name, refuse)
    asked = {"is_autocast_cpu_enabled": torch.is_autocast_enabled, "get_autocast_cpu_dtype": torch.get_autocast_dtype}
    for name, new in asked.items():
        monkeypatch.setattr(torch, name, lambda new=new: new("cpu"), raising=False)
    # PyTorch asks it itself when autocast begins.
    monkeypatch.setattr(precision, "hasattr", lambda owner, name: name != "get_autocast_dtype", raising=False)


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int64, np.float32, np.float64, bool])
def test_values_come_back(older_pytorch, kind):
    array = (np.arange(24) % 3).astype(kind).reshape(2, 3, 4)
    read_only = array.copy()
    read_only.flags.writeable = False
    for given in (array, read_only, array[:, ::-1, ::2], array.T, array[:0]):
        tensor = to_tensor(given)
        assert tensor.tolist() == given.tolist()
        back = to_array(tensor)
        assert back.dtype == kind
        assert np.array_equal(back, given)
        back[:] = 0  # may be written to


def test_what_remembers_its_gradient_or_lies_askew_comes_back(older_pytorch):
    tensor = torch.arange(6.0, requires_grad=True).reshape(2, 3).T
    assert to_array(tensor).tolist() == [[0, 3], [1, 4], [2, 5]]


def test_autocast_is_known(older_pytorch):
    assert autocast_format("cpu") is None
    with computing_in(torch.bfloat16, torch.device("cpu")):
        assert autocast_format("cpu") == torch.bfloat16


@pytest.mark.parametrize(("ampere", "name"), [(True, "bf16"), (False, "fp16")])
def test_older_versions_say_by_themselves_whether_a_device_has_bf16(ampere, name, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: ampere)
    assert pick_precision("auto", torch.device("cuda")) == name


def test_no_file_of_the_engine_takes_another_way():
    files = [file for file in Path(engine.__file__).parent.rglob("*.py") if file.name != "arrays.py"]
    assert files
    assert not [file for file in files if re.search(r"from_numpy|as_tensor|\.numpy\(", file.read_text("utf-8"))]


@pytest.mark.row("slicer-intel-mac")
@pytest.mark.parametrize("precision_name", ["fp32", "bf16"])
def test_the_chain_gives_the_same(precision_name, request):
    plane = abdomen_slice("CT")
    volume = Volume(np.stack([plane, plane]), np.diag([-ABDOMEN_MM, -ABDOMEN_MM, 5.0, 1]), "CT", "abdomen")
    liver = Prompt.parse("liver")

    def run() -> list[np.ndarray]:
        settings = Settings(precision=precision_name)
        session = Session(volume, load_clip("quickstart"), load_segmenter("lite-medsam"), settings)
        found = session.segment(liver)
        assert found.found
        edited = session.edit(0, liver, boxes=np.add(found.slices[0].boxes, [5, 5, -5, -5]))
        return [found.mask, edited.mask]

    usual = run()
    request.getfixturevalue("older_pytorch")
    for one, other in zip(usual, run(), strict=True):
        assert np.array_equal(one, other)
