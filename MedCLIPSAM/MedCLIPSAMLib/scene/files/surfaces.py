"""Segments as surfaces, by 3D Slicer's own rule and exporter: STL and OBJ, in LPS."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import slicer
import vtk

from ...engine.machine.temporary import temporary_folder

_HEADER, _TRIANGLE = 84, 50  # bytes of a binary STL file


def write_surfaces(segmentation_node: Any, path: Path, ids: Sequence[str]) -> bool:
    """Writes the segments of some IDs into one file; beside .obj a .mtl with their colours.

    Args:
        segmentation_node: a copy, whose name and whose names of segments are lost: the exporter names files after them,
            with signs that no file may have.
    """
    segmentation_node.SetName("surface")
    wanted = vtk.vtkStringArray()
    for number, segment_id in enumerate(ids):
        segmentation_node.GetSegmentation().GetSegment(segment_id).SetName(str(number))
        wanted.InsertNextValue(segment_id)
    export = slicer.vtkSlicerSegmentationsModuleLogic.ExportSegmentsClosedSurfaceRepresentationToFiles
    kind = path.suffix[1:].upper()
    with temporary_folder(path.parent) as folder:
        if not export(str(folder), segmentation_node, wanted, kind, True, 1.0, kind == "STL" and len(ids) > 1):
            return False
        for file in folder.iterdir():
            if file.suffix == ".mtl":
                file.replace(path.with_suffix(".mtl"))
            elif kind == "OBJ":
                named = f"mtllib {path.with_suffix('.mtl').name}\n".encode()
                path.write_bytes(file.read_bytes().replace(f"mtllib {file.stem}.mtl\n".encode(), named, 1))
            else:
                file.replace(path)
    return True


def is_whole_surface(path: Path) -> bool:
    """Whether a file that VTK wrote has all that it says it has: VTK does not notice that a disk is full."""
    if path.suffix.lower() == ".stl":
        with path.open("rb") as file:
            count = int.from_bytes(file.read(_HEADER)[-4:], "little")
        return count > 0 and path.stat().st_size == _HEADER + _TRIANGLE * count
    content = path.read_bytes()
    last = content.splitlines()[-1] if content else b""
    return content.endswith(b"\n") and last.startswith(b"f ") and path.with_suffix(".mtl").is_file()
