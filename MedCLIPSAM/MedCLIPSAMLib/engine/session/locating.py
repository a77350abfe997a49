"""From saliency to boxes: the part of a session that says where on a slice the structure is."""

from __future__ import annotations

import numpy as np

from ..localize import binarizer, bounding_boxes, keep_largest
from ..localize.continuity import without_specks
from ..machine.arrays import to_array, to_tensor
from ..presence.presence import sensed
from ..prompt.prompt import Prompt
from ..saliency import normalise
from .looking import Viewer


def each_counts(prompt: Prompt) -> bool:
    """Whether somebody asked for single parts, so that a small one is no speck: by their number or by pointing."""
    return prompt.instances is not None or any(point.positive for point in prompt.points)


class Locator:
    """Brings saliency onto the pixels of a slice, binarises it and draws boxes.

    Attributes:
        localize: name of the binarizer, where a prompt asks for none.
        stretched: the largest value of every slice counts as 1, as published, and only the largest component is
            kept if nothing else is asked for; so it is for maps that say nothing by themselves about absence.
        slicewise: every slice gets a box, as published.
    """

    def __init__(self, viewer: Viewer, localize: str, *, stretched: bool, slicewise: bool) -> None:
        binarizer(localize)  # raises InputError if there is none
        self._viewer = viewer
        self.localize = localize
        self._shape = viewer.stack.array.shape[1:]
        self.stretched = stretched
        self.slicewise = slicewise

    def binarizer_name(self, prompt: Prompt) -> str:
        """The binarizer that the prompt asks for, or else that of the session."""
        return prompt.localize or self.localize

    def heat(self, index: int, saliency: np.ndarray, prompt: Prompt) -> np.ndarray:
        """(S, S) saliency -> (H, W) float32 on the slice, in 0..1, as sensitive as the prompt asks for."""
        saliency = saliency.astype(np.float32, copy=False)
        if self.stretched:
            saliency = to_array(normalise(to_tensor(saliency)[None])[0])
        heat = self._viewer.frame.restore(saliency, self._shape)
        return self._viewer.within(index, sensed(np.clip(heat, 0, 1), prompt.sensitivity))

    def trusted(self, index: int, saliency: np.ndarray, prompt: Prompt) -> np.ndarray | None:
        """As `heat`, where that is a probability which can be merged with another; None for a stretched map."""
        return None if self.stretched else self.heat(index, saliency, prompt)

    def coarse(self, index: int, heat: np.ndarray, prompt: Prompt) -> np.ndarray:
        """(H, W) heat -> (H, W) bool: every component that the prompt may mean."""
        coarse = binarizer(self.binarizer_name(prompt))(heat, self._viewer.slice_uint8(index))
        if self.slicewise or (self.stretched and not each_counts(prompt)):
            return keep_largest(coarse, prompt.instances or 1)
        return coarse

    def boxes(self, coarse: np.ndarray, prompt: Prompt) -> np.ndarray:
        """(H, W) bool -> (B, 4) float x0, y0, x1, y1: one around all if slicewise, else one for each component."""
        if self.slicewise:
            height, width = coarse.shape
            # As published: where nothing stands out, the box is the whole slice.
            boxes = bounding_boxes(coarse) if coarse.any() else np.array([[0, 0, width - 1, height - 1]])
        else:
            boxes = bounding_boxes(coarse if each_counts(prompt) else without_specks(coarse), each=True)
        return boxes[(boxes[:, 2:] > boxes[:, :2]).all(1)].astype(float)
