"""Pictures of the chain on slices, drawn by matplotlib in true proportions."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

if TYPE_CHECKING:
    from ..engine.session.evidence import SliceEvidence
    from ..engine.session.session import Session

_TILE_INCHES = 3.0
_LINE, _GAP = 0.3, 0.08  # inches
_DPI = 130
_COLUMNS = 4
_HEAT, _BOX, _MASK = "inferno", "deepskyblue", "lime"


@dataclass(frozen=True)
class SlicePicture:
    """What is known of one slice of H x W pixels.

    Attributes:
        image: (H, W) uint8.
        heat: (H, W) 0 to 1; None where nothing was looked for.
        boxes: (B, 4) x0, y0, x1, y1 in pixels, x1 and y1 one past the last.
        mask: (H, W) bool.
        spacing: (row, column) mm.
        title: a line above the picture.
    """

    image: np.ndarray
    heat: np.ndarray | None
    boxes: np.ndarray
    mask: np.ndarray
    spacing: tuple[float, float]
    title: str

    @classmethod
    def of(cls, session: Session, seen: SliceEvidence, title: str) -> SlicePicture:
        """What a preview of ``session`` gave."""
        stack = session.stack
        grey = session.window.to_uint8(stack.array[seen.index])
        return cls(grey, seen.heat_map(), seen.boxes, seen.mask, stack.spacing[1:], title)


def draw_panels(pictures: Sequence[SlicePicture], path: Path | IO[bytes]) -> None:
    """A row for each picture: slice, heat map, boxes, mask; to a PNG file."""
    layers: list[tuple[str, Callable[[Axes, SlicePicture], None]]] = [
        ("slice", lambda axes, picture: None),
        ("heat map", _draw_heat),
        ("box", _draw_boxes),
        ("mask", _draw_mask),
    ]
    figure, grid = _tiles(len(pictures), len(layers), pictures[0])
    for row, picture in zip(grid, pictures, strict=True):
        for axes, (name, draw) in zip(row, layers, strict=True):
            _draw_image(axes, picture, picture.title if name == "slice" else name)
            draw(axes, picture)
    _save(figure, path)


def draw_overview(title: str, pictures: Sequence[SlicePicture], path: Path) -> None:
    """All pictures side by side, each with heat map, boxes and mask in one; to a PNG file."""
    columns = min(_COLUMNS, len(pictures))
    figure, grid = _tiles(-(-len(pictures) // columns), columns, pictures[0], _LINE)
    figure.suptitle(_short(title, 100), fontsize=11)
    for axes, picture in zip(grid.flat, pictures, strict=False):
        _draw_image(axes, picture, picture.title)
        for draw in (_draw_heat, _draw_boxes, _draw_mask):
            draw(axes, picture)
    _save(figure, path)


def draw_scores(
    title: str,
    slices: Sequence[int],
    scores: Sequence[float],
    marked: Sequence[bool],
    levels: Sequence[float],
    meaning: str,
    path: Path,
) -> None:
    """Score of each slice along the axis; to a PNG file.

    Args:
        marked: slices that are shown in colour, which has a ``meaning``.
        levels: scores from which a slice is found by itself, and beside one that is; none if nothing depended on them.
    """
    figure = Figure(figsize=(8, 3), layout="constrained")
    axes = figure.add_subplot(title=_short(title, 90), xlabel="slice", ylabel="score", ylim=(0, 1.02))
    axes.fill_between(slices, 0, 1, where=list(marked), step="mid", color=_MASK, alpha=0.25, linewidth=0, label=meaning)
    axes.plot(slices, scores, color="black", marker=".", linewidth=1)
    for level, style in zip(levels, ("--", ":"), strict=False):
        axes.axhline(level, color="grey", linestyle=style, linewidth=1)
    axes.margins(x=0.01)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if any(marked):
        axes.legend(loc="upper right")
    _save(figure, path)


def _tiles(rows: int, columns: int, picture: SlicePicture, above: float = 0.0) -> tuple[Figure, np.ndarray]:
    """A figure of equal tiles in the proportions of a picture, empty ones blank, and its axes (rows, columns).

    A line of text fits above each tile. Placed by hand: a layout engine would draw everything twice.

    Args:
        above: inches that stay free above all.
    """
    height, width = np.array(picture.image.shape) * picture.spacing
    tile = _TILE_INCHES * np.array([width, height]) / max(width, height)
    tile = np.maximum(tile, _TILE_INCHES / 3)  # room for the title of a very narrow slice
    width, height = columns * (tile[0] + _GAP), rows * (tile[1] + _LINE) + above
    figure = Figure(figsize=(width, height), dpi=_DPI)
    grid = np.empty((rows, columns), object)
    for row, column in np.ndindex(rows, columns):
        left, bottom = column * (tile[0] + _GAP) + _GAP / 2, (rows - 1 - row) * (tile[1] + _LINE) + _GAP / 2
        place = (left / width, bottom / height, tile[0] / width, tile[1] / height)
        axes = grid[row, column] = figure.add_axes(place)
        axes.set_axis_off()
    return figure, grid


def _draw_image(axes: Axes, picture: SlicePicture, title: str) -> None:
    axes.imshow(picture.image, cmap="gray", vmin=0, vmax=255, aspect=picture.spacing[0] / picture.spacing[1])
    axes.autoscale(False)  # what is drawn on the image does not change what is seen of it
    axes.set_title(_short(title, 44), fontsize=8)


def _draw_heat(axes: Axes, picture: SlicePicture) -> None:
    if picture.heat is not None:
        axes.imshow(picture.heat, cmap=_HEAT, vmin=0, vmax=1, alpha=0.7 * picture.heat, aspect=axes.get_aspect())


def _draw_boxes(axes: Axes, picture: SlicePicture) -> None:
    for x0, y0, x1, y1 in picture.boxes:
        corner = (x0 - 0.5, y0 - 0.5)  # a pixel reaches half a pixel around its centre
        axes.add_patch(Rectangle(corner, x1 - x0, y1 - y0, fill=False, edgecolor=_BOX, linewidth=1.2))


def _draw_mask(axes: Axes, picture: SlicePicture) -> None:
    if picture.mask.any():
        axes.contour(np.pad(picture.mask, 1), [0.5], colors=_MASK, linewidths=1.2, extent=_padded(picture))


def _padded(picture: SlicePicture) -> tuple[float, float, float, float]:
    """Where the centres of the outermost pixels are after a margin of one pixel."""
    height, width = picture.mask.shape
    return (-1, width, -1, height)


def _short(text: str, width: int) -> str:
    return textwrap.shorten(text, width, placeholder="...")


def _save(figure: Figure, path: Path | IO[bytes]) -> None:
    # A "$" in a prompt is no formula, and of a letter that the font lacks the user sees enough in the picture.
    with matplotlib.rc_context({"text.parse_math": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")
        # A tenth larger than with the usual level, and written in a third of the time.
        figure.savefig(path, format="png", pil_kwargs={"compress_level": 3})
