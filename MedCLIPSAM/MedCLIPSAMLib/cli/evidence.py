"""Why a prompt was found or not: scores of all slices as CSV, their course along the axis, and slices."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..engine.presence.presence import HIGH, LOW
from .files import file_stem
from .pictures import SlicePicture, draw_overview, draw_scores

if TYPE_CHECKING:
    from ..engine.session.evidence import SliceSummary
    from ..engine.session.session import Session
    from ..scene.run import Result
    from .chain import Source

PICTURES = 2  # of each prompt
_SLICES = 8  # of a prompt in its overview


def write_evidence(
    session: Session,
    source: Source,
    segmentation_node: Any,
    results: Sequence[Result],
    folder: Path,
    drawn: Callable[[], None],
) -> None:
    """Write `scores.csv`, and for each prompt the pictures `NN-NAME-scores.png` and `NN-NAME-slices.png`.

    Heat maps are those of the run: no model works again.

    Args:
        drawn: told after each picture.
    """
    from ..scene.segmentation.segments import read_segment

    _write_scores(results, folder / "scores.csv")
    for number, result in enumerate(results, start=1):
        stem = file_stem(number, result.prompt.name)
        slices = result.slices
        judged = all(part.judged for part in slices)
        what = "presence" if judged else "presence not judged,"
        draw_scores(
            f"{result.prompt.name}: {what} along the {session.stack.plane} slices",
            [part.index for part in slices],
            [part.score for part in slices],
            [part.found for part in slices],
            (HIGH, LOW) if judged else (),
            "found" if judged else "mask, asked for on every slice",
            folder / f"{stem}-scores.png",
        )
        drawn()
        mask = read_segment(segmentation_node, source.node, result.segment_id)
        title = f"{result.prompt.name}: {result.verdict}"
        draw_overview(title, _pictures(session, result, mask), folder / f"{stem}-slices.png")
        drawn()


def _pictures(session: Session, result: Result, mask: np.ndarray) -> list[SlicePicture]:
    stack = session.stack
    masks = stack.arrange(mask)
    chosen = _telling(result.slices)
    return [
        SlicePicture(
            session.window.to_uint8(stack.array[part.index]),
            session.heat_map(part.index, result.prompt),
            part.boxes,
            masks[part.index],
            stack.spacing[1:],
            f"slice {part.index}: {f'{part.score:.2f}, {part.verdict}' if part.judged else part.verdict}",
        )
        for part in result.slices
        if part.index in chosen
    ]


def _telling(slices: Sequence[SliceSummary]) -> set[int]:
    """Slices spread over where the structure is; where it is not found, those with the highest scores."""
    found = [part.index for part in slices if part.found]
    if found:
        steps = np.linspace(0, len(found) - 1, min(_SLICES, len(found)))
        return {found[step] for step in np.rint(steps).astype(int)}
    best = sorted(slices, key=lambda part: part.score, reverse=True)
    return {part.index for part in best[:_SLICES]}


def _write_scores(results: Sequence[Result], path: Path) -> None:
    rows = list(_rows(results))
    columns = dict.fromkeys(column for row in rows for column in row)
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(columns), restval="")
        table.writeheader()
        table.writerows(rows)


def _rows(results: Sequence[Result]) -> Iterator[dict[str, Any]]:
    for result in results:
        for part in result.slices:
            yield {
                "prompt": result.prompt.name,
                "slice": part.index,
                "found": int(part.found) if part.judged else "not judged",
                "mask": int(part.found),
                "score": f"{part.score:.4f}",
                "boxes": "; ".join(" ".join(f"{edge:.1f}" for edge in box) for box in part.boxes),
                **{name: f"{value:.4f}" for name, value in part.clues.items()},
            }
