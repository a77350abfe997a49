"""Which series of a folder is meant: the only one that may be a volume, or the one that is asked for."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...engine.errors import InputError
from .folder import INDEX, Contents, FoundSeries, contents_of

_SHOWN = 12  # series that a message lists


@dataclass(frozen=True)
class Choice:
    """A series, what lies beside it, and a sentence on why it was taken where nobody asked for it."""

    contents: Contents
    series: FoundSeries
    remarks: tuple[str, ...] = ()


def list_series(folder: Path) -> tuple[FoundSeries, ...]:
    """The series of a folder, or of the disc whose index a file is, in the order of their numbers.

    Raises:
        InputError: no such folder, or no DICOM files in it.
    """
    where = folder.parent if _is_index(folder) else folder
    if not where.is_dir():
        raise InputError(f"{folder} is no folder; give one with DICOM files.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's
        found = contents_of(where, deep=True).series
    if not found:
        raise InputError(f"{folder} holds no DICOM files; give the folder with the image files.")
    return found


def choose(path: Path, chosen: str | None) -> Choice:
    """The series that a path and a text mean.

    Args:
        path: a folder, the index of a disc, or a DICOM file, which stands for its series.
        chosen: number, or part of the description; None takes the only series that may be a volume.

    Raises:
        InputError: no image series, or several.
    """
    folder = path if path.is_dir() else path.parent
    is_file = path.is_file() and not _is_index(path)
    contents = contents_of(folder, deep=False if is_file else True if chosen is not None else None)
    if is_file:
        for series in contents.series:
            if any(image.file == path for image in series.images):
                return Choice(contents, series)
        damaged = next((state for file, state in contents.damaged if file == path), None)
        if damaged:
            raise InputError(f"{path} is a damaged DICOM file; copy it again.")
        raise InputError(f"{path} is no DICOM image; give a file of an image series.")
    if chosen is not None:
        return Choice(contents, _named(folder, contents.series, chosen))
    images = [series for series in contents.series if series.images]
    volumes = [series for series in images if not series.why_no_volume]
    if not images:
        if contents.damaged and not all(state == "empty" for _, state in contents.damaged):
            raise InputError(
                f"{contents.damaged[0][0]} is a damaged DICOM file; copy it again, or take it out of the folder."
            )
        raise InputError(f"{folder} holds no DICOM images; give the folder with the image files.")
    if len(volumes) == 1 or len(images) == 1:
        series = (volumes or images)[0]
        return Choice(contents, series, _passed_over(contents, series))
    raise InputError(
        f"{folder} holds {len(volumes) or len(images)} series{'' if volumes else ', none of them a volume'}: "
        f"{_accounts(volumes or images)}; choose one by --series, or give a file of it."
    )


def _named(folder: Path, found: Sequence[FoundSeries], chosen: str) -> FoundSeries:
    """The series with images that has a number, else the one whose description has a text in it."""
    images = [series for series in found if series.images]
    wanted = chosen.strip().casefold()
    fitting = [series for series in images if series.number == wanted]
    fitting = fitting or [series for series in images if wanted in series.description.casefold()]
    volumes = [series for series in fitting if not series.why_no_volume]
    if len(fitting) == 1 or len(volumes) == 1:
        return (volumes or fitting)[0]
    if fitting:
        raise InputError(
            f"{folder} holds {len(fitting)} series of {chosen!r}: {_accounts(fitting)}; give a file of one."
        )
    raise InputError(f"{folder} has no series {chosen!r}; it holds {_accounts(images) or 'no images'}.")


def _passed_over(contents: Contents, series: FoundSeries) -> tuple[str, ...]:
    others = [other for other in contents.series if other is not series and other.images]
    if not others:
        return ()
    reasons = ", ".join(f"{other.name} ({other.why_no_volume or 'not chosen'})" for other in others[:_SHOWN])
    return (f"Of {len(others) + 1} series {series.name} is read, not {reasons}.",)


def _accounts(found: Sequence[FoundSeries]) -> str:
    shown = [
        f"{series.name} ({count_of(series.count)}{f' in {series.place}' if series.place else ''})"
        for series in found[:_SHOWN]
    ]
    more = len(found) - len(shown)
    return "; ".join([*shown, *([f"{more} more"] if more else [])])


def count_of(images: int) -> str:
    """A number of images, in words."""
    return "1 image" if images == 1 else f"{images} images"


def _is_index(path: Path) -> bool:
    return path.name.upper() == INDEX and path.is_file()
