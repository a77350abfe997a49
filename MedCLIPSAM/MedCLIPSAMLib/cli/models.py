"""`medclipsam models list`: what can be used on this computer, without asking the network."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table
from rich.text import Text

from ..engine.errors import MedCLIPSAMError
from .console import stderr, stdout
from .progress import Stopwatch

Row = tuple[str, str, str, str]

_OPEN_CLIP = "open_clip model"
# What each is, and how large its weights are where they do not come with the installation.
ABOUT = {
    "quickstart": ("Small CLIP of this project for CT and MR", ""),
    "FOLDER": ("BiomedCLIP, both layouts, or open_clip's", "790 MB"),
    "lite-medsam": ("LiteMedSAM, TinyViT", ""),
    "sam-vit-b": ("Segment Anything, ViT-B", "380 MB"),
    "sam-vit-l": ("Segment Anything, ViT-L", "1250 MB"),
    "sam-vit-h": ("Segment Anything, ViT-H", "2570 MB"),
    "medsam-vit-b": ("MedSAM, ViT-B", "380 MB"),
}


def list_models() -> None:
    """List the models for --clip and --sam: what each is, its size, and whether it is here."""
    with Stopwatch(stderr()).stage("looking", "Looking for models"):
        tables = [
            _table("Image-text models: --clip", _clips()),
            _table("Segmenters: --sam", _segmenters()),
        ]
    stdout().print(*tables, sep="\n")


def _clips() -> list[Row]:
    from ..engine.clip.quickstart import WEIGHTS
    from ..engine.clip.registry import CLIPS, list_clips
    from ..engine.resources import resource

    try:
        size, state = _megabytes(resource("QuickStart") / WEIGHTS), "built in"
    except (MedCLIPSAMError, OSError):
        size, state = "", "missing"
    here = [(name, _OPEN_CLIP, "", "on this computer") for name in list_clips() if name not in CLIPS]
    return [
        ("quickstart", ABOUT["quickstart"][0], size, state),
        *here,
        ("FOLDER", *ABOUT["FOLDER"], "give its folder"),
    ]


def _segmenters() -> list[Row]:
    from ..engine.sam.registry import list_segmenters

    rows: list[Row] = []
    for name in list_segmenters():
        what, size = ABOUT[name.removesuffix(":FILE")]
        rows.append((name, what, size or _lite_medsam_size(), "give its file" if size else "built in"))
    return rows


def _table(title: str, rows: list[Row]) -> Table:
    table = Table("Name", "What it is", "Size", "State", title=title, title_justify="left", expand=True)
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _lite_medsam_size() -> str:
    from ..engine.sam.lite_medsam import weights_file

    return _megabytes(weights_file())


def _megabytes(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.0f} MB"
