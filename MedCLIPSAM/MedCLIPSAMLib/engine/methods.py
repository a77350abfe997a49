"""The saliency methods by name: where each one is, and what it goes with.

Nothing here imports PyTorch, so that a window can ask, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

# What of an image-text model a method looks into: the blocks of a vision transformer, cells of the image that are
# aligned with texts, regions to which its texts attend, or a last map of regions that makes the image's feature.
Shown = Literal["blocks", "cells", "regions", "map"]


@dataclass(frozen=True)
class Method:
    """A method in the registry.

    Attributes:
        looks_into: what the model has to show.
        place: MODULE:CLASS in `engine.saliency`, imported when asked for.
        segmenter: name in the catalogue of the only segmenter that it goes with; empty for all.
        or_into: what serves as well.
    """

    looks_into: Shown
    place: str
    segmenter: str = ""
    or_into: Shown | None = None

    def goes_with(self, shows: Sequence[str]) -> bool:
        """Whether a model that shows this can be looked into."""
        return self.looks_into in shows or self.or_into in shows


SALIENCY = {
    "m2ib": Method("blocks", "m2ib:M2IB"),
    "gradient": Method("blocks", "gradient:Gradient"),
    "dense": Method("cells", "dense:Dense"),
    "two-looks": Method("cells", "two_looks:TwoLooks", segmenter="lite-medsam"),
    "nib": Method("blocks", "nib:NIB"),
    "gradcam": Method("blocks", "cam:GradCAM", or_into="map"),
    "gradcam++": Method("blocks", "cam:GradCAMPlusPlus", or_into="map"),
    "xgradcam": Method("blocks", "cam:XGradCAM", or_into="map"),
    "layercam": Method("blocks", "cam:LayerCAM", or_into="map"),
    "scorecam": Method("blocks", "masked:ScoreCAM"),
    "gscorecam": Method("blocks", "masked:GScoreCAM"),
    "hilacam": Method("blocks", "hilacam:HilaCAM"),
    "rise": Method("blocks", "masked:Rise"),
    "naclip": Method("blocks", "corrected:NACLIP"),
    "sclip": Method("blocks", "corrected:SCLIP"),
    "clearclip": Method("blocks", "corrected:ClearCLIP"),
    "attention": Method("regions", "attention:Attention"),
}
