"""Where the chain is not sure of a segment, in colour over the slice views."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...engine.volume import SliceStack
from ...engine.volume.block import Block
from ..geometry import ijk_to_ras
from .foreground import Foreground

_MOST = 255  # a whole bit
_LEAST = 0.1 * _MOST  # what is below is not drawn
_RAMP = np.linspace(0, 2, 256)
# Black to cyan to white, so that nobody takes it for a heat map.
_COLOURS = np.column_stack([_RAMP - 1, _RAMP, _RAMP]).clip(0, 1)


class DoubtMap(Foreground):
    """A temporary volume of entropies in the foreground of all slice views; hidden at first."""

    def __init__(self) -> None:
        super().__init__("How sure", _COLOURS, _LEAST, _MOST)

    def show(self, volume_node: Any, bits: Block, opacity: float) -> None:
        """Show entropies in 255ths of a bit on the voxels of a volume, in place of what is shown already."""
        if not bits.array.size:
            self.hide()
            return
        corner = np.eye(4)
        corner[:3, 3] = bits.corner[::-1]
        self.put(volume_node, ijk_to_ras(volume_node) @ corner, bits.array, opacity)


def clear_slice(bits: Block, stack: SliceStack, index: int) -> None:
    """Sets slice ``index`` of a map of the volume of ``stack`` to 0."""
    last = np.add(bits.corner, bits.array.shape) - 1
    corners = [[*corner[::-1], 1] for corner in (np.array(bits.corner), last)]
    first = round(float((np.array(corners) @ np.linalg.inv(stack.slice_to_ijk_matrix)[0]).min()))
    planes = stack.arrange(bits.array)
    if 0 <= index - first < len(planes):
        planes[index - first] = 0
