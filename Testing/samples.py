"""Real images that the tests carry with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def abdomen_slice() -> np.ndarray:
    """(H, W) int16 Hounsfield units of an axial slice through the liver, in pixels of 3 mm."""
    with np.load(Path(__file__).parent / "data" / "abdomen_slice.npz") as stored:
        return stored["hounsfield"]
