"""What tests of the engine share."""

from __future__ import annotations

import numpy as np
import pytest

from MedCLIPSAMLib.engine.volume import Volume

from .bars import two_bars


@pytest.fixture
def scene() -> tuple[Volume, np.ndarray, np.ndarray]:
    """As `two_bars`."""
    return two_bars()
