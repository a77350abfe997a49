"""A mask that is shown while it is made, beside the segments of the user and not among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import slicer

from ..engine.volume import SliceStack, Volume
from .geometry import ijk_to_ras
from .labelmap import empty_labelmap, labelmap_array
from .segments import create_segmentation

_OPACITY = 0.35
_SEGMENT = "live"


class LiveMask:
    """Slices of one mask in a segmentation node of its own, which no list offers and no scene file keeps."""

    def __init__(self) -> None:
        self._node: Any = None
        self._stack: Any = None  # writes into the voxels of the segment
        self._array: np.ndarray | None = None

    def begin(self, volume_node: Any, stack: SliceStack, colour: Sequence[float]) -> None:
        """Starts an empty mask for a volume, in place of the one before; ``colour`` is r, g, b in 0..1."""
        self.clear()
        node = create_segmentation(volume_node, "MedCLIP-SAM preview")
        node.SetHideFromEditors(True)
        node.SetSaveWithScene(False)
        # The node is under the transform of the volume, which the matrix of the stack contains.
        labelmap = empty_labelmap(ijk_to_ras(volume_node), stack.volume.array.shape)
        array = labelmap_array(labelmap)
        segment = slicer.vtkSegment()
        segment.SetName("preview")
        segment.SetColor(*colour)
        segment.AddRepresentation(slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName(), labelmap)
        node.GetSegmentation().AddSegment(segment, _SEGMENT)
        display = node.GetDisplayNode()
        display.SetOpacity2DFill(_OPACITY)
        display.SetVisibility3D(False)
        self._node, self._array = node, array
        self._stack = SliceStack(Volume(array, stack.volume.ijk_to_ras, "other"), stack.axis)

    def draw(self, index: int, mask: np.ndarray) -> None:
        """Puts (H, W) bool on slice ``index``; seen after `show`."""
        self._stack.array[index] = mask

    def show(self) -> None:
        """Lets the views draw what has changed."""
        if self._node is not None and self._node.GetScene() is not None:
            segment = self._node.GetSegmentation().GetSegment(_SEGMENT)
            name = slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName()
            segment.GetRepresentation(name).Modified()
            segment.Modified()

    @property
    def mask(self) -> np.ndarray | None:
        """(K, J, I) bool: what was drawn; None if nothing was begun."""
        return None if self._array is None else self._array.astype(bool)

    def clear(self) -> None:
        """Takes it out of the scene."""
        if self._node is not None and self._node.GetScene() is not None:
            slicer.mrmlScene.RemoveNode(self._node)
        self._node = self._stack = self._array = None
