"""A picture with what was found on it, pixel by pixel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from ...engine.volume import SliceStack, Window
from ..segmentation.segments import read_segment
from ..views.render import strong
from ..volumes import volume_from_node
from .saving import segment_names

_FILL = 0.3  # opacity, so that the picture below stays readable
_OUTLINE = 1 / 300  # of the longer side
_LETTERS = 1 / 30  # of the longer side, but at least as many pixels as can be read
_SMALLEST = 12
_NEAR = 0.4  # sum of the differences of r, g and b by which colours are hard to tell apart
# Those of Okabe and Ito (https://jfly.uni-koeln.de/color/), which people who see fewer colours tell apart, too.
_OTHERS = (
    (0.34, 0.71, 0.91),
    (0.0, 0.62, 0.45),
    (0.80, 0.47, 0.65),
    (0.94, 0.89, 0.26),
    (0.84, 0.37, 0.0),
    (0.0, 0.45, 0.70),
)


def write_overlay(segmentation_node: Any, volume_node: Any, window: Window, path: Path) -> None:
    """Write a PNG file of the pixels of a picture, each segment in its colour, outlined.

    Below the pixels of the picture a line has the names, where there are several segments.

    Args:
        volume_node: of one slice, see `saving.check_slices`.
        window: in which it is shown.
    """
    volume = volume_from_node(volume_node)
    stack = SliceStack(volume, "acquisition")
    grey = window.to_uint8(stack.array[0])
    image = np.repeat(grey[..., None], 3, axis=2).astype(float)
    segmentation = segmentation_node.GetSegmentation()
    ids = segmentation.GetSegmentIDs()
    colours = _apart([segmentation.GetSegment(segment_id).GetColor() for segment_id in ids])
    names = list(zip(segment_names(segmentation_node), colours, strict=True))
    for segment_id, colour in zip(ids, colours, strict=True):
        (mask,) = stack.arrange(read_segment(segmentation_node, volume_node, segment_id))
        inside = ndimage.binary_erosion(mask, iterations=max(1, round(max(mask.shape) * _OUTLINE)))
        image[mask] += _FILL * (np.array(colour) - image[mask])
        image[mask & ~inside] = colour
    drawn = np.rint(image).astype(np.uint8)
    if len(names) > 1:
        drawn = np.vstack([drawn, _legend(names, drawn.shape[1], max(drawn.shape))])
    Image.fromarray(drawn).save(path, format="PNG")


def _apart(colours: Sequence[tuple[float, float, float]]) -> list[tuple[int, ...]]:
    """Colours, r, g, b in 0..255, those that are pale or near an earlier one replaced by others."""
    taken: list[tuple[float, float, float]] = []
    for colour in colours:
        others = [strong(colour), *_OTHERS]
        free = (other for other in others if all(np.abs(np.subtract(other, one)).sum() > _NEAR for one in taken))
        taken.append(next(free, others[0]))
    return [tuple(round(255 * part) for part in colour) for colour in taken]


def _legend(names: Sequence[tuple[str, tuple[int, ...]]], width: int, side: int) -> np.ndarray:
    """(H, width, 3) uint8: each name in its colour, on black, in as many lines as it takes."""
    size = max(_SMALLEST, round(side * _LETTERS))
    font = ImageFont.load_default(size)
    places, x, y = [], 0, 0
    for name, colour in names:
        length = round(font.getlength(name)) + size
        if x and x + length > width:
            x, y = 0, y + round(1.5 * size)
        places.append(((x + size // 2, y + size // 4), name, colour))
        x += length
    legend = Image.new("RGB", (width, y + round(1.5 * size)))
    pen = ImageDraw.Draw(legend)
    for place, name, colour in places:
        pen.text(place, name, fill=colour, font=font)
    return np.asarray(legend)
