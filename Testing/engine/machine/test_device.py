"""What is done where a device has too little memory or goes away: fewer at once, then the CPU, then a sentence."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from MedCLIPSAMLib.engine.errors import DeviceError
from MedCLIPSAMLib.engine.machine.device import load_where_it_fits

from ..bars import BRIGHT, session, two_bars
from ..fakes import BlindClip, Card, GreyClip, GreySegmenter

FULL = torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
FULL_CPU = RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory")
FULL_ONEDNN = RuntimeError("could not create a primitive")
FULL_LOADER = ImportError("tokenizers.abi3.so: failed to map segment from shared object")
GONE = RuntimeError("CUDA error: unspecified launch failure")


def failing(model: Any, method: str, error: BaseException, room: int = 0) -> list[int]:
    """Makes a method fail for more than ``room`` pictures; the sizes of the batches that it is given."""
    whole, sizes = getattr(model, method), []

    def call(first: Any, *others: Any) -> Any:
        sizes.append(len(first))
        if sizes[-1] > room:
            raise error
        return whole(first, *others)

    setattr(model, method, call)
    return sizes


def masks(clip: Any = None, segmenter: Any = None) -> np.ndarray:
    return session(two_bars()[0], clip, segmenter, precision="fp32").segment(BRIGHT).mask


@pytest.mark.row("memory-encoder")
@pytest.mark.parametrize(("kind", "method"), [(GreyClip, "look"), (BlindClip, "tokens_after")])
@pytest.mark.parametrize(
    "error", [FULL, FULL_CPU, FULL_ONEDNN, MemoryError()], ids=["card", "processor", "oneDNN", "numpy"]
)
def test_half_as_many_slices_where_memory_does_not_do(kind: type, method: str, error: BaseException) -> None:
    enough, scarce = kind(), kind()
    sizes = failing(scarce, method, error, room=2)
    np.testing.assert_array_equal(masks(scarce), masks(enough))
    assert sizes[:3] == [8, 4, 2]
    assert max(size for size in sizes if size <= 2) == 2


@pytest.mark.row("memory-encoder")
@pytest.mark.parametrize(
    ("make", "method", "role"),
    [(GreyClip, "look", "clip"), (GreyClip, "encode_text", "clip"), (GreySegmenter, "embed", "segmenter")],
)
@pytest.mark.parametrize("error", [FULL, pytest.param(GONE, marks=pytest.mark.row("gpu-lost"))], ids=["full", "gone"])
def test_the_cpu_goes_on_where_a_card_fails(
    make: Callable[[], Any], method: str, role: str, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    model = make()
    model.device, model.on_cpu = Card(), make
    failing(model, method, error)
    volume, left, right = two_bars()
    chain = session(volume, **{"clip" if role == "clip" else "segmenter": model}, precision="fp32")
    with caplog.at_level(logging.WARNING):
        evidence = chain.segment(BRIGHT)
    np.testing.assert_array_equal(evidence.mask, masks())
    assert (evidence.mask & (left | right)).any()
    assert getattr(chain, role).device == torch.device("cpu"), "which the report tells"
    assert [record.message for record in caplog.records if "Going on with the CPU" in record.message]
    chain.preview(8, BRIGHT)


@pytest.mark.row("gpu-lost")
def test_a_decoder_whose_card_is_gone_goes_on_too() -> None:
    model = GreySegmenter()
    model.device, model.on_cpu = Card(), GreySegmenter  # type: ignore[assignment]
    failing(model, "decode", GONE)
    np.testing.assert_array_equal(masks(segmenter=model), masks())


@pytest.mark.row("memory-none")
@pytest.mark.parametrize(("make", "method"), [(GreyClip, "look"), (GreySegmenter, "embed")])
@pytest.mark.parametrize("error", [FULL_CPU, MemoryError()], ids=["processor", "numpy"])
def test_a_sentence_where_not_even_one_slice_fits(make: Callable[[], Any], method: str, error: BaseException) -> None:
    model = make()
    failing(model, method, error)
    parts = {"clip" if make is GreyClip else "segmenter": model}
    with pytest.raises(DeviceError, match="grey does not fit into the free memory of this computer: close"):
        masks(**parts)


@pytest.mark.row("memory-none")
def test_a_card_that_fails_and_no_way_back_is_a_sentence() -> None:
    model = GreyClip()
    model.device = Card()  # type: ignore[assignment]
    failing(model, "look", GONE)
    with pytest.raises(DeviceError, match="cuda stopped working while grey ran on it: choose device 'cpu'"):
        masks(model)


def test_other_faults_stay_what_they_are() -> None:
    model = GreyClip()
    sizes = failing(model, "look", RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match="shapes do not match"):
        masks(model)
    assert sizes == [8], "tried once"


@pytest.mark.row("memory-loading")
def test_a_model_that_does_not_fit_on_the_card_is_loaded_on_the_cpu() -> None:
    asked: list[Any] = []

    def load(device: Any) -> Any:
        asked.append(device)
        if device.type != "cpu":
            raise FULL
        return GreyClip()

    model = load_where_it_fits("grey", load, Card())  # type: ignore[arg-type]
    assert [device.type for device in asked] == ["cuda", "cpu"]
    assert isinstance(model.on_cpu(), GreyClip), "and can be read again"


@pytest.mark.row("memory-loading")
@pytest.mark.parametrize("error", [FULL, FULL_LOADER], ids=["card", "library"])
def test_a_model_that_fits_nowhere_is_a_sentence(error: Exception) -> None:
    def starve(device: Any) -> Any:
        raise error

    with pytest.raises(DeviceError, match="The model does not fit into the free memory of this computer"):
        load_where_it_fits("grey", starve, Card())  # type: ignore[arg-type]
