"""CT slices that were saved as pictures with air and bone in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from MedCLIPSAMLib.engine.clip.registry import load_clip
from MedCLIPSAMLib.engine.evaluate import score
from MedCLIPSAMLib.engine.prompt.prompt import Prompt
from MedCLIPSAMLib.engine.sam.registry import load_segmenter
from MedCLIPSAMLib.engine.session.session import Session
from MedCLIPSAMLib.engine.session.settings import Settings
from MedCLIPSAMLib.engine.volume import Modality, Volume, Window, automatic_window
from MedCLIPSAMLib.engine.volume.window import SOFT_TISSUE, full_range_window

from ... import samples

AIR, BONE = -1024, 1500  # HU that become 0 and 255


def grey_of(hu: Any) -> Any:
    return 255 * (hu - AIR) / (BONE - AIR)


@pytest.fixture(scope="module")
def ct() -> np.ndarray:
    """(H, W) uint8: an abdomen in its full range."""
    return np.rint(grey_of(samples.abdomen_slice("CT").astype(float)).clip(0, 255)).astype(np.uint8)


@pytest.fixture(scope="module")
def mr() -> np.ndarray:
    whole = samples.abdomen_slice("MR").astype(float)
    return np.rint(255 * (whole / np.percentile(whole, 99.9)).clip(0, 1)).astype(np.uint8)


def picture(pixels: np.ndarray, modality: Modality = "other", mm: float = samples.ABDOMEN_MM) -> Volume:
    return Volume(pixels[None], np.diag([-mm, -mm, 1.0, 1.0]), modality, "picture")


def session(volume: Volume, settings: Settings | None = None, segmenter: str = "lite-medsam") -> Session:
    return Session(volume, load_clip("quickstart", "cpu"), load_segmenter(segmenter, "cpu"), settings)


def test_soft_tissue_is_found_whatever_the_range(ct):
    for scale, shift in ((1.0, 0), (0.7, 0), (0.8, 30)):
        window = full_range_window(np.rint(ct * scale + shift).astype(np.uint8))
        assert window is not None
        low, high = ((limit - shift) / scale for limit in (window.low, window.high))
        assert grey_of(-350) < low < grey_of(-50)
        assert grey_of(150) < high < grey_of(450)


def test_a_picture_with_contrast_stays_as_it_is(ct):
    assert full_range_window(SOFT_TISSUE.to_uint8(samples.abdomen_slice("CT"))) is None
    assert full_range_window(np.zeros((32, 32), np.uint8)) is None
    assert full_range_window(np.full((32, 32), 100, np.uint8)) is None
    noise = np.random.default_rng(0).integers(0, 256, (64, 64)).astype(np.uint8)
    assert full_range_window(noise) is None


def test_what_is_said_to_be_a_ct_is_believed(ct, mr):
    assert automatic_window(picture(ct, "CT")) == full_range_window(ct)
    assert automatic_window(picture(ct)) == Window(0, 255)


@pytest.mark.row("picture-full-range")
def test_a_picture_that_is_known_as_a_ct_gets_contrast_and_its_liver_is_found(ct):
    shown = session(picture(ct))
    assert shown.window == full_range_window(ct)
    assert shown.choices["window_because"] == "contrast"
    liver = shown.segment(Prompt("liver", ("liver",)))
    assert score(liver.mask[0], samples.abdomen_organs("CT")["liver"], (1.0, 1.0)).dice > 0.85
    assert not shown.segment(Prompt("brain", ("brain",))).found


@pytest.mark.parametrize(
    ("settings", "because"), [(Settings(window=Window(0, 255)), "asked"), (Settings(saliency="dense"), "automatic")]
)
def test_nobody_is_overruled_and_without_a_second_look_nothing_is_guessed(ct, settings, because):
    shown = session(picture(ct), settings)
    assert (shown.window, shown.choices["window_because"]) == (Window(0, 255), because)


def test_an_mr_is_shown_as_it_is(mr):
    shown = session(picture(mr, mm=samples.ABDOMEN_MR_MM))
    assert (shown.window, shown.choices["window_because"]) == (Window(0, 255), "automatic")
