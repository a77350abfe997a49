"""`medclipsam evaluate`: how well a segmentation agrees with a label map."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from .. import options
from ..console import stderr, stdout
from ..progress import Stopwatch
from ..report import as_json

if TYPE_CHECKING:
    from ...engine.evaluate import Evaluation


def evaluate(
    segmentation: Annotated[
        Path,
        typer.Argument(metavar="SEG", help="Segmentation to judge: .seg.nrrd, or a label map such as .nii.gz."),
    ],
    labels: Annotated[Path, typer.Argument(metavar="LABELS", help="Reference: a label map.")],
    names: Annotated[
        Path,
        typer.Option("--names", metavar="FILE", help='JSON names of the labels, as in {"1": "spleen"}.'),
    ],
    json: options.JsonOption = False,
) -> None:
    """Compare segments with the labels of the same name: Dice, normalised surface distance, Hausdorff 95.

    Segments are brought to the grid of the labels by nearest neighbour.
    """
    watch = Stopwatch(stderr())
    with watch.stage("reading", "Reading"):
        from ...engine.evaluate import TOLERANCE_MM
        from ...engine.evaluate import evaluate as compare
        from ...scene.host import start
        from ...scene.volumes import volume_from_node
        from ..labels import read_labels, read_names, read_segments

        named = read_names(names)
        start()
        node, reference = read_labels(labels)
        segments = read_segments(segmentation, node, named)
    with watch.stage("comparing", "Comparing"):
        evaluation = compare(segments, reference, named, volume_from_node(node).spacing)
    if json:
        account = {
            "segmentation": str(segmentation),
            "labels": str(labels),
            "tolerance_mm": TOLERANCE_MM,
            "segments": {name: scores.to_dict() for name, scores in evaluation.scores.items()},
            "unmatched": list(evaluation.unmatched),
        }
        print(as_json(account), end="")
    else:
        stdout().print(_table(evaluation, TOLERANCE_MM))


def _table(evaluation: Evaluation, tolerance: float) -> Table:
    table = Table("Segment")
    for title in ("Dice", f"Surface distance, normalised at {tolerance:g} mm", "Hausdorff 95 (mm)"):
        table.add_column(title, justify="right")
    for name, scores in evaluation.scores.items():
        values = (scores.dice, scores.surface_dice, scores.hausdorff95)
        formats = ("{:.3f}", "{:.3f}", "{:.1f}")
        table.add_row(
            Text(name),
            *("-" if value != value else form.format(value) for form, value in zip(formats, values, strict=True)),
        )
    for name in evaluation.unmatched:
        table.add_row(Text(name), "no label of this name", "", "")
    return table
