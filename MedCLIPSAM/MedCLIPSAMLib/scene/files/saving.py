"""Saving results: checked before the work, never half-written, nothing replaced unasked."""

from __future__ import annotations

import json
import logging
import os
import re
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk
from PIL import Image

from ...engine.errors import InputError
from ...engine.machine.temporary import temporary_folder
from ...engine.volume import SliceStack
from ..geometry import bending_transform, ijk_to_engine, ijk_to_ras
from ..hidden import add_hidden_node
from ..host import quiet
from ..names import check_name, safe_names
from ..pacs.source import check_highdicom, source_of
from ..pictures import UNKNOWN_SIZE, read_numbers
from ..remarks import remarks
from ..segmentation.segments import read_segment
from ..volumes import REVERSED, volume_from_node
from ..voxels import set_voxels
from . import nifti, nrrd
from .contents import check_contents
from .replacing import move_into_place
from .surfaces import is_whole_surface, write_surfaces

SUFFIXES = (".seg.nrrd", ".nii.gz", ".mrb", ".seg.dcm", ".rtstruct.dcm", ".stl", ".obj", ".png")

_DICOM = (".seg.dcm", ".rtstruct.dcm")
_FILLED = (*_DICOM, ".stl", ".obj")  # what no segment without voxels can be in
_ONE_EACH = (".png", ".stl")  # of several segments, one file for each in any case

_PATTERN = re.compile(r"[][*?]")
_FORMATS = {".nrrd": nrrd, ".gz": nifti}
_INCH = 25.4  # mm
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Saved:
    """What became of a segmentation.

    Attributes:
        files: that were written, the one that was asked for first.
        lost: by the name of each segment that a label map does not hold whole, the voxels that an earlier one has.
        left_out: names of segments without voxels, which files of this kind cannot hold; all of them: no file.
    """

    files: tuple[Path, ...]
    lost: dict[str, int] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()


def check_output(path: str | Path, *, force: bool = False, names: Sequence[str] = (), separate: bool = False) -> Path:
    """Refuse an output path before any work is done for it; of a link, give where it leads.

    Args:
        names, separate: as of `output_files`.

    Raises:
        InputError: a name that is not in UTF-8, unknown ending, no such folder, not writable, a folder, there
            already without `force`, a scene that is to be one file for each segment, or a package is missing.
    """
    path = Path(path)
    path = path.resolve() if path.is_symlink() else path
    check_name(path)
    if _suffix(path) is None:
        raise InputError(f"{path} has no known ending; use {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}.")
    if separate and _suffix(path) == ".mrb":
        raise InputError(f"{path} is a scene, which has all segments in one file; leave out --separate.")
    if _suffix(path) == ".seg.dcm":
        check_highdicom(path)
    check_place(path, output_files(path, names, separate=separate), force=force)
    return path


def check_place(path: Path, files: Sequence[Path], *, force: bool) -> None:
    """Refuse a path where ``files``, which are named after it, cannot be written.

    Raises:
        InputError: a folder, no such folder, not writable, or one of the files is there already without `force`.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the name of a file.")
    if not path.parent.is_dir():
        raise InputError(f"The folder {path.parent} does not exist; create it first.")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise InputError(f"The folder {path.parent} cannot be written to; choose another one.")
    existing = next((file for file in files if file.exists()), None)
    if existing is not None and not force:
        raise InputError(f"{existing} exists; choose another name or use --force to replace it.")


def check_slices(path: Path, volume_node: Any, instead: str = ".nii.gz") -> None:
    """Refuse, before the work, a file that cannot hold the segments of a volume.

    Args:
        instead: what to use for a volume.

    Raises:
        InputError: a picture, which has one slice, of a volume that has several; NIfTI of a sheared grid; DICOM where
            the volume was not read from it.
    """
    if _suffix(path) in _DICOM:
        source_of(path, volume_node, in_space=_suffix(path) == ".rtstruct.dcm")
    if _suffix(path) == ".nii.gz":
        check_right_angles(volume_node, path)
    slices = volume_node.GetImageData().GetDimensions()[2]
    if _suffix(path) == ".png" and slices != 1:
        raise InputError(f"{path} is a picture, and {volume_node.GetName()} has {slices} slices; use {instead}.")


def output_files(path: Path, names: Sequence[str] = (), *, separate: bool = False) -> tuple[Path, ...]:
    """The files that saving to `path` makes: with a NIfTI file also the names of its labels, with OBJ the colours.

    Args:
        names: of the segments.
        separate: one file for each, named after it; so it is for pictures and STL of several segments in any case.
    """
    return tuple(file for target in _targets(path, names, separate) for file in _with_names(target))


def save(
    segmentation_node: Any, volume_node: Any, path: str | Path, *, force: bool = False, separate: bool = False
) -> Saved:
    """Save a segmentation; linear transforms above it are applied, except in a scene, which keeps all of them.

    One that is not linear would resample the segments: other files hold the voxels as they are without it, on the grid
    of the volume's own file.

    `.seg.nrrd` keeps everything. `.nii.gz` is a label map on the grid of the volume's file, with label n for
    the n-th segment, and beside it `.labels.json` with the names: {"1": "liver"}; where segments overlap, the
    earlier one keeps its voxels. `.mrb` is the whole scene. `.png` is white on black, as the slice is displayed.
    `.seg.dcm` and `.rtstruct.dcm` lie on the frames of the DICOM series of the volume, `.stl` and `.obj` are surfaces
    in LPS; segments without voxels are left out there, and where none has any, no file is written.

    Args:
        segmentation_node: vtkMRMLSegmentationNode.
        volume_node: the volume it belongs to.
        path: ends in one of `SUFFIXES`, which says what is written.
        force: replace existing files.
        separate: as of `output_files`.

    Raises:
        InputError: what `check_output` and `check_slices` refuse, a grid that NIfTI cannot hold, or the writing failed;
            existing files are then as they were.
    """
    segmentation = segmentation_node.GetSegmentation()
    ids, names = segmentation.GetSegmentIDs(), segment_names(segmentation_node)
    path = check_output(path, force=force, names=names, separate=separate)
    check_slices(path, volume_node)
    targets = _targets(path, names, separate)
    shares = [list(ids)] if targets == [path] else [[segment_id] for segment_id in ids]
    filled = _filled(segmentation_node, volume_node, path, ids)
    left_out = tuple(name for segment_id, name in zip(ids, names, strict=True) if segment_id not in filled)
    if left_out:
        shares = [[segment_id for segment_id in share if segment_id in filled] for share in shares]
        targets = [target for target, share in zip(targets, shares, strict=True) if share]
        shares = [share for share in shares if share]
    files = tuple(file for target in targets for file in _with_names(target))
    lost: dict[str, int] = {}
    if not targets:
        _log.warning("%s is not written: no segment has voxels, and such a file has no empty segments.", path.name)
        return Saved(files, lost, left_out)
    try:
        # A folder beside the target: on the same disk, so that the move at the end cannot fail half-way.
        with temporary_folder(path.parent) as folder:
            for target, share in zip(targets, shares, strict=True):
                unfinished = folder / target.name
                with quiet():
                    written = _write(segmentation_node, volume_node, unfinished, share, lost)
                if not written or not unfinished.is_file() or not is_whole(unfinished):
                    raise InputError(f"{target} could not be written; check the free space.")
            move_into_place(folder, files[::-1])
    except OSError as error:
        raise InputError(f"{path} could not be written ({error.strerror}); choose another place.") from None
    return Saved(files, lost, left_out)


def segment_names(segmentation_node: Any) -> list[str]:
    """In their order, as files are named after them."""
    segmentation = segmentation_node.GetSegmentation()
    return [segmentation.GetSegment(segment_id).GetName() for segment_id in segmentation.GetSegmentIDs()]


def _targets(path: Path, names: Sequence[str], separate: bool) -> list[Path]:
    if not names or not (separate or (_suffix(path) in _ONE_EACH and len(names) > 1)):
        return [path]
    suffix = path.name[-len(_suffix(path) or "") :]  # in the case it was typed
    stem = path.name[: -len(suffix)]
    return [path.with_name(f"{stem}-{name}{suffix}") for name in safe_names(names)]


def _with_names(path: Path) -> tuple[Path, ...]:
    if _suffix(path) == ".obj":
        return (path, path.with_suffix(".mtl"))
    if _suffix(path) != ".nii.gz":
        return (path,)
    return (path, path.with_name(path.name[: -len(".nii.gz")] + ".labels.json"))


def is_whole(path: Path) -> bool:
    """Whether all that was written can be read: neither ITK nor VTK notices that a disk is full."""
    try:
        if _suffix(path) == ".mrb":
            return _archive_is_whole(path)
        if _suffix(path) == ".png":
            return read_numbers(path).size > 0
        if _suffix(path) in (".stl", ".obj"):
            return is_whole_surface(path)
        if _suffix(path) in _DICOM:
            return path.stat().st_size > 0  # Python says when a disk is full
        check_contents(path, format_of(path).stored_voxels(path))
    except (InputError, ValueError, KeyError, zipfile.BadZipFile):
        return False
    return True


def format_of(path: Path) -> Any:
    """What knows how the voxels of a NRRD or NIfTI file are stored."""
    return _FORMATS[path.suffix.lower()]


def _archive_is_whole(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive, temporary_folder(path.parent) as folder:
        volumes = [name for name in archive.namelist() if Path(name).suffix == ".nrrd"]
        for name in archive.namelist():
            member = Path(archive.extract(name, folder))  # compares its checksum
            if name in volumes and not is_whole(member):
                return False
            if member.is_file():
                member.unlink()
    return bool(volumes)


def _suffix(path: Path) -> str | None:
    return next((suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)), None)


def _write(segmentation_node: Any, volume_node: Any, path: Path, ids: Sequence[str], lost: dict[str, int]) -> bool:
    """Writes the segments of some IDs into one file; into ``lost`` goes what it cannot hold of them, by name."""
    if _suffix(path) == ".mrb":
        # Brackets are a pattern to it: it would write an empty archive, and say that all is well.
        plain = path.with_name(_PATTERN.sub("_", path.name))
        written = bool(slicer.mrmlScene.WriteToMRB(str(plain)))
        return written and plain.replace(path).is_file()
    if _suffix(path) == ".png":
        return _write_mask(segmentation_node, volume_node, path, ids)
    if _suffix(path) == ".nii.gz":
        return _write_labels(segmentation_node, volume_node, path, ids, lost)
    if _suffix(path) in _DICOM:
        _write_dicom(segmentation_node, volume_node, path, ids)
        return True
    if _suffix(path) in (".stl", ".obj"):
        with _to_write(segmentation_node, ids, copied=True) as node:
            return write_surfaces(node, path, ids)
    with _to_write(segmentation_node, ids) as node:
        storage = slicer.vtkMRMLSegmentationStorageNode()
        storage.SetFileName(str(path))
        return bool(storage.WriteData(node))


def _filled(segmentation_node: Any, volume_node: Any, path: Path, ids: Sequence[str]) -> Sequence[str]:
    """Of some segments those that a file of this kind can hold."""
    if _suffix(path) not in _FILLED:
        return ids
    masks = ((segment_id, read_segment(segmentation_node, volume_node, segment_id)) for segment_id in ids)
    if _suffix(path) not in _DICOM:
        return [segment_id for segment_id, mask in masks if mask.any()]
    origin = source_of(path, volume_node)
    return [segment_id for segment_id, mask in masks if next(origin.on_frames(mask), None) is not None]


def _write_dicom(segmentation_node: Any, volume_node: Any, path: Path, ids: Sequence[str]) -> None:
    if _suffix(path) == ".seg.dcm":
        from ..pacs.seg import write_seg as write
    else:
        from ..pacs.rtstruct import write_rtstruct as write
    write(segmentation_node, volume_node, source_of(path, volume_node), path, ids)


@contextmanager
def _to_write(segmentation_node: Any, ids: Sequence[str], *, copied: bool = False) -> Iterator[Any]:
    """The segmentation itself, or a copy: of some segments only, or with the linear transforms above it applied."""
    others = set(segmentation_node.GetSegmentation().GetSegmentIDs()) - set(ids)
    if segmentation_node.GetParentTransformNode() is None and not others and not copied:
        yield segmentation_node
        return
    copy = add_hidden_node("vtkMRMLSegmentationNode", segmentation_node.GetName())
    try:
        copy.GetSegmentation().DeepCopy(segmentation_node.GetSegmentation())
        for segment_id in others:
            copy.GetSegmentation().RemoveSegment(segment_id)
        if bending_transform(segmentation_node) is None:
            copy.SetAndObserveTransformNodeID(segmentation_node.GetTransformNodeID())
            copy.HardenTransform()
        yield copy
    finally:
        slicer.mrmlScene.RemoveNode(copy)


def _write_mask(segmentation_node: Any, volume_node: Any, path: Path, ids: Sequence[str]) -> bool:
    volume = volume_from_node(volume_node)
    mask = np.zeros(volume.array.shape, bool)
    for segment_id in ids:
        mask |= read_segment(segmentation_node, volume_node, segment_id)
    stack = SliceStack(volume, "acquisition")
    (picture,) = stack.arrange(mask)
    dots = {} if UNKNOWN_SIZE in remarks(volume_node) else {"dpi": tuple(_INCH / mm for mm in stack.spacing[:0:-1])}
    Image.fromarray(np.where(picture, 255, 0).astype(np.uint8)).save(path, format="PNG", **dots)
    return True


def _write_labels(
    segmentation_node: Any, volume_node: Any, path: Path, ids: Sequence[str], lost: dict[str, int]
) -> bool:
    labels = np.zeros(volume_node.GetImageData().GetDimensions()[::-1], np.uint8 if len(ids) < 256 else np.uint16)
    names = {}
    for number, segment_id in enumerate(ids, start=1):
        names[str(number)] = name = segmentation_node.GetSegmentation().GetSegment(segment_id).GetName()
        mask = read_segment(segmentation_node, volume_node, segment_id)
        if hidden := int(np.count_nonzero(labels[mask])):
            lost[name] = hidden
        labels[mask & (labels == 0)] = number
    if lost:
        _log.warning("Segments overlap: %s has less of %s than was found.", path.name, ", ".join(lost))
    with on_grid_of(volume_node, labels, "vtkMRMLLabelMapVolumeNode") as labelmap:
        check_right_angles(labelmap, path)
        storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
        storage.SetFileName(str(path))
        if not storage.WriteData(labelmap):
            return False
    _with_names(path)[1].write_text(json.dumps(names, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return True


@contextmanager
def on_grid_of(volume_node: Any, values: np.ndarray, kind: str) -> Iterator[Any]:
    """A temporary volume node on the grid of the volume's file, linear transforms applied.

    Args:
        values: (K, J, I) of the volume.
        kind: class of the node.
    """
    node = add_hidden_node(kind, "values")
    try:
        set_voxels(node, values)
        node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(ijk_to_ras(volume_node)))
        if bending_transform(volume_node) is None:
            node.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())
            node.HardenTransform()
        if volume_node.GetAttribute(REVERSED):
            matrix = vtk.vtkMatrix4x4()
            node.GetIJKToRASMatrix(matrix)
            slicer.vtkMRMLVolumeNode.ReverseSliceOrder(node.GetImageData(), matrix)
            node.SetIJKToRASMatrix(matrix)
        yield node
    finally:
        slicer.mrmlScene.RemoveNode(node)


def check_right_angles(volume_node: Any, path: Path, instead: str = "use .seg.nrrd") -> None:
    """Refuse a sheared grid for a file that cannot hold one.

    Args:
        instead: what to do about it.

    Raises:
        InputError: the axes of the voxels are not at right angles.
    """
    axes = ijk_to_engine(volume_node)[:3, :3]
    axes = axes / np.linalg.norm(axes, axis=0)
    if np.abs(axes.T @ axes - np.eye(3)).max() > 1e-4:
        raise InputError(f"{path.name} cannot hold voxels whose axes are not at right angles; {instead}.")
