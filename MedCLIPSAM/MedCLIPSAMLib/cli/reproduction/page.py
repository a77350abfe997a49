"""The table as a page that opens without a network, as commas, and as JSON."""

from __future__ import annotations

import base64
import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path

from ..comparison.page import html_page
from .bootstrap import DRAWS
from .ledger import ONE, OWN
from .published import Publication
from .summary import Row

COLUMNS = ("", "Prompt", "Images", "People", "Nothing drawn", "DSC (%)", "NSD (%)", "NSD of outlines (%)")  # of `cells`


@dataclass(frozen=True)
class Section:
    """A set on the page.

    Attributes:
        remarks: sentences on its pictures and prompts.
        pictures: way -> PNG file of the best, the middle and the worst case.
    """

    title: str
    published_dsc: float
    rows: Sequence[Row]
    remarks: Sequence[str]
    pictures: Mapping[str, bytes]


def write_page(sections: Sequence[Section], about: Sequence[str], publication: Publication, path: Path) -> None:
    """The page; ``about`` are sentences on how the chain was run."""
    parts = [_list(about)]
    for section in sections:
        parts.append(f"<h2>{escape(section.title)}</h2>{_list(section.remarks)}{_table(section)}")
        for way, png in section.pictures.items():
            code = base64.b64encode(png).decode("ascii")
            alt = f"{section.title}, {way}: best, middle and worst case"
            parts.append(
                f'<h3>{escape(way)}</h3><img alt="{escape(alt, quote=True)}" src="data:image/png;base64,{code}">'
            )
    parts.append(f"<h2>What the numbers mean</h2>{_list(_meaning(publication))}")
    path.write_text(html_page("The tables of MedCLIP-SAMv2, run again", "".join(parts)), encoding="utf-8")


def write_table(rows: Sequence[Row], path: Path) -> None:
    """The rows as commas; an interval is two columns."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(_flat(rows[0])))
        table.writeheader()
        table.writerows(map(_flat, rows))


def cells(row: Row) -> tuple[str, ...]:
    """What a table shows of a row, in the order of `COLUMNS`."""
    return (
        row.way,
        row.prompt,
        str(row.images),
        "" if row.people is None else str(row.people),
        str(row.not_found),
        _number(row.dsc, row.dsc_interval),
        _number(row.nsd, row.nsd_interval),
        _number(row.outline_nsd, row.outline_nsd_interval),
    )


def _meaning(publication: Publication) -> tuple[str, ...]:
    return (
        "DSC is the Dice of a picture, NSD its normalised surface distance, both averaged over pictures, as published."
        f" NSD counts in pixels, with a tolerance of {publication.tolerance_px:g}, and takes a picture for a slice one"
        " pixel thick, whose two faces count as surface: it is much nearer to the Dice than the NSD of outlines beside"
        " it, and mostly much higher.",
        "In the pictures, the outline of the set's mask is orange, what was drawn is green.",
        f"In 95 % of {DRAWS} bootstrap samples of the people, or of the pictures where names tell no people, the mean"
        " lies in the interval. It says nothing about pictures of another source.",
        "A picture on which nothing is drawn counts with a DSC and an NSD of 0 where there is something to find.",
        f"The published numbers ({publication.paper}) are zero-shot, with the authors' weights,"
        f" {publication.segmenter}, and “{OWN}”: written for each picture, and telling its type of tumour. “{ONE}”, the"
        " same for all, is nearer to what is known before a picture is read.",
        "Published NSD and weakly supervised numbers are not in the authors' repository, and so not here.",
        f"Settings of the sets were read in {publication.repository} at {publication.commit}.",
    )


def _table(section: Section) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in COLUMNS)
    published = ("published, zero-shot", "", "", "", "", f"{section.published_dsc:.2f}", "", "")
    lines = [published, *map(cells, section.rows)]
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in line) + "</tr>" for line in lines)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _list(sentences: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences) + "</ul>"


def _flat(row: Row) -> dict[str, object]:
    fields = asdict(row)
    for name in ("dsc", "nsd", "outline_nsd"):
        low, high = fields.pop(f"{name}_interval") or (None, None)
        fields |= {f"{name}_low": low, f"{name}_high": high}
    return fields


def _number(value: float | None, interval: tuple[float, float] | None) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if interval is None else f"{value:.2f} ({interval[0]:.1f} to {interval[1]:.1f})"
