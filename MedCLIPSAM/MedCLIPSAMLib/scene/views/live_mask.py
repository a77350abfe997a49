"""A mask that is shown while it is made, beside the segments of the user and not among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import slicer

from ...engine.volume import SliceStack
from ..geometry import ijk_to_ras
from ..hidden import add_hidden_node
from ..segmentation.labelmap import empty_labelmap, labelmap_array
from ..segmentation.segments import place_segmentation

_OPACITY = 0.35
_SEGMENT = "live"


class LiveMask:
    """Slices of one mask in a segmentation node of its own, which no list offers and no scene file keeps."""

    def __init__(self) -> None:
        self._node: Any = None
        self._slices: Any = None  # (n, H, W) view of the voxels of the segment
        self._place: tuple[slice, ...] = ()  # of the voxels in the volume
        self._array: Any = None
        self._shape: tuple[int, ...] = ()
        self._first = 0

    def begin(self, volume_node: Any, stack: SliceStack, slices: range, colour: Sequence[float]) -> None:
        """Starts an empty mask for some slices of a volume, in place of the one before.

        Args:
            slices: numbers of those that will be drawn.
            colour: r, g, b in 0..1.
        """
        self.clear()
        node = add_hidden_node("vtkMRMLSegmentationNode", "MedCLIP-SAM preview")
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetSaveWithScene(False)
        place_segmentation(node, volume_node)
        corners = [[slices[0], 0, 0, 1], [slices[-1], *np.subtract(stack.array.shape[1:], 1), 1]]
        ijk = np.rint(corners @ stack.slice_to_ijk_matrix.T).astype(int)
        low, high = ijk[:, :3].min(0).tolist(), ijk[:, :3].max(0).tolist()
        # The node is under the transform of the volume, which the matrix of the stack contains.
        labelmap = empty_labelmap(ijk_to_ras(volume_node), (low[0], high[0], low[1], high[1], low[2], high[2]))
        self._array = labelmap_array(labelmap)
        self._slices = stack.arrange(self._array)
        self._place = tuple(slice(first, last + 1) for first, last in zip(low[::-1], high[::-1], strict=True))
        self._shape, self._first = stack.volume.array.shape, slices[0]
        segment = slicer.vtkSegment()
        segment.SetName("preview")
        segment.SetColor(*colour)
        segment.AddRepresentation(slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName(), labelmap)
        node.GetSegmentation().AddSegment(segment, _SEGMENT)
        display = node.GetDisplayNode()
        display.SetOpacity2DFill(_OPACITY)
        display.SetVisibility3D(False)
        self._node = node

    def draw(self, index: int, mask: np.ndarray) -> None:
        """Puts (H, W) bool on slice ``index``; seen after `show`."""
        self._slices[index - self._first] = mask

    def show(self) -> None:
        """Lets the views draw what has changed."""
        if self._node is not None and self._node.GetScene() is not None:
            segment = self._node.GetSegmentation().GetSegment(_SEGMENT)
            name = slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName()
            segment.GetRepresentation(name).Modified()
            segment.Modified()

    @property
    def mask(self) -> np.ndarray:
        """(K, J, I) bool of the whole volume: what was drawn."""
        mask = np.zeros(self._shape, bool)
        mask[self._place] = self._array
        return mask

    def clear(self) -> None:
        """Takes it out of the scene."""
        if self._node is not None and self._node.GetScene() is not None:
            slicer.mrmlScene.RemoveNode(self._node)
        self._node = self._slices = self._array = None
