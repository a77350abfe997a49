"""Voxels into volume nodes: from files by 3D Slicer's own reader, and from arrays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk
from vtkmodules.util import numpy_support

from ..engine.errors import InputError
from ..engine.volume import Volume
from .geometry import ijk_to_ras
from .host import quiet

# What VTK stores and 3D Slicer displays, and what all else becomes without loss.
_SHARED_TYPES = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float64")
_CONVERTED_TYPES = {"bool": "uint8", "float16": "float32"}


def read_files(source: Path, files: Sequence[Path], kind: str = "vtkMRMLScalarVolumeNode") -> Any:
    """A volume node in no scene, with the voxels of one image file, or of one slice from each of several.

    Args:
        source: what the user gave, for messages.
        files: slices from the lowest k on.
        kind: of node; colours need a vtkMRMLVectorVolumeNode.

    Raises:
        InputError: they cannot be read, or not as one volume.
    """
    node = getattr(slicer, kind)()
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetFileName(str(files[0]))
    for file in files:
        storage.AddFileName(str(file))
    storage.SetSingleFile(len(files) == 1)
    with quiet():
        read = storage.ReadData(node)
    if not read or node.GetImageData() is None:
        raise InputError(f"{source} cannot be read; it may be damaged, cut off or compressed in a rare way.")
    if node.GetImageData().GetDimensions()[2] != len(files) and len(files) > 1:
        raise InputError(f"{source} cannot be read as one volume; check that its slices belong together.")
    return node


def set_voxels(node: Any, array: np.ndarray) -> None:
    """Gives a volume node other voxels, (K, J, I).

    The node shares the memory of a writable, contiguous array of a type which 3D Slicer displays, and keeps
    it alive; other arrays are copied.
    """
    name = array.dtype.name
    shared = name if name in _SHARED_TYPES else _CONVERTED_TYPES.get(name, "float64")
    array = np.ascontiguousarray(array, shared)  # in the byte order of this computer
    if not array.flags.writeable:
        array = array.copy()
    image = vtk.vtkImageData()
    image.SetDimensions(*array.shape[::-1])
    image.GetPointData().SetScalars(numpy_support.numpy_to_vtk(array.reshape(-1)))
    node.SetAndObserveImageData(image)


def add_to_scene(node: Any, name: str, source: Path) -> None:
    """Adds what was read, under a name that is not taken yet.

    Raises:
        InputError: it is no volume that a run can use.
    """
    if node.GetImageData().GetNumberOfScalarComponents() != 1:
        raise InputError(f"{source} has vector or complex voxels; give a volume in grey or in colour.")
    Volume(slicer.util.arrayFromVolume(node), ijk_to_ras(node), "other", str(source))
    node.SetName(slicer.mrmlScene.GenerateUniqueName(name))
    slicer.mrmlScene.AddNode(node)
    with quiet():  # VTK has no histogram of 64-bit integers
        node.CreateDefaultDisplayNodes()
