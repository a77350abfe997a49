"""What every refusal of a file has."""

from __future__ import annotations

from pathlib import Path

import pytest
import slicer

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.scene.volumes import read_volume


def refused(path: Path, said: str) -> None:
    """Reading ends in one sentence that names the file and says what is wrong; the scene is as it was."""
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    with pytest.raises(InputError, match=said) as raised:
        read_volume(path)
    message = str(raised.value)
    assert str(path) in message
    assert message.endswith(".")
    assert "\n" not in message
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes
