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

_FEW = 10  # terms of a model that are listed each time it does not know one

if TYPE_CHECKING:
    from ..engine.session.session import Session
    from ..scene.files.saving import Saved
    from ..scene.run import Result

# By `SliceStack.reason`.
_BECAUSE = {
    "asked": "as --axis says",
    "trained": "which the models know best",
    "thick": "as they were acquired: they are more than twice as far apart as their pixels",
    "single": "the only one there is",
}
_CONTRAST = (
    "The picture is taken for a CT that was saved with air and bone in it, and is shown with more contrast; --window"
    " 0,255 shows it as it is."
)


def make_report(
    file: Path,
    session: Session,
    results: Sequence[Result],
    saved: Saved,
    seconds: Mapping[str, float],
    reading: Mapping[str, Any],
    evidence: Sequence[Path] = (),
    doubts: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """An account of a run that JSON can hold.

    Args:
        file: the volume.
        saved: where the segmentation is, and what its files do not hold.
        seconds: by stage, of the whole run.
        reading: of the volume, see `scene.remarks.how_read`.
        evidence: other files, which belong to it.
        doubts: of `doubts.write_doubts`; None where nobody asked for uncertainty.
    """
    volume = session.stack.volume
    voxel_ml = abs(float(np.linalg.det(volume.ijk_to_ras[:3, :3]))) / 1000

    def millilitres(voxels: int) -> float | None:  # a picture has no thickness
        return None if volume.is_picture else round(voxels * voxel_ml, 3)

    prompts = []
    for result in results:
        lost = saved.lost.get(result.prompt.name, 0)
        prompts.append(
            {
                "name": result.prompt.name,
                "wordings": list(result.prompt.wordings),
                "contrast": list(result.prompt.contrast),
                "points": [{"ras": list(point.ras), "positive": point.positive} for point in result.prompt.points],
                "segment_id": result.segment_id,
                "volume_ml": millilitres(result.summary["voxels"]),
                "lost_voxels": lost,
                "lost_ml": millilitres(lost),
                **result.summary,
                **({} if doubts is None else _uncertainty(result.summary, doubts.get(result.prompt.name))),
            }
        )
    return {
        "version": __version__,
        "volume": {
            "file": str(file),
            "modality": volume.modality,
            "size_ijk": list(volume.array.shape[::-1]),
            "spacing_mm": np.round(volume.spacing, 4).tolist(),
            **reading,
        },
        "output": [str(path) for path in saved.files],
        "left_out": list(saved.left_out),
        "evidence": [str(path) for path in evidence],
        "models": {
            role: {
                "name": name,
                "sha256": checksum,
                "device": str((session.segmenter if role == "segmenter" else session.clip).device),
            }
            for role, name, checksum in session.models
        },
        "vocabulary": session.vocabulary and list(session.vocabulary),
        "settings": session.choices,
        "window": [session.window.low, session.window.high],
        "prompts": prompts,
        "seconds": {stage: round(value, 3) for stage, value in seconds.items()},
    }


def _uncertainty(summary: Mapping[str, Any], doubt: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a prompt's account has of it: None for what was not found, and for slices without the segment."""
    values = {} if doubt is None else doubt["slices"]
    return {
        "uncertainty": doubt and {name: value for name, value in doubt.items() if name != "slices"},
        "slices": [part | {"uncertainty": values.get(part["index"])} for part in summary["slices"]],
    }


def as_json(report: Mapping[str, Any]) -> str:
    """A report as text, with a line break at the end."""
    return json.dumps(report, indent=2, allow_nan=False) + "\n"


def print_results(report: Mapping[str, Any], console: Console, file: Path | None = None) -> None:
    """Tables: what was found for each prompt, how long each stage took, and where the files are.

    Args:
        file: that has the report.
    """
    table = Table("Prompt", "Found on")
    is_picture = any(prompt["volume_ml"] is None for prompt in report["prompts"])
    overlap = [prompt["name"] for prompt in report["prompts"] if prompt["lost_voxels"]]
    size, lost, unit = ("voxels", "lost_voxels", "pixels") if is_picture else ("volume_ml", "lost_ml", "ml")
    number = "{:.0f}" if is_picture else "{:.1f}"
    titles = (f"{'Area' if is_picture else 'Volume'} ({unit})", *([f"Lost ({unit})"] if overlap else []), "Seconds")
    for title in titles:
        table.add_column(title, justify="right")
    for prompt in report["prompts"]:
        where = f"{prompt['slices_with_mask']} of {prompt['slices_searched']} slices"
        if not prompt["judged"]:
            where = f"presence not judged; mask on {where}"
        elif not prompt["found"]:
            where = "not found"
        table.add_row(
            Text(prompt["name"]),
            where,
            number.format(prompt[size]),
            *([number.format(prompt[lost])] if overlap else []),
            f"{sum(prompt['seconds'].values()):.1f}",
        )
    console.print(table)
    if overlap:
        console.print(overlap_line(overlap), soft_wrap=True)
    if report["left_out"]:
        console.print(left_out_line(report["left_out"], written=bool(report["output"])), soft_wrap=True)
    unknown = [prompt["name"] for prompt in report["prompts"] if prompt["taken_for"] == ""]
    if unknown:
        console.print(unknown_line(unknown, report["models"]["clip"]["name"], report["vocabulary"]), soft_wrap=True)
    for prompt in report["prompts"]:
        if prompt["found"] and prompt["reliability"]:
            console.print(Text(f"{prompt['name']}: {prompt['reliability']}."), soft_wrap=True)
        if "uncertainty" in prompt:
            console.print(Text(least_sure_line(prompt, is_picture=is_picture)), soft_wrap=True)
    settings = report["settings"]
    console.print(Text(f"Slices: {settings['axis']}, {_BECAUSE[settings['axis_because']]}."), soft_wrap=True)
    if settings["window_because"] == "contrast":
        console.print(_CONTRAST, soft_wrap=True)
    console.print(stage_line(report["seconds"]), soft_wrap=True)
    for path in (*report["output"], *report["evidence"], *([] if file is None else [file])):
        console.print(Text(f"Written: {path}"), soft_wrap=True)


def least_sure_line(prompt: Mapping[str, Any], *, is_picture: bool) -> str:
    """Where a prompt is least sure, or why there is no map of it."""
    doubt = prompt["uncertainty"]
    if doubt is None:
        return f"{prompt['name']}: no map of uncertainty, because nothing was found."
    values = {part["index"]: part["uncertainty"] for part in prompt["slices"]}
    least = doubt["least_sure"]
    if is_picture:
        return f"{prompt['name']}: uncertainty {values[least[0]]:.2f}."
    numbers = ", ".join(f"{index} ({values[index]:.2f})" for index in least)
    return f"{prompt['name']}: least sure on {'slices' if len(least) > 1 else 'slice'} {numbers}."


def overlap_line(prompts: Sequence[str]) -> Text:
    """What a label map could not hold."""
    return Text(
        f"Warning: prompts overlap, and the label map has less of {', '.join(prompts)} than was found: "
        "where they do, it keeps the earlier prompt. --separate, or .seg.nrrd, keeps all."
    )


def left_out_line(prompts: Sequence[str], *, written: bool) -> Text:
    """What was not found, where the file cannot hold an empty segment."""
    if not written:
        return Text("No segmentation is written: nothing was found, and a file of this kind has no empty segments.")
    return Text(f"Not in the file, which has no empty segments: {', '.join(prompts)}.")


def unknown_line(prompts: Sequence[str], model: str, vocabulary: Sequence[str]) -> Text:
    """What the model was never taught, and what it was, or where that is told."""
    few = len(vocabulary) <= _FEW
    known = ", ".join(vocabulary) if few else f"{len(vocabulary)} structures, told by: medclipsam models info {model}"
    return Text(f"{model} was not trained to find {', '.join(prompts)}; it knows {known}{'.' if few else ''}")


def stage_line(seconds: Mapping[str, float]) -> Text:
    """Each stage's time, and their sum."""
    parts = [f"{stage} {value:.1f} s" for stage, value in seconds.items()]
    return Text(f"Time: {', '.join(parts)}; together {sum(seconds.values()):.1f} s")
