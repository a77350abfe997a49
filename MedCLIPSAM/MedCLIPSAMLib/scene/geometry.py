"""Where the voxels of a node are: its IJK-to-RAS matrix and the transform nodes above it, in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk


def ijk_to_ras(volume_node: Any) -> np.ndarray:
    """(4, 4) float64, voxel indices (i, j, k, 1) to RAS of the node itself, without its transforms."""
    matrix = vtk.vtkMatrix4x4()
    volume_node.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def bending_transform(node: Any) -> Any:
    """The transform node above a node through which it is not linear in the world; None where it is.

    3D Slicer's DICOM reader puts such a one, "acquisition transform", over tilted and uneven series.
    """
    transform = node.GetParentTransformNode()
    return None if transform is None or transform.IsTransformToWorldLinear() else transform


def to_engine(node: Any) -> np.ndarray:
    """(4, 4) float64, RAS of the node to the RAS in which the engine works.

    That is the world's through linear transforms. Through others it is the node's own: its voxels are segmented as
    they are stored, and what comes of it is put under the same transform.
    """
    transform = node.GetParentTransformNode()
    if transform is None or bending_transform(node) is not None:
        return np.eye(4)
    matrix = vtk.vtkMatrix4x4()
    transform.GetMatrixTransformToWorld(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def ijk_to_engine(volume_node: Any) -> np.ndarray:
    """(4, 4) float64, voxel indices (i, j, k, 1) to the RAS in which the engine works."""
    return to_engine(volume_node) @ ijk_to_ras(volume_node)


def from_world(node: Any, places: np.ndarray) -> np.ndarray:
    """(N, 3) RAS of the node of places (N, 3) in RAS of the world, through transforms of any kind."""
    found = np.empty((len(places), 3))
    for place, to in zip(places, found, strict=True):
        ras = [0.0, 0.0, 0.0]
        node.TransformPointFromWorld(place, ras)
        to[:] = ras
    return found


def same_place(node: Any, other: Any) -> bool:
    """Whether a matrix leads from the RAS of a node to that of another: they share a transform, or all are linear."""
    if node.GetTransformNodeID() == other.GetTransformNodeID():
        return True
    return bending_transform(node) is None and bending_transform(other) is None
