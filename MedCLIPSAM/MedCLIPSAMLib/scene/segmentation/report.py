"""How each segment was made, as a text to read and to keep."""

from __future__ import annotations

import json
from typing import Any

from .provenance import Provenance, read_provenance
from .segments import is_as_written


def report_of(segmentation_node: Any) -> str:
    """One paragraph for each segment of a segmentation node; nothing of the patient is in it."""
    segmentation = segmentation_node.GetSegmentation()
    segments = [segmentation.GetNthSegment(number) for number in range(segmentation.GetNumberOfSegments())]
    parts = [_paragraph(segment) for segment in segments]
    return "\n".join([f"Segments of {segmentation_node.GetName()}", "", *parts])


def _verdict(made: Provenance) -> str:
    if made.found is None:
        return f"presence not judged, a mask was asked for on every slice; on {made.slices_found} there is one"
    return f"on {made.slices_found} slices" if made.found else "no"


def _paragraph(segment: Any) -> str:
    name, made = segment.GetName(), read_provenance(segment)
    if made is None:
        return f"{name}\n  not made by MedCLIP-SAM, or changed beyond what it can tell\n"
    prompt = made.prompt
    searched = "none" if made.searched is None else f"{made.searched[0]} to {made.searched[1]}"
    lines = {
        "prompt": "; ".join(prompt.wordings),
        "not this": "; ".join(prompt.contrast),
        "points": len(prompt.points) or "",
        "slices searched": searched,
        "found": _verdict(made),
        "edited slices": ", ".join(map(str, made.edited)),
        "since then": "" if is_as_written(segment) else "changed by hand",
        **{model.role: f"{model.name}, SHA-256 {model.checksum}" for model in made.models},
        "settings": json.dumps(dict(made.settings), sort_keys=True),
        "version": f"MedCLIP-SAM {made.version}, {made.created}",
    }
    return "\n".join([name, *(f"  {what}: {value}" for what, value in lines.items() if value != ""), ""])
