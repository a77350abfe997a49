"""What was assumed or chosen when a volume was read, kept with its node, for reports."""

from __future__ import annotations

import json
from typing import Any, Literal

Choice = Literal["series", "frame", "grid"]

_REMARKS = "MedCLIPSAM.Remarks"  # attribute of a node: a sentence on each line
_CHOICES: dict[Choice, str] = {"series": "MedCLIPSAM.Series", "frame": "MedCLIPSAM.Frame", "grid": "MedCLIPSAM.Grid"}


def add_remark(volume_node: Any, sentence: str) -> None:
    """Keeps one sentence, without line breaks, with a volume node, after those that it has."""
    volume_node.SetAttribute(_REMARKS, "\n".join((*remarks(volume_node), sentence)))


def remarks(volume_node: Any) -> tuple[str, ...]:
    """The sentences that were kept with a volume node, the oldest first."""
    return tuple((volume_node.GetAttribute(_REMARKS) or "").splitlines())


def keep_choice(volume_node: Any, name: Choice, value: Any) -> None:
    """Keeps with a volume node which of several volumes it is, or what became of its grid: what JSON can hold."""
    volume_node.SetAttribute(_CHOICES[name], json.dumps(value))


def how_read(volume_node: Any) -> dict[str, Any]:
    """The choices by name, None where there was none, and as "remarks" the sentences: for JSON."""
    kept = {name: volume_node.GetAttribute(attribute) for name, attribute in _CHOICES.items()}
    choices = {name: None if value is None else json.loads(value) for name, value in kept.items()}
    return {**choices, "remarks": list(remarks(volume_node))}
