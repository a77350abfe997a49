"""Why a prompt was found or not: scores of all slices as CSV, their course along the axis, and slices."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..engine.presence import HIGH, LOW
from .pictures import SlicePicture, draw_overview, draw_scores

if TYPE_CHECKING:
    from ..engine.session.evidence import SliceSummary
    from ..engine.session.session import Session
    from ..scene.run import Result
    from .chain import Source

_SLICES = 8  # of a prompt in its overview


def write_evidence(
    session: Session, source: Source, segmentation_node: Any, results: Sequence[Result], folder: Path
) -> None:
    """Write `scores.csv`, and for each prompt the pictures `NN-NAME-scores.png` and `NN-NAME-slices.png`."""
    from ..scene.segmentation.segments import read_segment

    _write_scores(results, folder / "scores.csv")
    for number, result in enumerate(results, start=1):
        stem = f"{number:02}-{re.sub(r'[^a-z0-9]+', '-', result.prompt.name.lower()).strip('-')[:40]}"
        slices = result.slices
        draw_scores(
            f"{result.prompt.name}: presence along the {session.stack.axis} axis",
            [part.index for part in slices],
            [part.score for part in slices],
            [part.found for part in slices],
            (HIGH, LOW),
            folder / f"{stem}-scores.png",
        )
        mask = read_segment(segmentation_node, source.node, result.segment_id)
        draw_overview(result.prompt.name, _pictures(session, result, mask), folder / f"{stem}-slices.png")


def _pictures(session: Session, result: Result, mask: np.ndarray) -> list[SlicePicture]:
    stack = session.stack
    masks = stack.arrange(mask)
    chosen = _telling(result.slices)
    pictures = []
    for part in result.slices:
        if part.index not in chosen:
            continue
        seen = session.preview(part.index, result.prompt)
        pictures.append(
            SlicePicture(
                session.window.to_uint8(stack.array[part.index]),
                seen.heat_map(),
                part.boxes,
                masks[part.index],
                stack.spacing[1:],
                f"slice {part.index}: {part.score:.2f}, {'found' if part.found else 'not found'}",
            )
        )
    return pictures


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
                "found": int(part.found),
                "score": f"{part.score:.4f}",
                "boxes": "; ".join(" ".join(f"{edge:.1f}" for edge in box) for box in part.boxes),
                **{name: f"{value:.4f}" for name, value in part.clues.items()},
            }
