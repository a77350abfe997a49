"""Joined layers give the same; memory is kept where that was asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from MedCLIPSAMLib.engine.files.weights import read_state_dict
from MedCLIPSAMLib.engine.machine.allocation import ask_for_large_pages
from MedCLIPSAMLib.engine.machine.copies import FrozenCopies
from MedCLIPSAMLib.engine.sam import fusing, lite_medsam
from MedCLIPSAMLib.engine.sam.fusing import fuse_activation
from MedCLIPSAMLib.engine.sam.registry import load_segmenter
from MedCLIPSAMLib.engine.volume import Window

from ...samples import abdomen_slice


@pytest.fixture(scope="module")
def lite() -> Any:
    return load_segmenter("lite-medsam", "cpu")


@pytest.fixture(scope="module")
def plain() -> Any:
    """Its encoder as it comes."""
    network = lite_medsam.build_lite_medsam()
    network.load_state_dict(read_state_dict(lite_medsam.weights_file()))
    return network.eval().image_encoder


@pytest.fixture(scope="module")
def picture(lite) -> torch.Tensor:
    grey = Window(-160, 240).to_uint8(abdomen_slice())
    return lite._prepare(np.repeat(grey[None, ..., None], 3, 3))


def error(ours: torch.Tensor, expected: torch.Tensor) -> float:
    return float((ours.float() - expected).norm() / expected.norm())


@pytest.mark.parametrize("onednn", [True, False])
def test_the_joined_layers_of_lite_medsam_give_what_it_gives_as_it_comes(lite, plain, picture, monkeypatch, onednn):
    if not onednn:
        monkeypatch.setattr(fusing, "_has_fused", lambda _x: False)
    with torch.inference_mode():
        expected = plain(picture.contiguous())
        torch.testing.assert_close(lite._network.image_encoder(picture), expected, atol=1e-5, rtol=0)
        with torch.autocast("cpu", torch.bfloat16):
            as_it_comes, ours = plain(picture.contiguous()), lite._network.image_encoder(picture)
    assert ours.dtype == torch.float32
    assert error(ours, expected) < 1.1 * error(as_it_comes, expected), "no worse than autocast"
    assert error(ours, expected) < 0.08


def test_the_encoder_is_copied_when_another_format_is_asked_for_and_only_then(lite, picture):
    encoder = lite._network.image_encoder
    with torch.inference_mode():
        encoder(picture)
        assert len(encoder._copies) == 0
        in_bf16 = encoder(picture.bfloat16())
        assert len(encoder._copies) == 1
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(encoder(picture), in_bf16), "asked for by autocast"
        encoder(picture)
    assert len(encoder._copies) == 0
    assert all(weight.dtype == torch.float32 for weight in encoder.parameters())


def test_a_copy_made_without_gradients_has_them_later():
    copies = FrozenCopies([torch.nn.Linear(3, 3).requires_grad_(False)])
    with torch.inference_mode():
        copies.of(0, torch.bfloat16)
    x = torch.ones(2, 3, dtype=torch.bfloat16, requires_grad=True)
    copies.of(0, torch.bfloat16)(x).sum().backward()
    assert x.grad is not None


def test_layers_stay_apart_where_a_gradient_is_wanted():
    layers = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.GELU())
    x = torch.randn(5, 3, requires_grad=True)
    expected = layers(x)
    fuse_activation(layers, "0", activation="1")
    assert torch.equal(layers(x), expected)
    layers(x).sum().backward()
    assert x.grad is not None
    with torch.no_grad():
        torch.testing.assert_close(layers(x), expected)


def test_the_users_choice_of_pages_stays(monkeypatch):
    monkeypatch.setenv("THP_MEM_ALLOC_ENABLE", "0")
    ask_for_large_pages()
    assert os.environ["THP_MEM_ALLOC_ENABLE"] == "0"
    monkeypatch.delenv("THP_MEM_ALLOC_ENABLE")
    ask_for_large_pages()
    assert os.environ["THP_MEM_ALLOC_ENABLE"] == "1"


@pytest.mark.skipif(sys.platform != "linux", reason="the C library of other systems has no such switch")
def test_freed_memory_is_kept_for_the_next_tensor_but_that_of_volumes_is_not():
    program = """
import numpy, psutil
from MedCLIPSAMLib.engine.machine.allocation import keep_freed_memory
keep_freed_memory()
held = lambda: psutil.Process().memory_info().rss >> 20
for length in (2_500_000, 25_000_000):
    before = held()
    arrays = [numpy.ones(length) for _ in range(25_000_000 // length)]
    del arrays
    print(held() - before)
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    told = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    kept_of_tensors, kept_of_volume = map(int, told.stdout.split())
    assert kept_of_tensors > 150, "of 190 MiB"
    assert kept_of_volume < 20
