"""A comparison as one page that opens without a network, and as a table of commas."""

from __future__ import annotations

import base64
import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from ..pictures import SlicePicture, draw_panels

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em; color: #222; }
table { border-collapse: collapse; margin: 1em 0; }
td, th { border-bottom: 1px solid #ccc; padding: .3em .8em; text-align: right; }
td:first-child, th:first-child, td:nth-child(2), th:nth-child(2) { text-align: left; }
img { max-width: 100%; }
@media (prefers-color-scheme: dark) { body { background: #1c1c1c; color: #ddd; } td, th { border-color: #444; } }
"""


@dataclass(frozen=True)
class Compared:
    """What one contender makes of one prompt.

    Attributes:
        contender: model and method, as named.
        prompt: its name; told: "found", "not found" or "presence not judged".
        score: presence in 0..1; NaN where it was not judged.
        saliency_s, mask_s: seconds; memory_mib: that the process needed more.
        hit, auc, dice: against labels, see `judging`; None without any on the slice.
        picture: the slice with map, boxes and mask.
    """

    contender: str
    prompt: str
    told: str
    score: float
    saliency_s: float
    mask_s: float
    memory_mib: float
    hit: bool | None
    auc: float | None
    dice: float | None
    picture: SlicePicture

    @property
    def row(self) -> dict[str, str]:
        """Column -> text."""
        row = {
            "with": self.contender,
            "prompt": self.prompt,
            "presence": self.told,
            "score": _number(self.score),
            "saliency (s)": _number(self.saliency_s),
            "mask (s)": _number(self.mask_s),
            "memory (MiB)": f"{self.memory_mib:.0f}",
        }
        if self.auc is not None:
            row |= {"peak inside": "yes" if self.hit else "no", "AUC of the map": _number(self.auc)}
            row["Dice"] = _number(self.dice)
        return row


def write_page(title: str, found: Sequence[Compared], path: Path) -> None:
    """The page: a table, and a row of pictures for each."""
    columns = list(dict.fromkeys(column for each in found for column in each.row))
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(each.row.get(column, '-'))}</td>" for column in columns) + "</tr>"
        for each in found
    )
    pictures = "".join(
        f"<h2>{escape(each.contender)}: {escape(each.prompt)}</h2>"
        f'<img alt="slice, map, boxes, mask" src="data:image/png;base64,{_png(each.picture)}">'
        for each in found
    )
    body = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{pictures}"
    path.write_text(html_page(title, body), encoding="utf-8")


def html_page(title: str, body: str) -> str:
    """A whole page in the colours that the reader likes; ``title`` is text, ``body`` is HTML."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>{body}</body></html>\n"
    )


def write_table(found: Sequence[Compared], path: Path) -> None:
    """The rows of the page's table."""
    columns = list(dict.fromkeys(column for each in found for column in each.row))
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, columns, restval="")
        table.writeheader()
        table.writerows(each.row for each in found)


def _png(picture: SlicePicture) -> str:
    file = io.BytesIO()
    draw_panels([picture], file)
    return base64.b64encode(file.getvalue()).decode("ascii")


def _number(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.3f}"
