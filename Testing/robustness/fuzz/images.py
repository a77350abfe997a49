"""What must hold for every image: a volume whose voxels are all in the file, or one sentence and nothing left."""

from __future__ import annotations

import ctypes
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer

from MedCLIPSAMLib.cli.labels import read_labels, read_segments
from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.engine.volume import Volume
from MedCLIPSAMLib.scene import volumes
from MedCLIPSAMLib.scene.segmentation.report import report_of
from MedCLIPSAMLib.scene.volumes import node_from_volume, read_volume, volume_from_node

from .checks import check_message, require
from .search.apart import apart

_M_PERTURB = -6  # of glibc's malloc.h
_DEFLATED = 1032  # bytes at most that one byte stands for, in what is compressed
_CONVERTED = 8  # bytes of a voxel in memory, of at least one in the file


def read_apart(path: Path) -> str:
    """What `read_volume` raises, as `apart` gives it; its message and the scene are as after any refusal."""
    return apart(lambda: _checked(read_volume, path))


def _checked(read: Callable[..., Any], *arguments: Any) -> Any:
    """What a reader gives; before its refusal is passed on, the message and the scene are looked at."""
    before = _nodes()
    try:
        return read(*arguments)
    except InputError as error:
        check_message(error)
        require(_nodes() == before, "nodes are left in the scene after a refusal")
        raise


def check_image(path: Path) -> bool:
    """`read_volume`, and the engine's view of what it gives; True if it was read."""
    first, second = (_read(path, fill) for fill in (0x11, 0xEE))
    require((first is None) == (second is None), "read once, refused once")
    if first is None or second is None:
        return False
    require(np.array_equal(first, second, equal_nan=True), "voxels by chance: they are not in the file")
    return True


def _read(path: Path, fill: int) -> np.ndarray | None:
    before = _nodes()
    try:
        with _memory_filled_with(fill), _claims_watched(path):
            node = _checked(read_volume, path)
    except InputError:
        return None
    try:
        volume = volume_from_node(node)
        require(volume.array.nbytes <= _most(path), f"{volume.array.nbytes} bytes of voxels out of {_size(path)}")
        require(volume.array.ndim == 3 and np.isfinite(volume.ijk_to_ras).all(), "no volume")
        return volume.array.copy()
    finally:
        _remove_nodes_but(before)


def check_segmentation(path: Path) -> bool:
    """`read_segments` and the report on how segments were made; True if it was read."""
    before = _nodes()
    grid = node_from_volume(Volume(np.zeros((4, 5, 6), np.int16), np.diag([-1.0, -1, 1, 1]), "CT", "grid"))
    try:
        masks = _checked(read_segments, path, grid, {})
    except InputError:
        return False
    else:
        require(all(mask.shape == (4, 5, 6) and mask.dtype == bool for mask in masks.values()), "no masks")
        require(all(isinstance(name, str) for name in masks), "no names")
        for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
            report_of(node).encode()
        return True
    finally:
        _remove_nodes_but(before)


def check_labels(path: Path) -> bool:
    """`read_labels`; True if it was read."""
    before = _nodes()
    try:
        _, labels = _checked(read_labels, path, {})
    except InputError:
        return False
    else:
        require(labels.dtype == np.int64 and labels.ndim == 3, "no labels")
        return True
    finally:
        _remove_nodes_but(before)


def _nodes() -> set[str]:
    scene = slicer.mrmlScene
    return {scene.GetNthNode(number).GetID() for number in range(scene.GetNumberOfNodes())}


def _remove_nodes_but(kept: set[str]) -> None:
    for name in _nodes() - kept:
        slicer.mrmlScene.RemoveNode(slicer.mrmlScene.GetNodeByID(name))


def _size(path: Path) -> int:
    folder = path if path.is_dir() else path.parent
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())


def _most(path: Path) -> int:
    """Bytes that the voxels of the files may take."""
    return _size(path) * _DEFLATED * _CONVERTED


@contextmanager
def _memory_filled_with(fill: int) -> Iterator[None]:
    """Memory comes filled, so that voxels which nobody wrote show."""
    mallopt = _mallopt()
    mallopt(_M_PERTURB, fill)
    try:
        yield
    finally:
        mallopt(_M_PERTURB, 0)


@cache
def _mallopt() -> Any:
    return ctypes.CDLL(None).mallopt if sys.platform == "linux" else lambda *_: None


@contextmanager
def _claims_watched(path: Path) -> Iterator[None]:
    """The native reader, which allocates what a header claims, is never given a claim beyond the file."""
    read_files = volumes.read_files

    def watched(source: Path, files: tuple[Path, ...], *kind: str) -> Any:
        if path.is_dir() or path.suffix == ".dcm":
            return read_files(source, files, *kind)
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(files[0]))
        reader.ReadImageInformation()
        claimed = math.prod(reader.GetSize()) * reader.GetNumberOfComponents()
        require(claimed * _CONVERTED <= _most(path), f"{claimed} voxels are claimed by {_size(path)} bytes")
        return read_files(source, files, *kind)

    volumes.read_files = watched
    try:
        yield
    finally:
        volumes.read_files = read_files
