"""What a run measured, as a structured report in DICOM."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .files import new_file


def write_measures(path: Path, segmentation_node: Any, volume_node: Any, account: Mapping[str, Any]) -> bool:
    """Writes what an account has of the prompts that were found; without any of them there is nothing to write.

    Args:
        account: as of `report.make_report`.

    Returns:
        Whether a file was written.
    """
    from ..scene.pacs.source import source_of
    from ..scene.pacs.structured_report import Measured, write_sr
    from ..scene.pictures import UNKNOWN_SIZE

    origin = source_of(path, volume_node)
    i_mm, j_mm, _ = account["volume"]["spacing_mm"]
    mm2 = None if UNKNOWN_SIZE in account["volume"]["remarks"] else i_mm * j_mm
    measured = []
    for prompt in account["prompts"]:
        if prompt["voxels"]:
            area = prompt["voxels"] * mm2 if prompt["volume_ml"] is None and mm2 is not None else None
            measured.append(Measured(prompt["segment_id"], prompt["volume_ml"], area))
    if measured:
        with new_file(path) as unfinished:
            files = [Path(file) for file in account["output"]]
            write_sr(segmentation_node, volume_node, origin, unfinished, measured, files)
    return bool(measured)
