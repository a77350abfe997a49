"""The images of pairs as a model sees them, made once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ..engine.errors import InputError
from ..engine.session.looking import Viewer
from ..engine.volume import SliceStack, Volume
from ..scene.pictures import SUFFIXES, read_picture
from .pairs import Pair


def draw_pictures(pairs: Sequence[Pair], size: int, file: Path, done: Callable[[], None]) -> np.ndarray:
    """(P, size, size) uint8 of all pairs, in a file that memory need not hold.

    They are windowed and cropped as in `segment`, so that a model is trained on what it will be shown. Each volume is
    read once.

    Args:
        done: told after each pair.

    Raises:
        InputError: an image cannot be read, or has no such slice.
    """
    pictures = np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=(len(pairs), size, size))
    by_image: dict[Path, list[int]] = {}
    for number, pair in enumerate(pairs):
        by_image.setdefault(pair.image, []).append(number)
    for image, numbers in by_image.items():
        viewer = Viewer(SliceStack(_read(image)), None, whole=False)
        for number in numbers:
            pictures[number] = viewer.pictures([_slice_of(pairs[number], len(viewer.stack))], size)[0, ..., 0]
            done()
    pictures.flush()
    return pictures


def _read(image: Path) -> Volume:
    if image.suffix.lower() in SUFFIXES:  # which needs no 3D Slicer
        return read_picture(image).as_volume(str(image))
    from ..scene.volumes import volume_of

    return volume_of(image)


def _slice_of(pair: Pair, count: int) -> int:
    if pair.slice is None:
        if count == 1:
            return 0
        raise InputError(f"{pair.image} has {count} slices, but no slice is named; fill in the column slice, from 0.")
    if pair.slice >= count:
        raise InputError(f"{pair.image} has the slices 0 to {count - 1}, not {pair.slice}; correct the table.")
    return pair.slice
