"""A small volume with two bright bars, and a session on it with models that see grey levels."""

from __future__ import annotations

from typing import Any

import numpy as np

from MedCLIPSAMLib.engine.prompt.prompt import Prompt
from MedCLIPSAMLib.engine.session.session import Session
from MedCLIPSAMLib.engine.session.settings import Settings
from MedCLIPSAMLib.engine.volume import Volume, Window

from .fakes import GreyClip, GreySegmenter

BRIGHT = Prompt("bright", ("bright",))
WINDOW = Window(0, 255)


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def session(volume: Volume, clip: Any = None, segmenter: Any = None, **choices: Any) -> Session:
    clip, segmenter = clip or GreyClip(), segmenter or GreySegmenter()
    return Session(volume, clip, segmenter, Settings(window=WINDOW, **choices))


def two_bars(spacing: tuple[float, float, float] = (2.0, 2.0, 3.0)) -> tuple[Volume, np.ndarray, np.ndarray]:
    """A body of 80 with two bright bars on slices 5 to 14 of 20; masks of the left and right bar."""
    array = np.zeros((20, 96, 96), np.int16)
    array[:, 8:88, 8:88] = 80
    left, right = np.zeros(array.shape, bool), np.zeros(array.shape, bool)
    left[5:15, 30:60, 20:40] = True
    right[5:15, 30:60, 56:76] = True
    array[left | right] = 200
    return Volume(array, np.diag([-spacing[0], -spacing[1], spacing[2], 1.0]), "other", "bars"), left, right


def ras(volume: Volume, kji: tuple[int, int, int]) -> tuple[float, float, float]:
    r, a, s = volume.ijk_to_ras[:3] @ (kji[2], kji[1], kji[0], 1)
    return float(r), float(a), float(s)
