"""Compressed frames and their transfer syntaxes mean the same under pydicom 2.4 and 3."""

from __future__ import annotations

import pytest
from pydicom import encaps
from pydicom.encaps import encapsulate

from MedCLIPSAMLib.scene.dicom.compat import JPEGLossless, frames

FRAMES = [b"\1\2\3\4", b"\5\6", b"\7\10\11\12"]


@pytest.fixture(params=["as installed", "as in pydicom 2.4"])
def pydicom(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "as in pydicom 2.4":
        monkeypatch.delattr(encaps, "generate_frames", raising=False)


@pytest.mark.filterwarnings("ignore:.*generate_pixel_data_frame.*:DeprecationWarning")
@pytest.mark.parametrize("has_table", [True, False])
def test_frames_come_one_by_one(pydicom, has_table):
    assert list(frames(encapsulate(FRAMES, has_bot=has_table), len(FRAMES))) == FRAMES


@pytest.mark.filterwarnings("ignore:.*generate_pixel_data_frame.*:DeprecationWarning")
def test_the_fragments_of_a_single_frame_are_joined(pydicom):
    data = encapsulate([b"".join(FRAMES)], fragments_per_frame=5, has_bot=False)
    assert list(frames(data, 1)) == [b"".join(FRAMES)]


def test_lossless_jpeg_is_that_of_the_standard():
    """PS3.6 A-1: process 14; first-order prediction, which pydicom 2.4 calls so, is another."""
    assert JPEGLossless == "1.2.840.10008.1.2.4.57"
    assert "Process 14" in JPEGLossless.name
    assert "First-Order" not in JPEGLossless.name
