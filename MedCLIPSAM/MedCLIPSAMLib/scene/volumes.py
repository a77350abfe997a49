"""Image files to volume nodes, and volume nodes to the engine's `Volume` and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer
import vtk
from pydicom.misc import is_dicom
from vtkmodules.util import numpy_support

from ..engine.errors import InputError
from ..engine.volume import MODALITIES, Modality, Volume, guess_modality
from .dicom.series import find_series
from .files import metaimage, nifti, nrrd
from .files.contents import check_contents
from .geometry import ijk_to_ras, ijk_to_world
from .host import quiet
from .names import check_name

FORMATS = {".nrrd": nrrd, ".nhdr": nrrd, ".nii": nifti, ".nii.gz": nifti, ".mha": metaimage, ".mhd": metaimage}
SUFFIXES = tuple(FORMATS)
REVERSED = "MedCLIPSAM.SlicesReversed"  # attribute of a node whose file has its slices the other way round
_NO_IMAGE = "{} cannot be read as the image its name promises; check the file."
_MODALITY = "DICOM.Modality"  # the name 3D Slicer gives this attribute in the subject hierarchy
_FLAT = 1e-6  # determinant of directions below which they span no volume
# What VTK stores and 3D Slicer displays, and what all else becomes without loss.
_SHARED_TYPES = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float64")
_CONVERTED_TYPES = {"bool": "uint8", "float16": "float32"}


def read_volume(path: str | Path) -> Any:
    """Read an image into a new scalar volume node of the scene.

    As in 3D Slicer, the slices of a left-handed image are reversed, so that IJK is right-handed.

    Args:
        path: a NRRD, NIfTI or MetaImage file, a folder with one DICOM series, or a file of a DICOM series.

    Returns:
        vtkMRMLScalarVolumeNode, named after the file or the series.

    Raises:
        InputError: nothing there, no image, damaged, no single grey-scale volume in three dimensions.
    """
    path = Path(path)
    try:
        return _read(path)
    except OSError as error:
        raise InputError(f"{path} cannot be opened ({error.strerror}); check who may read it.") from None


def volume_from_node(volume_node: Any, modality: Modality | None = None) -> Volume:
    """The engine's view of a volume node; the voxels stay where they are and cannot be written through it.

    Args:
        volume_node: vtkMRMLScalarVolumeNode, which may be under linear transforms.
        modality: what the intensities mean; None takes it from DICOM, else from the intensities.

    Returns:
        Volume with `ijk_to_ras` to RAS of the world. The node's voxels must not be reallocated meanwhile.

    Raises:
        InputError: no voxels, colour or vector voxels, or a non-linear transform above the node.
    """
    if volume_node is None or volume_node.GetImageData() is None:
        name = "The volume" if volume_node is None else volume_node.GetName()
        raise InputError(f"{name} has no image data; choose a volume that is loaded.")
    if volume_node.GetImageData().GetNumberOfScalarComponents() != 1:
        raise InputError(f"{volume_node.GetName()} has colour or vector voxels; choose a grey-scale volume.")
    array = slicer.util.arrayFromVolume(volume_node)
    array.setflags(write=False)
    return Volume(
        array,
        ijk_to_world(volume_node),
        modality or _dicom_modality(volume_node) or guess_modality(array),
        volume_node.GetName(),
    )


def node_from_volume(volume: Volume) -> Any:
    """A new scalar volume node with the voxels of `volume`.

    The node shares the memory of a writable, contiguous array of a type which 3D Slicer displays, and keeps
    it alive; other arrays are copied.

    Returns:
        vtkMRMLScalarVolumeNode in the scene.
    """
    name = volume.array.dtype.name
    shared = name if name in _SHARED_TYPES else _CONVERTED_TYPES.get(name, "float64")
    array = np.ascontiguousarray(volume.array, shared)  # in the byte order of this computer
    if not array.flags.writeable:
        array = array.copy()
    image = vtk.vtkImageData()
    image.SetDimensions(*array.shape[::-1])
    image.GetPointData().SetScalars(numpy_support.numpy_to_vtk(array.reshape(-1)))
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", volume.name)
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(volume.ijk_to_ras))
    node.SetAndObserveImageData(image)
    node.CreateDefaultDisplayNodes()
    node.SetAttribute(_MODALITY, volume.modality)
    return node


def _read(path: Path) -> Any:
    check_name(path)
    if not path.exists():
        raise InputError(f"{path} does not exist; check the path.")
    if not path.is_dir() and not path.is_file():
        raise InputError(f"{path} is a pipe or a device; give a file or a DICOM folder.")
    if path.is_dir() or is_dicom(path):
        series = find_series(path)
        for file in series.files:
            check_name(file)
        node = _read_files(path, series.files, series.name)
        if series.thickness is not None:
            columns, rows, _ = node.GetSpacing()
            node.SetSpacing(columns, rows, series.thickness)
        node.SetAttribute(_MODALITY, series.modality)
        return node
    suffix = next((suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)), None)
    if suffix is None:
        raise InputError(f"{path} has no ending that is read; give a DICOM folder, or one of {', '.join(SUFFIXES)}.")
    try:
        check_contents(path, FORMATS[suffix].stored_voxels(path))
    except (ValueError, KeyError):
        raise InputError(_NO_IMAGE.format(path)) from None
    left_handed = _check_header(path)
    node = _read_files(path, (path,), path.name[: -len(suffix)])
    if left_handed:
        node.SetAttribute(REVERSED, "true")
    return node


def _dicom_modality(volume_node: Any) -> Modality | None:
    """CT, MR or other where the DICOM header is known, from this package or 3D Slicer's DICOM module."""
    value: str | None = volume_node.GetAttribute(_MODALITY)
    if not value:
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        item = hierarchy.GetItemByDataNode(volume_node) if hierarchy else 0
        value = hierarchy.GetItemAttribute(item, _MODALITY) if item else ""
    if not value:
        return None
    known: dict[str, Modality] = {modality: modality for modality in MODALITIES}
    return known.get(value, "other")


def _check_header(path: Path) -> bool:
    """Refuse what would be read as something else than one grey-scale volume; True for a left-handed one."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        with quiet():
            reader.ReadImageInformation()
    except RuntimeError as error:
        if "orthonormal" in str(error):
            raise InputError(f"{path} has voxel axes which are not at right angles; resample it.") from None
        raise InputError(_NO_IMAGE.format(path)) from None
    voxels = sitk.GetPixelIDValueAsString(reader.GetPixelIDValue())
    if reader.GetNumberOfComponents() > 1 or "vector" in voxels or "complex" in voxels:
        raise InputError(f"{path} has colour, vector or complex voxels; give a grey-scale volume.")
    if any(length > 1 for length in reader.GetSize()[3:]):
        raise InputError(f"{path} is a sequence of {reader.GetSize()[3]} volumes; save one of them as a file.")
    direction = np.reshape(reader.GetDirection(), (reader.GetDimension(),) * 2)
    turn = float(np.linalg.det(direction)) if np.isfinite(direction).all() else 0.0
    if min(map(abs, reader.GetSpacing())) == 0 or abs(turn) < _FLAT:
        raise InputError(f"{path} has a spacing of 0 or directions that span no volume; correct its header.")
    return turn < 0


def _read_files(source: Path, files: tuple[Path, ...], name: str) -> Any:
    node = slicer.vtkMRMLScalarVolumeNode()
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
    if node.GetImageData().GetNumberOfScalarComponents() != 1:
        raise InputError(f"{source} has colour, vector or complex voxels; give a grey-scale volume.")
    Volume(slicer.util.arrayFromVolume(node), ijk_to_ras(node), "other", str(source))  # refuses what no run can use
    node.SetName(slicer.mrmlScene.GenerateUniqueName(name))
    slicer.mrmlScene.AddNode(node)
    with quiet():  # VTK has no histogram of 64-bit integers
        node.CreateDefaultDisplayNodes()
    return node
