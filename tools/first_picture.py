"""The README's first picture: many organs of a CT of the abdomen, found by their names, on slices and in 3D.

`python tools/first_picture.py CT.nii.gz` in the repository, with MedCLIPSAM on the path; the file `segment` would give
is drawn, nothing is corrected.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import numpy as np
import typer
from PIL import Image, ImageColor, ImageDraw, ImageFont
from rich.console import Console

from MedCLIPSAMLib.cli.chain import open_session, read_source, run_prompts
from MedCLIPSAMLib.cli.progress import Stopwatch
from MedCLIPSAMLib.cli.request import read_prompts, read_settings

ORGANS = (
    "liver",
    "spleen",
    "left kidney",
    "right kidney",
    "stomach",
    "pancreas",
    "aorta",
    "inferior vena cava",
    "vertebra",
    "back muscle",
    "brain",  # is not there
)
_SIZE, _LINE = 420, 26
# Of 3D Slicer's own colours of organs, many are pale or alike.
_COLOURS = (
    "#d1495b", "#7b4fb5", "#2e86ab", "#1fa187", "#e98a15",
    "#f2c14e", "#e4002b", "#0057ff", "#2bb500", "#b5651d",
)  # fmt: skip
_SHOWN = (0.3, 0.55)  # parts of the way along the axis


def main(
    ct: Path, out: Annotated[Path, typer.Option(help="PNG file to write.")] = Path("Resources/organs.png")
) -> None:
    """Segments ``ct`` by the words above and draws what was found."""
    watch, console = Stopwatch(Console(stderr=True)), Console(stderr=True)
    prompts, settings = read_prompts(ORGANS, None, None, None), read_settings(axis="auto", window=None)
    source = read_source(ct, "CT", watch)
    session = open_session(source, prompts, "quickstart", "lite-medsam", "auto", settings, watch)
    outcome = run_prompts(session, source, prompts, range(len(session.stack)), console, watch)
    if outcome.failure is not None:
        raise outcome.failure
    from MedCLIPSAMLib.scene.views.render import render_3d, render_slices

    node, last = outcome.segmentation_node, len(session.stack) - 1
    for result, colour in zip(outcome.results, _COLOURS, strict=False):
        red, green, blue = (part / 255 for part in ImageColor.getrgb(colour)[:3])
        node.GetSegmentation().GetSegment(result.segment_id).SetColor(red, green, blue)
    with TemporaryDirectory() as folder:
        slices = render_slices(
            source.node, node, "axial", [round(part * last) for part in _SHOWN], Path(folder) / "a.png", size=_SIZE
        )
        solid = render_3d(node, Path(folder) / "b.png", size=_SIZE)
        pictures = [np.asarray(Image.open(path).convert("RGB")) for path in (slices, solid)]
    height = min(picture.shape[0] for picture in pictures)
    picture = Image.fromarray(np.concatenate([picture[:height] for picture in pictures], 1))
    page = Image.new("RGB", (picture.width, picture.height + _LINE), "white")
    page.paste(picture, (0, 0))
    _write_legend(page, node, outcome.results)
    page.save(out, optimize=True)
    for result in outcome.results:
        console.print(f"{result.prompt.name}: {result.verdict}")


def _write_legend(page: Image.Image, node: object, results: list) -> None:
    """Under the picture: the words in the colours of their segments, and what was not found in grey."""
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(13)
    texts = [(f"{each.prompt.name}{'' if each.found else ': not found'}", each) for each in results]
    widths = [draw.textlength(text, font) for text, _ in texts]
    gap = (page.width - sum(widths)) / (len(texts) + 1)
    x = gap
    for (text, each), width in zip(texts, widths, strict=True):
        segment = node.GetSegmentation().GetSegment(each.segment_id)  # type: ignore[attr-defined]
        colour = tuple(round(200 * part) for part in segment.GetColor()) if each.found else (120, 120, 120)
        draw.text((x, page.height - _LINE + 5), text, fill=colour, font=font)
        x += width + gap


if __name__ == "__main__":
    typer.run(main)
