"""Volumes that show one frame of a sequence."""

from __future__ import annotations

from typing import Any

import slicer


def frame_of(volume_node: Any) -> tuple[int, int] | None:
    """(number, count) of the frame that a volume shows now, numbered from 0; None if it is no part of a sequence."""
    for browser in slicer.util.getNodesByClass("vtkMRMLSequenceBrowserNode"):
        sequence = browser.GetSequenceNode(volume_node)
        if sequence is not None:
            return browser.GetSelectedItemNumber(), sequence.GetNumberOfDataNodes()
    return None
