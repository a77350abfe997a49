"""Binary label maps as segments hold them, from and to masks on the grid of a volume."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk
from vtkmodules.util import numpy_support

Extent = tuple[int, int, int, int, int, int]


def make_labelmap(ijk_to_ras: np.ndarray, mask: np.ndarray, *, cropped: bool = True) -> Any:
    """A label map of 0 and 1 which covers the voxels of `mask`.

    Args:
        ijk_to_ras: (4, 4), indices (i, j, k, 1) of `mask` to RAS.
        mask: (K, J, I) bool.
        cropped: store the bounding box of the mask only, as 3D Slicer does, not all of its voxels.

    Returns:
        vtkOrientedImageData of unsigned char; its extent says which voxels of `mask` are stored.
    """
    extent = _bounding_extent(mask) if cropped else _whole_extent(mask.shape)
    labelmap = slicer.vtkOrientedImageData()
    labelmap.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(ijk_to_ras))
    labelmap.SetExtent(extent)
    labelmap.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    labelmap_array(labelmap)[:] = mask[_region(extent)]
    return labelmap


def labelmap_array(labelmap: Any) -> np.ndarray:
    """(k, j, i) view of the voxels that a label map stores; it keeps their memory alive."""
    shape = labelmap.GetDimensions()[::-1]
    if 0 in shape:
        return np.empty(shape, np.uint8)
    return numpy_support.vtk_to_numpy(labelmap.GetPointData().GetScalars()).reshape(shape)


def labelmap_mask(labelmap: Any, value: int, shape: tuple[int, int, int]) -> np.ndarray:
    """(K, J, I) bool of `shape`: where a label map whose indices are those of a volume has `value`."""
    mask = np.zeros(shape, bool)
    stored = np.reshape(labelmap.GetExtent(), (3, 2))[::-1]  # first and last k, j, i
    first = np.maximum(stored[:, 0], 0)
    end = np.maximum(np.minimum(stored[:, 1] + 1, shape), first)
    inside = tuple(slice(*edges) for edges in zip(first, end, strict=True))
    source = tuple(slice(*edges) for edges in zip(first - stored[:, 0], end - stored[:, 0], strict=True))
    mask[inside] = labelmap_array(labelmap)[source] == value
    return mask


def labelmap_matrix(labelmap: Any) -> np.ndarray:
    """(4, 4) float64, indices (i, j, k, 1) to RAS."""
    matrix = vtk.vtkMatrix4x4()
    labelmap.GetImageToWorldMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def _whole_extent(shape: tuple[int, ...]) -> Extent:
    return (0, shape[2] - 1, 0, shape[1] - 1, 0, shape[0] - 1)


def _bounding_extent(mask: np.ndarray) -> Extent:
    """First and last i, j and k of the voxels which are True; an empty box where none is."""
    k, j, i = (np.flatnonzero(mask.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1)))
    if not len(k):
        return (0, -1, 0, -1, 0, -1)
    return (int(i[0]), int(i[-1]), int(j[0]), int(j[-1]), int(k[0]), int(k[-1]))


def _region(extent: Extent) -> tuple[slice, slice, slice]:
    """Index of an array (K, J, I) for the voxels of an extent."""
    i0, i1, j0, j1, k0, k1 = extent
    return slice(k0, k1 + 1), slice(j0, j1 + 1), slice(i0, i1 + 1)
