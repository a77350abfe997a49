"""Uncertainty of the prompts of a run: measured after the segmentation is saved, and written as maps."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from .console import interruptible
from .progress import Bars, Stopwatch

if TYPE_CHECKING:
    from ..engine.session.session import Session
    from ..scene.run import Result
    from .chain import Source

_FEW = 3  # slices that are named
_STAGE = "uncertainty"


def write_doubts(
    session: Session,
    source: Source,
    segmentation_node: Any,
    results: Sequence[Result],
    files: Sequence[Path],
    console: Console,
    watch: Stopwatch,
) -> dict[str, dict[str, Any]]:
    """Measure and write the map of each prompt that was found.

    What was not found has no map: there is nothing that could be unsure, and a map of zeros would say that all is
    certain. A map that is there from another run goes, because it would be taken for that of this one.

    Args:
        files: of the prompts, one for each of `results`.

    Returns:
        By the name of the prompt an account that JSON can hold; "slices" has a number for each slice with the segment.

    Raises:
        Cancelled: Ctrl-C was pressed.
        InputError: a map cannot be written.
    """
    from ..scene.files.maps import save_map
    from ..scene.segmentation.segments import read_segment

    accounts: dict[str, dict[str, Any]] = {}
    start = time.perf_counter()
    with interruptible(console) as cancelled, Bars(console) as bars:
        for result, file in zip(results, files, strict=True):
            name = result.prompt.name
            if not result.found:
                file.unlink(missing_ok=True)
                continue
            bars.begin(name, len(result.slices), _STAGE)
            mask = read_segment(segmentation_node, source.node, result.segment_id)
            doubt = session.uncertainty(result.prompt, mask, result.slices, bars.report, cancelled)
            save_map(doubt.map(), source.node, file)
            bars.end("written")
            accounts[name] = {
                "file": str(file),
                **doubt.summary,
                "least_sure": doubt.least_sure(_FEW),
                "slices": {index: round(value, 4) for index, value in doubt.slices.items()},
            }
    watch.add({_STAGE: time.perf_counter() - start})
    return accounts
