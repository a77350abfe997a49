"""The voxels of a DICOM series, on the grid that its headers say."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import slicer

from ...engine.errors import InputError
from ...engine.machine.temporary import temporary_folder
from ..names import check_name
from ..remarks import add_remark, keep_choice
from ..voxels import add_to_scene, read_files, set_voxels
from .headers import number_of
from .origin import keep_origin
from .places import Grid
from .series import Series
from .single import write_frames
from .slices import FAR

MODALITY = "DICOM.Modality"  # the name 3D Slicer gives this attribute in the subject hierarchy
_ROUNDING = 2  # grey levels by which channels of one grey differ where they were stored as luminance and colour


def load_series(source: Path, series: Series) -> Any:
    """A new scalar volume node with the voxels of a series, with what is to be said of it as remarks.

    Args:
        source: what the user gave, for messages.

    Raises:
        InputError: its files cannot be read, or hold colours.
    """
    node = _read(source, series)
    array = slicer.util.arrayFromVolume(node)
    is_colour = array.ndim == 4
    voxels = _grey(source, array) if is_colour else array
    if not series.grid.is_even:
        voxels = _resampled(voxels, series.grid)
    if voxels is not array:
        node = slicer.vtkMRMLScalarVolumeNode()
        set_voxels(node, voxels)
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(series.grid.ijk_to_ras))
    add_to_scene(node, series.name, source)
    # Greys of a screen are no Hounsfield units.
    node.SetAttribute(MODALITY, "OT" if is_colour else series.modality)
    _keep_origin(node, series)
    keep_choice(node, "series", series.series)
    if series.frame is not None:
        keep_choice(node, "frame", dict(zip(("number", "of", "what"), series.frame, strict=True)))
    if not series.grid.is_even:
        keep_choice(node, "grid", "resampled from uneven distances")
    elif series.grid.is_tilted:
        keep_choice(node, "grid", "sheared, as the gantry was tilted")
    for remark in series.remarks:
        add_remark(node, remark)
    return node


def _keep_origin(node: Any, series: Series) -> None:
    row_mm, column_mm = np.linalg.norm(series.grid.ijk_to_ras[:3, 1::-1], axis=0)
    said = number_of(series.slices[0].header, "SliceThickness")
    thickness = said if 0 < said < FAR else series.grid.step
    keep_origin(node, series.slices, series.grid.places.tolist(), np.array([row_mm, column_mm]), thickness)


def _read(source: Path, series: Series) -> Any:
    has_frames = any(slice_.frame is not None for slice_ in series.slices)
    try:
        with temporary_folder() if has_frames else nullcontext(Path()) as folder:
            files = write_frames(series.slices, folder)
            for file in files:
                check_name(file)
            return read_files(
                source, files, "vtkMRMLVectorVolumeNode" if series.is_colour else "vtkMRMLScalarVolumeNode"
            )
    except OSError as error:
        raise InputError(
            f"{source} cannot be unpacked into the folder of temporary files ({error.strerror}); make room there."
        ) from None


def _grey(source: Path, colours: np.ndarray) -> np.ndarray:
    """(K, J, I) of (K, J, I, 3) whose channels are all the same: the middle one of each pixel."""
    low, high = colours.min(axis=-1), colours.max(axis=-1)
    if (high - low).max() > _ROUNDING:
        raise InputError(f"{source} has colour pixels; give a series of grey-scale images.")
    return (colours.sum(axis=-1, dtype=np.int32) - low - high).astype(colours.dtype)


def _resampled(array: np.ndarray, grid: Grid) -> np.ndarray:
    """Slices on the even grid: those that are there as they are, others between the two beside them, linearly."""
    places = np.arange(grid.count)
    after = np.clip(np.searchsorted(grid.places, places), 1, len(grid.places) - 1)
    low, high = grid.places[after - 1], grid.places[after]
    weights = np.minimum((places - low) / (high - low), 1)  # the last place may lie half a step behind the last slice
    even = np.empty((grid.count, *array.shape[1:]), array.dtype)
    for place, (index, weight) in enumerate(zip(after, weights, strict=True)):
        if weight in (0, 1):
            even[place] = array[index - 1 + int(weight)]
            continue
        values = (1 - weight) * array[index - 1] + weight * array[index]
        even[place] = np.rint(values) if array.dtype.kind in "iu" else values
    return even
