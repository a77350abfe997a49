"""`medclipsam evaluate`: how well a segmentation agrees with a label map."""

from __future__ import annotations

import math
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
    from ...engine.evaluate import Evaluation, Scores


def evaluate(
    segmentation: Annotated[
        Path,
        typer.Argument(
            metavar="SEG", help="Segmentation to judge: .seg.nrrd, a label map such as .nii.gz, or a mask as PNG."
        ),
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
        node, reference = read_labels(labels, named)
        segments = read_segments(segmentation, node, named)
    with watch.stage("comparing", "Comparing"):
        evaluation = compare(segments, reference, named, volume_from_node(node).spacing)
    if json:
        account = {
            "segmentation": str(segmentation),
            "labels": str(labels),
            "tolerance_mm": TOLERANCE_MM,
            "segments": {
                name: {**scores.to_dict(), "both_empty": scores.both_empty}
                for name, scores in evaluation.scores.items()
            },
            "mean": evaluation.mean and evaluation.mean.to_dict(),
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
        table.add_row(Text(name), *(("both empty", "", "") if scores.both_empty else _cells(scores)))
    for name in evaluation.unmatched:
        table.add_row(Text(name), "no label of this name", "", "")
    drawn = sum(not scores.both_empty for scores in evaluation.scores.values())
    if evaluation.mean is not None and drawn > 1:
        table.add_section()
        table.add_row(f"mean of {drawn}", *_cells(evaluation.mean))
    return table


def _cells(scores: Scores) -> tuple[str, str, str]:
    distance = "-" if math.isnan(scores.hausdorff95) else f"{scores.hausdorff95:.1f}"
    return f"{scores.dice:.3f}", f"{scores.surface_dice:.3f}", distance
