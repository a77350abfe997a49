"""Saving results: checked before the work, never half-written, nothing replaced unasked."""

from __future__ import annotations

import json
import logging
import os
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk

from ...engine.errors import InputError
from ...engine.machine.temporary import temporary_folder
from ..geometry import ijk_to_ras, to_world
from ..host import quiet
from ..names import check_name
from ..volumes import REVERSED
from . import nifti, nrrd
from .contents import check_contents
from .replacing import move_into_place

SUFFIXES = (".seg.nrrd", ".nii.gz", ".mrb")

_PATTERN = re.compile(r"[][*?]")
_FORMATS = {".nrrd": nrrd, ".gz": nifti}
_log = logging.getLogger(__name__)


def check_output(path: str | Path, *, force: bool = False) -> Path:
    """Refuse an output path before any work is done for it; of a link, give where it leads.

    Raises:
        InputError: a name that is not in UTF-8, unknown ending, no such folder, not writable, a folder, or there
            already without `force`.
    """
    path = Path(path)
    path = path.resolve() if path.is_symlink() else path
    check_name(path)
    if _suffix(path) is None:
        raise InputError(f"{path} has no known ending; use {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}.")
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the name of a file.")
    if not path.parent.is_dir():
        raise InputError(f"The folder {path.parent} does not exist; create it first.")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise InputError(f"The folder {path.parent} cannot be written to; choose another one.")
    existing = next((file for file in output_files(path) if file.exists()), None)
    if existing is not None and not force:
        raise InputError(f"{existing} exists; choose another name or use force to replace it.")
    return path


def output_files(path: Path) -> tuple[Path, ...]:
    """The files that saving to `path` makes: with a NIfTI file also the names of its labels."""
    if _suffix(path) != ".nii.gz":
        return (path,)
    return (path, path.with_name(path.name[: -len(".nii.gz")] + ".labels.json"))


def save(segmentation_node: Any, volume_node: Any, path: str | Path, *, force: bool = False) -> tuple[Path, ...]:
    """Save a segmentation; transforms above it are applied, except in a scene, which keeps them.

    `.seg.nrrd` keeps everything. `.nii.gz` is a label map on the grid of the volume's file, with label n for
    the n-th segment, and beside it `.labels.json` with the names: {"1": "liver"}; where segments overlap, the
    later one wins. `.mrb` is the whole scene.

    Args:
        segmentation_node: vtkMRMLSegmentationNode.
        volume_node: the volume it belongs to.
        path: ends in .seg.nrrd, .nii.gz or .mrb; the ending says what is written.
        force: replace existing files.

    Returns:
        The files written, `path` first.

    Raises:
        InputError: what `check_output` refuses, a non-linear transform, a grid that NIfTI cannot hold, or
            the writing failed; existing files are then as they were.
    """
    path = check_output(path, force=force)
    files = output_files(path)
    try:
        # A folder beside the target: on the same disk, so that the move at the end cannot fail half-way.
        with temporary_folder(path.parent) as folder:
            unfinished = folder / path.name
            with quiet():
                written = _write(segmentation_node, volume_node, unfinished)
            if not written or not unfinished.is_file() or not _is_whole(unfinished):
                raise InputError(f"{path} could not be written; check the free space.")
            move_into_place(folder, files[::-1])
    except OSError as error:
        raise InputError(f"{path} could not be written ({error.strerror}); choose another place.") from None
    return files


def _is_whole(path: Path) -> bool:
    """Whether all that was written can be read: neither ITK nor VTK notices that a disk is full."""
    try:
        if _suffix(path) == ".mrb":
            return _archive_is_whole(path)
        check_contents(path, _FORMATS[path.suffix.lower()].stored_voxels(path))
    except (InputError, ValueError, KeyError, zipfile.BadZipFile):
        return False
    return True


def _archive_is_whole(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive, temporary_folder(path.parent) as folder:
        volumes = [name for name in archive.namelist() if Path(name).suffix == ".nrrd"]
        for name in archive.namelist():
            member = Path(archive.extract(name, folder))  # compares its checksum
            if name in volumes and not _is_whole(member):
                return False
            if member.is_file():
                member.unlink()
    return bool(volumes)


def _suffix(path: Path) -> str | None:
    return next((suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)), None)


def _write(segmentation_node: Any, volume_node: Any, path: Path) -> bool:
    if _suffix(path) == ".mrb":
        # Brackets are a pattern to it: it would write an empty archive, and say that all is well.
        plain = path.with_name(_PATTERN.sub("_", path.name))
        written = bool(slicer.mrmlScene.WriteToMRB(str(plain)))
        return written and plain.replace(path).is_file()
    if _suffix(path) == ".nii.gz":
        return _write_labels(segmentation_node, volume_node, path)
    with _hardened(segmentation_node) as node:
        storage = slicer.vtkMRMLSegmentationStorageNode()
        storage.SetFileName(str(path))
        return bool(storage.WriteData(node))


@contextmanager
def _hardened(segmentation_node: Any) -> Iterator[Any]:
    """The segmentation itself, or where it is transformed a copy with the transforms applied."""
    if segmentation_node.GetParentTransformNode() is None:
        yield segmentation_node
        return
    to_world(segmentation_node)  # refuses a non-linear transform, which would resample the segments
    copy = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", segmentation_node.GetName())
    try:
        copy.GetSegmentation().DeepCopy(segmentation_node.GetSegmentation())
        copy.SetAndObserveTransformNodeID(segmentation_node.GetTransformNodeID())
        copy.HardenTransform()
        yield copy
    finally:
        slicer.mrmlScene.RemoveNode(copy)


def _write_labels(segmentation_node: Any, volume_node: Any, path: Path) -> bool:
    segmentation = segmentation_node.GetSegmentation()
    segmentation.CollapseBinaryLabelmaps(False)
    if segmentation.GetNumberOfLayers() > 1:
        _log.warning("Segments overlap; where they do, %s has the label of the later one.", path.name)
    with _labelmap_node(segmentation_node, volume_node) as labelmap:
        _check_right_angles(labelmap, path)
        storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
        storage.SetFileName(str(path))
        if not storage.WriteData(labelmap):
            return False
    names = {
        str(index + 1): segmentation.GetNthSegment(index).GetName()
        for index in range(segmentation.GetNumberOfSegments())
    }
    output_files(path)[1].write_text(json.dumps(names, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return True


@contextmanager
def _labelmap_node(segmentation_node: Any, volume_node: Any) -> Iterator[Any]:
    """A temporary label map node on the grid of the volume's file, transforms applied."""
    segment_ids = vtk.vtkStringArray()
    segmentation_node.GetSegmentation().GetSegmentIDs(segment_ids)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    try:
        slicer.modules.segmentations.logic().ExportSegmentsToLabelmapNode(
            segmentation_node, segment_ids, node, volume_node
        )
        node.HardenTransform()
        if volume_node.GetAttribute(REVERSED):
            matrix = vtk.vtkMatrix4x4()
            node.GetIJKToRASMatrix(matrix)
            slicer.vtkMRMLVolumeNode.ReverseSliceOrder(node.GetImageData(), matrix)
            node.SetIJKToRASMatrix(matrix)
        yield node
    finally:
        display = node.GetDisplayNode()
        if display is not None and display.GetColorNode() is not None:
            slicer.mrmlScene.RemoveNode(display.GetColorNode())  # made by the export for this node
        slicer.mrmlScene.RemoveNode(node)


def _check_right_angles(labelmap_node: Any, path: Path) -> None:
    axes = ijk_to_ras(labelmap_node)[:3, :3]
    axes = axes / np.linalg.norm(axes, axis=0)
    if np.abs(axes.T @ axes - np.eye(3)).max() > 1e-4:
        raise InputError(f"{path.name} cannot hold voxels whose axes are not at right angles; use .seg.nrrd.")
