"""What was assumed or chosen when a volume was read, kept with its node, for reports."""

from __future__ import annotations

from typing import Any

_REMARKS = "MedCLIPSAM.Remarks"  # attribute of a node: a sentence on each line


def add_remark(volume_node: Any, sentence: str) -> None:
    """Keeps one sentence, without line breaks, with a volume node, after those that it has."""
    volume_node.SetAttribute(_REMARKS, "\n".join((*remarks(volume_node), sentence)))


def remarks(volume_node: Any) -> tuple[str, ...]:
    """The sentences that were kept with a volume node, the oldest first."""
    return tuple((volume_node.GetAttribute(_REMARKS) or "").splitlines())
