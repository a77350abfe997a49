"""Segments and label maps from files, on one grid."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer
import vtk

from ..engine.errors import InputError
from ..engine.evaluate import label_names
from ..engine.volume import SliceStack
from ..scene.files.contents import check_contents
from ..scene.files.nrrd import stored_voxels
from ..scene.files.saving import output_files
from ..scene.host import quiet
from ..scene.pictures import SUFFIXES, read_numbers
from ..scene.segmentation.segments import create_segmentation, read_segment, write_segment
from ..scene.volumes import read_volume, volume_from_node
from ..scene.voxels import set_voxels

_PICTURE = "MedCLIPSAM.LabelsAsPicture"  # attribute of a node: its place in space is none
_FARTHEST = 1_000_000  # voxels from the first one of an image


def read_labels(path: Path, names: Mapping[int, str]) -> tuple[Any, np.ndarray]:
    """A label map: its volume node, and its (K, J, I) whole numbers.

    Of a picture they are grey values, or numbers of a palette; where one value is drawn and one is named, as in masks
    of black and white, it is that one.

    Raises:
        InputError: no volume, or one with fractions or with values below 0, as images have them; a picture in colours.
    """
    node = read_volume(path)
    if _is_picture(path):
        set_voxels(node, _named(read_numbers(path), names)[None])
        node.SetAttribute(_PICTURE, "true")
    array = volume_from_node(node).array
    with np.errstate(invalid="ignore"):  # of what is no whole number
        labels = array.astype(np.int64)
    if not np.array_equal(labels, array):
        wrong = "which are not whole numbers"
    elif labels.min() < 0:
        wrong = "below 0, as images have them"
    else:
        return node, labels
    slicer.mrmlScene.RemoveNode(node)
    raise InputError(f"{path} has values {wrong}; give a label map.")


def read_names(path: Path) -> dict[int, str]:
    """Names of label values.

    Raises:
        InputError: not such a file.
    """
    try:
        return label_names(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); give a JSON file of names.") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def read_segments(path: Path, grid_node: Any, names: dict[int, str]) -> dict[str, np.ndarray]:
    """Masks by name, each (K, J, I) bool on the grid of a volume node, resampled where grids differ.

    Args:
        path: .seg.nrrd, a label map, or a picture. A label map is named by the .labels.json beside it, as `segment`
            writes it, else by `names`.

    Raises:
        InputError: no segmentation, no name for any of its values, or two segments of one name.
    """
    if _is_picture(path):
        return _read_picture(path, grid_node, names)
    node = _read_segmentation(path) if path.name.lower().endswith(".seg.nrrd") else _import_labels(path, names)
    segmentation = node.GetSegmentation()
    if grid_node.GetAttribute(_PICTURE):
        _place(grid_node, segmentation)
    return {
        name: read_segment(node, grid_node, segmentation.GetNthSegmentID(index))
        for index, name in enumerate(_names(segmentation))
    }


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def _named(labels: np.ndarray, names: Mapping[int, str]) -> np.ndarray:
    """Numbers with the only one that is drawn, where there is one only, as the only one that is named."""
    drawn = np.unique(labels[labels != 0])
    return np.where(labels, next(iter(names)), 0) if len(names) == len(drawn) == 1 else labels


def _read_picture(path: Path, grid_node: Any, names: Mapping[int, str]) -> dict[str, np.ndarray]:
    """As `read_segments`: pixel by pixel, for a picture may not know how large it is."""
    labels = _named(read_numbers(path), names)
    stack = SliceStack(volume_from_node(grid_node), "acquisition")
    if stack.array.shape != (1, *labels.shape):
        slices, height, width = stack.array.shape
        raise InputError(
            f"{path} has {labels.shape[1]} x {labels.shape[0]} pixels, and the labels {width} x {height} "
            f"on {'1 slice' if slices == 1 else f'{slices} slices'}; give a picture of the same size."
        )
    present = set(np.unique(labels).tolist())
    named = {value: name for value, name in names.items() if value in present}
    if not named and labels.any():
        raise InputError(f"{path} has no grey value that is named; give the JSON file of its names.")
    masks = {name: np.zeros(labels.shape, bool) for name in (named or names).values()}
    for value, name in named.items():
        masks[name] |= labels == value
    return {name: stack.restore(mask[None]) for name, mask in masks.items()}


def _place(grid_node: Any, segmentation: Any) -> None:
    """Puts a picture of labels onto the pixels of a segmentation that was made on a picture of the same size."""
    converter = slicer.vtkSegmentationConverter
    text = segmentation.GetConversionParameter(converter.GetReferenceImageGeometryParameterName())
    image, matrix = slicer.vtkOrientedImageData(), vtk.vtkMatrix4x4()
    if not text or not converter.DeserializeImageGeometry(text, image, False):
        return
    image.GetImageToWorldMatrix(matrix)
    is_as_seen = matrix.GetElement(0, 0) < 0 and matrix.GetElement(1, 1) < 0  # columns to the left, rows to the back
    if image.GetDimensions() == grid_node.GetImageData().GetDimensions() and is_as_seen:
        grid_node.SetIJKToRASMatrix(matrix)


def _read_segmentation(path: Path) -> Any:
    if not path.is_file():
        raise InputError(f"{path} does not exist; check the path.")
    refusal = InputError(f"{path} is no segmentation, or damaged; check the file.")
    try:
        check_contents(path, stored_voxels(path))
        _check_extents(sitk.ReadImage(str(path)))
    except (ValueError, KeyError, RuntimeError):
        raise refusal from None
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", path.name)
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(str(path))
    with quiet():
        read = storage.ReadData(node)
    names = _names(node.GetSegmentation())
    if read and names and all(isinstance(name, str) for name in names):  # bytes are no text in UTF-8
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is None:
            return node
        refusal = InputError(f"{path} has two segments named {twice!r}; give each a name of its own.")
    slicer.mrmlScene.RemoveNode(node)
    raise refusal


def _names(segmentation: Any) -> list[str]:
    return [segmentation.GetNthSegment(index).GetName() for index in range(segmentation.GetNumberOfSegments())]


def _check_extents(image: sitk.Image) -> None:
    """Raises ValueError where segments are larger than their image or far off, which ends 3D Slicer's reader."""
    for key in image.GetMetaDataKeys():
        if re.fullmatch(r"Segment\d+_Extent|Segmentation_ReferenceImageExtentOffset", key):
            numbers = [int(word) for word in image.GetMetaData(key).split()]
            if any(abs(number) > _FARTHEST for number in numbers):
                raise ValueError(f"{key} is far off")
            if key.endswith("_Extent"):
                lengths = [last - first + 1 for first, last in zip(numbers[::2], numbers[1::2], strict=True)]
                if any(length > size for length, size in zip(lengths, image.GetSize(), strict=True)):
                    raise ValueError(f"{key} is larger than the image")


def _import_labels(path: Path, names: dict[int, str]) -> Any:
    volume_node, labels = read_labels(path, names)
    own_names = output_files(path)[-1]
    if own_names != path and own_names.is_file():
        named = read_names(own_names)
    else:
        present = set(np.unique(labels).tolist())
        named = {value: name for value, name in names.items() if value in present}
    if not named:
        raise InputError(f"{path} has no label that is named; give the JSON file of its names.")
    node = create_segmentation(volume_node)
    for name in dict.fromkeys(named.values()):  # labels which share a name are one structure
        values = [value for value, other in named.items() if other == name]
        write_segment(node, volume_node, np.isin(labels, values), name)
    return node
