"""Binary label maps as segments hold them, from and to masks on the grid of a volume."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import numpy as np
import slicer
import vtk
from vtkmodules.util import numpy_support

Extent = tuple[int, int, int, int, int, int]


def make_labelmap(ijk_to_ras: np.ndarray, mask: np.ndarray) -> Any:
    """A label map of 0 and 1 of the bounding box of `mask`, as 3D Slicer stores segments.

    Args:
        ijk_to_ras: (4, 4), indices (i, j, k, 1) of `mask` to RAS.
        mask: (K, J, I) bool.

    Returns:
        vtkOrientedImageData of unsigned char; its extent says which voxels of `mask` are stored.
    """
    extent = _bounding_extent(mask)
    labelmap = _allocated(ijk_to_ras, extent)
    labelmap_array(labelmap)[:] = mask[_region(extent)]
    return labelmap


def empty_labelmap(ijk_to_ras: np.ndarray, extent: Extent) -> Any:
    """As `make_labelmap`, but of zeros, to be filled later."""
    labelmap = _allocated(ijk_to_ras, extent)
    labelmap_array(labelmap)[:] = 0
    return labelmap


def _allocated(ijk_to_ras: np.ndarray, extent: Extent) -> Any:
    labelmap = slicer.vtkOrientedImageData()
    labelmap.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(ijk_to_ras))
    labelmap.SetExtent(extent)
    labelmap.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    return labelmap


def labelmap_array(labelmap: Any) -> np.ndarray:
    """(k, j, i) view of the voxels that a label map stores; it keeps their memory alive."""
    shape = labelmap.GetDimensions()[::-1]
    if 0 in shape:
        return np.empty(shape, np.uint8)
    return numpy_support.vtk_to_numpy(labelmap.GetPointData().GetScalars()).reshape(shape)


def fingerprint(labelmap: Any, value: int) -> str:
    """SHA-256 of which voxels have `value`; the same however many others a label map stores around or beside them."""
    inside = labelmap_array(labelmap) == value
    box = _bounding_extent(inside)
    first = np.repeat(labelmap.GetExtent()[::2], 2) if inside.any() else np.zeros(6, int)
    digest = sha256(np.add(box, first).astype("<i4").tobytes())
    digest.update(np.packbits(inside[_region(box)]).tobytes())
    return digest.hexdigest()


def _bounding_extent(mask: np.ndarray) -> Extent:
    """First and last i, j and k of the voxels which are True; an empty box where none is."""
    k = np.flatnonzero(mask.any(axis=(1, 2)))
    if not len(k):
        return (0, -1, 0, -1, 0, -1)
    slab = mask[k[0] : k[-1] + 1]  # most of a large volume need not be read again
    j, i = (np.flatnonzero(slab.any(axis=others)) for others in ((0, 2), (0, 1)))
    return (int(i[0]), int(i[-1]), int(j[0]), int(j[-1]), int(k[0]), int(k[-1]))


def _region(extent: Extent) -> tuple[slice, slice, slice]:
    """Index of an array (K, J, I) for the voxels of an extent."""
    i0, i1, j0, j1, k0, k1 = extent
    return slice(k0, k1 + 1), slice(j0, j1 + 1), slice(i0, i1 + 1)
