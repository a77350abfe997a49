"""`medclipsam series`: what a folder of DICOM files holds, to choose from by --series."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from .. import options
from ..console import stdout

if TYPE_CHECKING:
    from ...scene.dicom.folder import FoundSeries


def series(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of a study or a disc, or its DICOMDIR.")],
    json: options.JsonOption = False,
) -> None:
    """List the DICOM series in a folder: by number for --series, and which of them may be a volume."""
    from ...scene.dicom.choosing import list_series

    found = list_series(folder)
    if json:
        print(json_format.dumps([_entry(each) for each in found], indent=2))
        return
    places = any(each.place for each in found)
    table = Table("Number", "Description", "Modality", "Images", "Volume", *(["Folder"] if places else []))
    for each in found:
        is_volume = "yes" if not each.why_no_volume else f"no: {each.why_no_volume}"
        cells = (each.number, each.description, each.modality, str(each.count), is_volume)
        table.add_row(*map(Text, (*cells, each.place) if places else cells))
    stdout().print(table)


def _entry(found: FoundSeries) -> dict[str, Any]:
    return {
        "number": found.number,
        "description": found.description,
        "modality": found.modality,
        "images": found.count,
        "volume": not found.why_no_volume,
        "because": found.why_no_volume or None,
        "folder": found.place,
    }
