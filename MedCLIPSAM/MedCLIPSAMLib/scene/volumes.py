"""Image files to volume nodes, and volume nodes to the engine's `Volume` and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer
from pydicom.misc import is_dicom

from ..engine.errors import InputError
from ..engine.machine.temporary import temporary_folder
from ..engine.volume import MODALITIES, Modality, Volume, guess_modality
from .dicom.loading import MODALITY, load_series
from .dicom.origin import keep_picture_origin
from .dicom.picture import read_dicom_picture
from .dicom.series import Pictures, find_series
from .files import metaimage, nifti, nrrd
from .files.contents import check_contents
from .files.frames import frame_remark, frames_in, write_frame
from .geometry import ijk_to_engine, ijk_to_ras
from .host import quiet, start
from .names import check_name
from .pictures import CHANNELS, LUMINANCE, Picture, are_colours, is_grey, luminance, read_picture
from .pictures import SUFFIXES as PICTURES
from .remarks import add_remark, keep_choice
from .voxels import add_to_scene, read_files, set_voxels

FORMATS = {".nrrd": nrrd, ".nhdr": nrrd, ".nii": nifti, ".nii.gz": nifti, ".mha": metaimage, ".mhd": metaimage}
SUFFIXES = (*FORMATS, *PICTURES)
REVERSED = "MedCLIPSAM.SlicesReversed"  # attribute of a node whose file has its slices the other way round
_NO_IMAGE = "{} cannot be read as the image its name promises; check the file."
_COLOURS = (sitk.sitkVectorUInt8, sitk.sitkVectorUInt16)
_NAMED = 12  # files that a message lists
_FLAT = 1e-6  # determinant of directions below which they span no volume


def read_volume(path: str | Path, series: str | None = None, frame: int | None = None) -> Any:
    """Read an image into a new scalar volume node of the scene.

    As in 3D Slicer, the slices of a left-handed image are reversed, so that IJK is right-handed.

    Args:
        path: a NRRD, NIfTI or MetaImage file, a folder with DICOM files, or a file of a DICOM series.
        series: number, or part of the description, of the series of a DICOM folder; None is its only volume.
        frame: of several volumes at one place, from 1; None is the first.

    Returns:
        vtkMRMLScalarVolumeNode, named after the file or the series. What was chosen and assumed is kept as remarks.

    Raises:
        InputError: nothing there, no image, damaged, no grey-scale volume in three dimensions, no such series or frame.
    """
    path = Path(path)
    try:
        return _read(path, series, frame)
    except OSError as error:
        raise InputError(f"{path} cannot be opened ({error.strerror}); check who may read it.") from None


def volume_of(path: Path) -> Volume:
    """The engine's view of the volume in a file, as of `read_volume`, of which nothing stays in the scene.

    Raises:
        InputError: as of `read_volume` and `volume_from_node`.
    """
    start()
    node = read_volume(path)
    try:
        return volume_from_node(node)
    finally:
        slicer.mrmlScene.RemoveNode(node)


def volume_from_node(volume_node: Any, modality: Modality | None = None) -> Volume:
    """The engine's view of a volume node; the voxels stay where they are and cannot be written through it.

    Of colours it is a copy, their luminance; `colour_remark` says so.

    Args:
        volume_node: vtkMRMLScalarVolumeNode, or vtkMRMLVectorVolumeNode of colours, which may be under transforms.
        modality: what the intensities mean; None takes it from DICOM, else from the intensities.

    Returns:
        Volume with `ijk_to_ras` to RAS of the world, under a transform that is not linear to RAS of the node, see
        `to_engine`. The node's voxels must not be reallocated meanwhile.

    Raises:
        InputError: no voxels, or vectors that are no colours.
    """
    if volume_node is None or volume_node.GetImageData() is None:
        name = "The volume" if volume_node is None else volume_node.GetName()
        raise InputError(f"{name} has no image data; choose a volume that is loaded.")
    array = slicer.util.arrayFromVolume(volume_node)
    if array.ndim == 4 and not are_colours(array):
        raise InputError(f"{volume_node.GetName()} has vectors as voxels; choose a volume in grey or in colour.")
    if array.ndim == 4:
        array = luminance(array)
    array.setflags(write=False)
    return Volume(
        array,
        ijk_to_engine(volume_node),
        modality or _dicom_modality(volume_node) or guess_modality(array),
        volume_node.GetName(),
    )


def colour_remark(volume_node: Any) -> str | None:
    """The sentence for people that of a volume in colour the luminance is segmented; None of others."""
    is_colour = volume_node.GetImageData() is not None and are_colours(slicer.util.arrayFromVolume(volume_node))
    return f"{volume_node.GetName()} is in colour: its luminance is segmented." if is_colour else None


def node_from_volume(volume: Volume) -> Any:
    """A new scalar volume node with the voxels of `volume`.

    The node shares the memory of a writable, contiguous array of a type which 3D Slicer displays, and keeps
    it alive; other arrays are copied.

    Returns:
        vtkMRMLScalarVolumeNode in the scene.
    """
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", volume.name)
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(volume.ijk_to_ras))
    set_voxels(node, volume.array)
    node.CreateDefaultDisplayNodes()
    node.SetAttribute(MODALITY, volume.modality)
    return node


def _read(path: Path, series: str | None, frame: int | None) -> Any:
    check_name(path)
    if not path.exists():
        raise InputError(f"{path} does not exist; check the path.")
    if not path.is_dir() and not path.is_file():
        raise InputError(f"{path} is a pipe or a device; give a file or a DICOM folder.")
    if path.is_dir() or is_dicom(path):
        found = find_series(path, series, frame)
        if not isinstance(found, Pictures):
            return load_series(path, found)
        file = _only(path, found)
        node = _load_picture(path, found.name, read_dicom_picture(file, frame))
        keep_picture_origin(node, file, frame)
        return node
    if series is not None:
        raise InputError(f"{path} is no DICOM folder; leave out --series.")
    suffix = next((suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)), None)
    if suffix is None:
        raise InputError(f"{path} has no ending that is read; give a DICOM folder, or one of {', '.join(SUFFIXES)}.")
    if suffix in PICTURES:
        return _load_picture(path, path.name[: -len(suffix)], read_picture(path, frame))
    try:
        check_contents(path, FORMATS[suffix].stored_voxels(path))
    except (ValueError, KeyError):
        raise InputError(_NO_IMAGE.format(path)) from None
    return _read_image(path, path.name[: -len(suffix)], frame)


def _only(source: Path, pictures: Pictures) -> Path:
    if len(pictures.files) == 1:
        return pictures.files[0]
    names = ", ".join(file.name for file in pictures.files[:_NAMED])
    more = ", ..." if len(pictures.files) > _NAMED else ""
    raise InputError(
        f"{source} holds {len(pictures.files)} pictures, which are no slices of one volume; "
        f"give the file of one: {names}{more}."
    )


def _load_picture(source: Path, name: str, picture: Picture) -> Any:
    """A picture as one axial slice: on the display of such slices nothing is turned or mirrored."""
    node = slicer.vtkMRMLScalarVolumeNode()
    set_voxels(node, picture.pixels[None])
    row, column = picture.spacing
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(np.diag([-column, -row, 1.0, 1.0])))
    add_to_scene(node, name, source)
    node.SetAttribute(MODALITY, "OT")
    for remark in picture.remarks:
        add_remark(node, remark)
    return node


def _read_image(path: Path, name: str, frame: int | None) -> Any:
    reader, left_handed = _check_header(path)
    count = frames_in(reader)
    if count == 1 and frame in (None, 1):
        is_colour = reader.GetNumberOfComponents() > 1
        node = read_files(path, (path,), "vtkMRMLVectorVolumeNode" if is_colour else "vtkMRMLScalarVolumeNode")
        has_colours = is_colour and not is_grey(slicer.util.arrayFromVolume(node))
        node = _in_grey(node) if is_colour else node
        add_to_scene(node, name, path)
        if has_colours:
            add_remark(node, LUMINANCE)
    else:
        number = 1 if frame is None else frame
        with temporary_folder() as folder, quiet():
            write_frame(path, reader, number, folder / "frame.nrrd")
            node = read_files(path, (folder / "frame.nrrd",))
        add_to_scene(node, f"{name}, frame {number}", path)
        add_remark(node, frame_remark(name, number, count, chosen=frame is not None))
        keep_choice(node, "frame", {"number": number, "of": count, "what": ""})
    if left_handed:
        node.SetAttribute(REVERSED, "true")
    return node


def _in_grey(colour_node: Any) -> Any:
    """A scalar volume node in no scene with the luminance of a vector volume node."""
    node = slicer.vtkMRMLScalarVolumeNode()
    set_voxels(node, luminance(slicer.util.arrayFromVolume(colour_node)))
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(ijk_to_ras(colour_node)))
    return node


def _dicom_modality(volume_node: Any) -> Modality | None:
    """CT, MR or other where the DICOM header is known, from this package or 3D Slicer's DICOM module."""
    value: str | None = volume_node.GetAttribute(MODALITY)
    if not value:
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        item = hierarchy.GetItemByDataNode(volume_node) if hierarchy else 0
        value = hierarchy.GetItemAttribute(item, MODALITY) if item else ""
    if not value:
        return None
    known: dict[str, Modality] = {modality: modality for modality in MODALITIES}
    return known.get(value, "other")


def _check_header(path: Path) -> tuple[sitk.ImageFileReader, bool]:
    """Refuse what would be read as something else than grey volumes; else a reader, and if they are left-handed."""
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
    is_sequence = frames_in(reader) > 1
    is_colour = reader.GetPixelIDValue() in _COLOURS and reader.GetNumberOfComponents() in CHANNELS
    if "complex" in voxels or ("vector" in voxels and not is_sequence and not is_colour):
        raise InputError(f"{path} has vector or complex voxels; give a volume in grey or in colour.")
    direction = np.reshape(reader.GetDirection(), (reader.GetDimension(),) * 2)[:3, :3]
    turn = float(np.linalg.det(direction)) if np.isfinite(direction).all() else 0.0
    if min(map(abs, reader.GetSpacing()[:3])) == 0 or abs(turn) < _FLAT:
        raise InputError(f"{path} has a spacing of 0 or directions that span no volume; correct its header.")
    return reader, turn < 0
