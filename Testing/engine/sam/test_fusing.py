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
from MedCLIPSAMLib.engine.sam import lite_medsam
from MedCLIPSAMLib.engine.sam.fusing import fuse_activation
from MedCLIPSAMLib.engine.sam.registry import load_segmenter


def test_the_joined_layers_of_lite_medsam_give_what_it_gives_as_it_comes():
    lite: Any = load_segmenter("lite-medsam", "cpu")
    plain = lite_medsam.build_lite_medsam()
    plain.load_state_dict(read_state_dict(lite_medsam.weights_file()))
    x = lite._prepare(np.random.default_rng(0).integers(0, 255, (1, 90, 120, 3), np.uint8))
    with torch.inference_mode():
        expected = plain.eval().image_encoder(x.contiguous())
        torch.testing.assert_close(lite._network.image_encoder(x), expected, atol=1e-5, rtol=0)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        in_halves = lite._network.image_encoder(x).float()
    assert torch.corrcoef(torch.stack([in_halves.flatten(), expected.flatten()]))[0, 1] > 0.999


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
