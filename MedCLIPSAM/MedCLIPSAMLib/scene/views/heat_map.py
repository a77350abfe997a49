"""The saliency map of one slice in colour over the slice views."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...engine.errors import InputError
from ...engine.volume import SliceStack
from .foreground import Foreground
from .slice_views import check_index, slice_to_node

_COLDEST = 0.05  # what is below is not drawn
_RAMP = np.linspace(0, 2, 256)
# Black to red to yellow: slice views draw no colour half transparent, and what is dark stands out least.
_COLOURS = np.column_stack([_RAMP, _RAMP - 1, np.zeros_like(_RAMP)]).clip(0, 1)


class HeatMap(Foreground):
    """A temporary volume of one slice in the foreground of all slice views; hidden at first."""

    def __init__(self) -> None:
        super().__init__("Heat map", _COLOURS, _COLDEST, 1)

    def show(self, volume_node: Any, stack: SliceStack, index: int, heat: np.ndarray, opacity: float) -> None:
        """Show `heat` on slice `index`, in place of what is shown already.

        Args:
            volume_node: the volume of `stack`; the map is put under the same transform.
            heat: (H, W) from 0 to 1, a value for each pixel of the slice; below 0.05 nothing is drawn.
            opacity: 0 to 1.

        Raises:
            InputError: there is no such slice, or `heat` has another shape than the slice.
        """
        check_index(stack, index)
        shape = stack.array.shape[1:]
        if heat.shape != shape:
            raise InputError(f"The map has the shape {heat.shape} and the slice {shape}; make it of that slice.")
        self.put(volume_node, _ijk_to_ras(stack, volume_node, index), heat[None].astype(np.float32), opacity)


def _ijk_to_ras(stack: SliceStack, volume_node: Any, index: int) -> np.ndarray:
    """(4, 4): i, j and k of the map are column, row and slice; its only slice is `index`."""
    matrix = slice_to_node(stack, volume_node)
    first_pixel = matrix @ (index, 0, 0, 1)
    return np.column_stack([matrix[:, 2], matrix[:, 1], matrix[:, 0], first_pixel])
