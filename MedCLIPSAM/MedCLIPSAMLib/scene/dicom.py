"""One scalar volume out of a folder of DICOM files: which files, in which order."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.multival import MultiValue

from ..engine.errors import InputError

_TAGS = [
    "SOPClassUID",
    "SeriesInstanceUID",
    "SeriesNumber",
    "SeriesDescription",
    "Modality",
    "NumberOfFrames",
    "SamplesPerPixel",
    "Rows",
    "Columns",
    "PixelSpacing",
    "ImageOrientationPatient",
    "ImagePositionPatient",
]
# Slice positions are written with few decimals. Beyond this fraction of the slice distance it is no rounding.
_TOLERANCE = 0.02


@dataclass(frozen=True)
class Series:
    """The slices of one image series.

    Attributes:
        files: paths of the slices in the order of their positions, so that IJK is right-handed.
        name: the series number and description, as 3D Slicer names such a volume.
        modality: the DICOM modality, such as "CT" or "MR".
    """

    files: tuple[Path, ...]
    name: str
    modality: str


def find_series(path: Path) -> Series:
    """The only image series of the folder `path`, or the series that the DICOM file `path` belongs to.

    Files that are no DICOM images (reports, structure sets, segmentations, other files) are passed over.

    Raises:
        InputError: no image series, several of them, or one that is no stack of evenly spaced scalar slices.
    """
    folder = path if path.is_dir() else path.parent
    series = _by_series(folder)
    if path.is_file():
        wanted = _header(path)
        if wanted is None:
            raise InputError(f"{path} is no DICOM image; give a file of an image series.")
        return _stack(path, series[str(wanted.get("SeriesInstanceUID"))])
    if not series:
        raise InputError(f"{folder} holds no DICOM images; give the folder with the image files.")
    if len(series) > 1:
        names = "; ".join(f"{_name(images[0][1])} ({len(images)} images)" for images in series.values())
        raise InputError(f"{folder} holds {len(series)} series: {names}; give a file of the one you mean.")
    return _stack(folder, next(iter(series.values())))


_Images = list[tuple[Path, Dataset]]


def _by_series(folder: Path) -> dict[str, _Images]:
    series: dict[str, _Images] = defaultdict(list)
    for file in sorted(folder.iterdir()):
        header = _header(file) if file.is_file() else None
        if header is not None:
            series[str(header.get("SeriesInstanceUID"))].append((file, header))
    return series


def _header(file: Path) -> Dataset | None:
    """The geometry of a DICOM image, None for anything else."""
    try:
        # Some archives strip the preamble, hence force; a file of another kind then has no SOP class.
        header = dcmread(file, stop_before_pixels=True, force=True, specific_tags=_TAGS)
        is_image = "SOPClassUID" in header and "Rows" in header and header.get("Modality") != "SEG"
    except (InvalidDicomError, OSError, ValueError, NotImplementedError, KeyError, EOFError, AttributeError):
        return None
    return header if is_image else None


def _name(header: Dataset) -> str:
    number, description = _value(header, "SeriesNumber"), _value(header, "SeriesDescription") or "unnamed series"
    return f"{number}: {description}" if number is not None else str(description)


def _stack(source: Path, images: _Images) -> Series:
    first = images[0][1]
    what = f"The series {_name(first)} in {source}"
    if any(_numbers(header, "NumberOfFrames", 1)[0] > 1 for _, header in images):
        raise InputError(f"{what} is stored as multi-frame files; load it in 3D Slicer and save it as NRRD.")
    if any(_numbers(header, "SamplesPerPixel", 1)[0] > 1 for _, header in images):
        raise InputError(f"{what} has colour pixels; give a series of grey-scale images.")
    orientations, positions, spacings, rows, columns = (
        np.array([_numbers(header, tag, count) for _, header in images])
        for tag, count in (
            ("ImageOrientationPatient", 6),
            ("ImagePositionPatient", 3),
            ("PixelSpacing", 2),
            ("Rows", 1),
            ("Columns", 1),
        )
    )
    normals = np.cross(orientations[:, :3], orientations[:, 3:])
    # A direction of zeros, as some derived images have, is none either.
    if not (np.isfinite(positions).all() and (np.linalg.norm(normals, axis=1) > 0.5).all()):
        raise InputError(f"{what} has no slice positions; give a cross-sectional series.")
    grids = np.hstack([orientations, np.nan_to_num(spacings, nan=1), rows, columns])
    if not np.abs(grids - grids[0]).max() <= 1e-3:
        raise InputError(f"{what} mixes slices of several directions or sizes; leave one kind there.")
    order = _sorted(what, positions, normals[0])
    return Series(tuple(images[index][0] for index in order), _name(first), str(_value(first, "Modality") or ""))


def _value(header: Dataset, tag: str) -> Any:
    """What a tag holds; None where it is absent, empty or damaged."""
    try:
        return header.get(tag) or None
    except (TypeError, ValueError, OverflowError):  # read only now, when it is asked for
        return None


def _numbers(header: Dataset, tag: str, count: int) -> np.ndarray:
    """(count,) float64, all NaN where the tag does not hold that many numbers."""
    value = _value(header, tag)
    try:
        numbers = np.array(list(value) if isinstance(value, MultiValue) else [value], np.float64)
    except (TypeError, ValueError):
        numbers = np.empty(0)
    return numbers if numbers.shape == (count,) else np.full(count, np.nan)


def _sorted(what: str, positions: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Indices of the slices along `normal`; refuses stacks which are no even, straight grid."""
    normal = normal / np.linalg.norm(normal)
    distances = positions @ normal
    order = np.argsort(distances, kind="stable")
    if len(order) == 1:
        return order
    steps = np.diff(distances[order])
    step = float(np.median(steps))
    if steps.min() < 1e-3:
        raise InputError(f"{what} has several images at one position; leave one phase or echo in the folder.")
    if np.abs(steps - step).max() > _TOLERANCE * step:
        raise InputError(
            f"{what} has slice distances from {steps.min():.2f} to {steps.max():.2f} mm; "
            "add the missing slices or resample it to even ones."
        )
    drift = np.diff(positions[order], axis=0) - steps[:, None] * normal
    if np.linalg.norm(drift, axis=1).max() > _TOLERANCE * step:
        raise InputError(f"{what} is tilted against its slices; load it in 3D Slicer and save it as NRRD.")
    return order
