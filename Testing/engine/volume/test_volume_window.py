from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from nilearn.datasets import load_mni152_template

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.engine.volume import WINDOWS, Frame, Modality, SliceStack, Volume, Window, automatic_window

IDENTITY = np.eye(4)


def test_limits_are_black_and_white_and_values_between_are_rounded() -> None:
    values = np.array([[-2000, -160, 40, 240, 3000]], np.int16)
    assert Window(-160, 240).to_uint8(values).tolist() == [[0, 0, 128, 255, 255]]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_not_finite_pixels_are_black_and_the_input_is_untouched(dtype: type) -> None:
    values = np.array([[np.nan, np.inf, -np.inf, 240]], dtype)
    assert Window(-160, 240).to_uint8(values).tolist() == [[0, 0, 0, 255]]
    assert np.isnan(values[0, 0])


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16, np.int32, np.float64])
def test_a_stack_is_the_same_as_its_slices(dtype: type) -> None:
    array = (np.random.default_rng(0).random((4, 5, 6)) * 2).astype(dtype)
    window = Window(0, 1.5)
    grey = window.to_uint8(array)
    assert grey.dtype == np.uint8
    assert (grey == [window.to_uint8(plane) for plane in array]).all()


def test_large_integers_keep_their_differences() -> None:
    values = np.array([[2**31 - 3, 2**31 - 2, 2**31 - 1]], np.int64)
    assert Window(2**31 - 3, 2**31 - 1).to_uint8(values).tolist() == [[0, 128, 255]]


@pytest.mark.parametrize("limits", [(1, 1), (2, 1), (np.nan, 1), (0, np.inf)])
def test_an_empty_window_is_refused(limits: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="window"):
        Window(*limits)


def test_ct_is_seen_in_the_soft_tissue_window() -> None:
    assert automatic_window(Volume(np.zeros((2, 3, 4)), IDENTITY, "CT")) == WINDOWS["soft-tissue"] == Window(-160, 240)


def _abdomen() -> np.ndarray:
    """Bright organs in a dark body in noise, as in fat-suppressed MR, with a few flashing voxels."""
    noise = np.random.default_rng(0)
    array = np.abs(noise.normal(0, 4, (8, 96, 96)))
    array[:, 20:80, 10:86] = noise.normal(40, 6, (8, 60, 76))
    array[:, 30:50, 16:40] = noise.normal(300, 10, (8, 20, 24))
    array[3, 60, 60] = 1e6
    return array


def test_mr_window_spans_the_body_with_its_dark_tissue() -> None:
    window = automatic_window(Volume(_abdomen(), IDENTITY, "MR"))
    assert 0 < window.low < 40
    assert 290 < window.high < 340


def test_mr_window_of_a_real_head() -> None:
    template = load_mni152_template(resolution=2)
    array = np.asarray(template.dataobj).transpose(2, 1, 0)
    window = automatic_window(Volume(array, np.asarray(template.affine), "MR"))
    brain = array[array > 0.01]
    assert np.mean(brain < window.low) < 0.1
    assert 0.9 < np.mean(brain < window.high) < 1


@pytest.mark.parametrize(
    ("array", "window"),
    [
        (np.full((2, 5, 5), 7, np.int32), Window(7, 8)),
        (np.full((2, 5, 5), np.nan), Window(0, 1)),
        (np.zeros((1, 1, 1)), Window(0, 1)),
        (np.arange(50).reshape(2, 5, 5) < 9, Window(0, 1)),
    ],
    ids=["constant", "nan", "one voxel", "mask"],
)
def test_windows_of_degenerate_volumes(array: np.ndarray, window: Window) -> None:
    assert automatic_window(Volume(array, IDENTITY, "other")) == window


def test_not_finite_voxels_do_not_change_the_window() -> None:
    array = _abdomen()
    expected = automatic_window(Volume(array, IDENTITY, "MR"))
    array[:, :4] = np.nan
    array[:, -4:] = np.inf
    found = automatic_window(Volume(array, IDENTITY, "MR"))
    assert found.low == pytest.approx(expected.low, rel=0.2)
    assert found.high == pytest.approx(expected.high, rel=0.02)


def test_a_large_volume_is_never_copied_to_float() -> None:
    array = np.zeros((128, 384, 384), np.int16)
    array[:, 100:300, 100:300] = 500
    stack = SliceStack(Volume(array, IDENTITY, "MR"), "axial")
    tracemalloc.start()
    window = automatic_window(stack.volume)
    Frame.around(stack, window)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < array.size * 4 / 2


@pytest.mark.parametrize("modality", ["other", "MR", "CT"])
def test_a_single_slice_of_8_bits_is_shown_as_it_is(modality: Modality):
    """It has been windowed: neither the darkest nor the brightest part of a dim picture is stretched."""
    grey = np.random.default_rng(0).integers(40, 90, (1, 30, 40)).astype(np.uint8)
    window = automatic_window(Volume(grey, np.eye(4), modality))
    np.testing.assert_array_equal(window.to_uint8(grey), grey)
    for others in (grey.astype(np.uint16), np.repeat(grey, 2, axis=0)):
        assert automatic_window(Volume(others, np.eye(4), "other")) != Window(0, 255)
