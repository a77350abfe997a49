"""One volume out of DICOM files: which series, which of its volumes, which slices in which order."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.uid import UID, SecondaryCaptureImageStorage

from ...engine.errors import InputError
from ..files.frames import frame_remark
from .choosing import Choice, choose, count_of
from .folder import is_localizer, without_copies
from .frames import Frame, frames_of
from .headers import number_of, printable, value_of, words_of
from .images import READ_BY_GDCM, Image, is_whole
from .places import Grid, grid_of
from .slices import Slice, slices_of

_COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
_STACKED = ("CT", "MR", "PT")  # modalities whose images are slices


@dataclass(frozen=True)
class Series:
    """A volume of a series.

    Attributes:
        slices: in the order of their positions, so that IJK is right-handed.
        grid: where they are.
        series: its number and description.
        name: the same, as 3D Slicer names such a volume, with the number of the frame.
        modality: the DICOM modality, such as "CT" or "MR".
        is_colour: its pixels are stored as colours, which may be grey.
        frame: its number from 1, of how many at one place, and what is said of it; None where it is the only one.
        remarks: sentences on what was chosen or left out.
    """

    slices: tuple[Slice, ...]
    grid: Grid
    series: str
    name: str
    modality: str
    is_colour: bool
    frame: tuple[int, int, str] | None
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class Pictures:
    """Images that are no slices of anything, such as X-rays.

    Attributes:
        files: of a series, or the one that was given.
        name: as of a `Series`.
    """

    files: tuple[Path, ...]
    name: str


def find_series(path: Path, chosen: str | None = None, frame: int | None = None) -> Series | Pictures:
    """One volume of the folder `path`, or of the series that the DICOM file `path` belongs to.

    Where the folder itself has no stack of slices, as exports for a disc, those of the folders in it count. Of several
    series the only one that may be a volume is taken; files that are no images (reports, structure sets,
    segmentations, other files), and second copies of a slice, are passed over.

    Args:
        chosen: number, or part of the description, of the series.
        frame: which of several volumes at one place, from 1; None is the first.

    Returns:
        The volume; or what is none, but pictures.

    Raises:
        InputError: no image series, several of them, or one that is no stack of scalar slices.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, of what is raised here where it matters
        choice = choose(path, chosen)
        return _volume(path, choice, frame)


def _volume(source: Path, choice: Choice, frame: int | None) -> Series | Pictures:
    series, remarks = choice.series, list(choice.remarks)
    what = f"The series {series.name} in {source}"
    images = without_copies(series.images)
    _check(what, images)
    slices = [slice_ for image in images for slice_ in slices_of(image)]
    if not any(slice_.has_place for slice_ in slices):
        return _pictures(what, source, series.name, images)
    choice.contents.check(series)
    if not all(_may_be_grey(image) for image in images):
        raise InputError(f"{what} has colour pixels; give a series of grey-scale images.")
    planned = [image for image in images if not is_localizer(image)]
    if planned and len(planned) < len(images):
        left = len(images) - len(planned)
        remarks.append(f"{count_of(left)} of {series.name}, made to plan it, {'is' if left == 1 else 'are'} left out.")
        slices = [slice_ for slice_ in slices if slice_.image in planned]
    _check_stack(what, slices)
    volumes = frames_of(what, slices)
    number = _frame(what, volumes, frame)
    volume = volumes[number - 1]
    grid = grid_of(what, volume.slices)
    remarks += _said(series.name, volumes, number, grid, frame)
    return Series(
        tuple(volume.slices[index] for index in grid.order),
        grid,
        series.name,
        series.name if len(volumes) == 1 else f"{series.name}, frame {number}",
        series.modality,
        not all(_is_grey(image) for image in images),
        None if len(volumes) == 1 else (number, len(volumes), volume.what),
        tuple(remarks),
    )


def _check(what: str, images: Sequence[Image]) -> None:
    """Refuse what GDCM would read as something else, or die of."""
    if others := [UID(image.syntax).name for image in images if image.syntax not in READ_BY_GDCM]:
        raise InputError(
            f"{what} is compressed in a way that is not read ({printable(others[0])}); save it uncompressed."
        )
    if damaged := [image.file for image in images if not is_whole(image)]:
        raise InputError(f"{damaged[0]} is damaged or cut off; copy it again, or take it out of the folder.")
    if any("MOSAIC" in words_of(image.header, "ImageType") for image in images):
        raise InputError(f"{what} has mosaics, whole volumes as one picture each; convert it by dcm2niix.")


def _is_grey(image: Image) -> bool:
    kind = value_of(image.header, "PhotometricInterpretation") or "MONOCHROME2"
    return number_of(image.header, "SamplesPerPixel", 1) == 1 and kind in ("MONOCHROME1", "MONOCHROME2")


def _may_be_grey(image: Image) -> bool:
    kind, samples = value_of(image.header, "PhotometricInterpretation"), number_of(image.header, "SamplesPerPixel", 1)
    is_palette = samples == 1 and kind == "PALETTE COLOR" and "RedPaletteColorLookupTableDescriptor" in image.header
    return _is_grey(image) or is_palette or (samples == 3 and kind in _COLOURS)


def _pictures(what: str, source: Path, name: str, images: Sequence[Image]) -> Pictures:
    for image in images:
        is_screen = value_of(image.header, "SOPClassUID") == SecondaryCaptureImageStorage
        if value_of(image.header, "Modality") in _STACKED and not is_screen:
            raise InputError(f"{what} has no slice positions; give a cross-sectional series.")
    files = tuple(image.file for image in images)
    return Pictures((source,) if source in files else files, name)


def _check_stack(what: str, slices: Sequence[Slice]) -> None:
    if not all(slice_.has_place for slice_ in slices):
        raise InputError(f"{what} has no slice positions; give a cross-sectional series.")
    grids = np.array(
        [
            [
                *slice_.orientation,
                *np.nan_to_num(slice_.spacing, nan=1),
                *(number_of(slice_.image.header, tag) for tag in ("Rows", "Columns")),
            ]
            for slice_ in slices
        ]
    )
    if not np.abs(grids - grids[0]).max() <= 1e-3:
        raise InputError(f"{what} mixes slices of several directions or sizes; leave one kind there.")


def _frame(what: str, volumes: Sequence[Frame], frame: int | None) -> int:
    number = 1 if frame is None else frame
    if not 1 <= number <= len(volumes):
        count = "one volume" if len(volumes) == 1 else f"volumes 1 to {len(volumes)}"
        raise InputError(f"{what} has {count}; there is no frame {number}.")
    return number


def _said(name: str, volumes: Sequence[Frame], number: int, grid: Grid, frame: int | None) -> list[str]:
    said = []
    if len(volumes) > 1:
        said.append(frame_remark(name, number, len(volumes), what=volumes[number - 1].what, chosen=frame is not None))
    if grid.is_tilted:
        said.append(f"{name} was taken with a tilted gantry: its slices stay as they are, stacked at that angle.")
    if not grid.is_even:
        low, high = grid.distances
        said.append(
            f"The slices of {name} are {low:.2f} to {high:.2f} mm apart: they are resampled to {grid.step:.2f} mm, "
            f"{grid.count - grid.kept} of {grid.count} slices from those beside them."
        )
    return said
