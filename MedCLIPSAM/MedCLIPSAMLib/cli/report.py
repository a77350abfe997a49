"""What a run did and found: as one JSON object, and as tables for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .. import __version__

if TYPE_CHECKING:
    from ..engine.session.session import Session
    from ..scene.run import Result


def make_report(
    file: Path,
    session: Session,
    results: Sequence[Result],
    written: Sequence[Path],
    seconds: Mapping[str, float],
) -> dict[str, Any]:
    """An account of a run that JSON can hold.

    Args:
        file: the volume.
        written: files with the segmentation.
        seconds: by stage, of the whole run.
    """
    volume = session.stack.volume
    voxel_ml = abs(float(np.linalg.det(volume.ijk_to_ras[:3, :3]))) / 1000
    prompts = []
    for result in results:
        prompts.append(
            {
                "name": result.prompt.name,
                "wordings": list(result.prompt.wordings),
                "segment_id": result.segment_id,
                "volume_ml": round(result.summary["voxels"] * voxel_ml, 3),
                **result.summary,
            }
        )
    return {
        "version": __version__,
        "volume": {
            "file": str(file),
            "modality": volume.modality,
            "size_ijk": list(volume.array.shape[::-1]),
            "spacing_mm": np.round(volume.spacing, 4).tolist(),
        },
        "output": [str(path) for path in written],
        "models": {
            role: {"name": model.name, "sha256": model.checksum, "device": str(model.device)}
            for role, model in (("clip", session.clip), ("segmenter", session.segmenter))
        },
        "vocabulary": session.clip.vocabulary and list(session.clip.vocabulary.terms),
        "settings": session.choices,
        "window": [session.window.low, session.window.high],
        "prompts": prompts,
        "seconds": {stage: round(value, 3) for stage, value in seconds.items()},
    }


def as_json(report: Mapping[str, Any]) -> str:
    """A report as text, with a line break at the end."""
    return json.dumps(report, indent=2, allow_nan=False) + "\n"


def print_results(report: Mapping[str, Any], console: Console) -> None:
    """Tables: what was found for each prompt, how long each stage took, and where the files are."""
    table = Table("Prompt", "Found on")
    for title in ("Volume (ml)", "Seconds"):
        table.add_column(title, justify="right")
    for prompt in report["prompts"]:
        found = f"{prompt['slices_found']} of {prompt['slices_searched']} slices"
        table.add_row(
            Text(prompt["name"]),
            found if prompt["found"] else "not found",
            f"{prompt['volume_ml']:.1f}",
            f"{sum(prompt['seconds'].values()):.1f}",
        )
    console.print(table)
    unknown = [prompt["name"] for prompt in report["prompts"] if prompt["taken_for"] == ""]
    if unknown:
        console.print(unknown_line(unknown, report["models"]["clip"]["name"], report["vocabulary"]), soft_wrap=True)
    console.print(stage_line(report["seconds"]), soft_wrap=True)
    for path in report["output"]:
        console.print(Text(f"Written: {path}"), soft_wrap=True)


def unknown_line(prompts: Sequence[str], model: str, vocabulary: Sequence[str]) -> Text:
    """What the model was never taught, and what it was."""
    return Text(f"{model} was not trained to find {', '.join(prompts)}; it knows {', '.join(vocabulary)}.")


def stage_line(seconds: Mapping[str, float]) -> Text:
    """Each stage's time, and their sum."""
    parts = [f"{stage} {value:.1f} s" for stage, value in seconds.items()]
    return Text(f"Time: {', '.join(parts)}; together {sum(seconds.values()):.1f} s")
