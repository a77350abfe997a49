"""Where the voxels of a node are: its IJK-to-RAS matrix and the transform nodes above it, in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk

from ..engine.errors import InputError


def ijk_to_ras(volume_node: Any) -> np.ndarray:
    """(4, 4) float64, voxel indices (i, j, k, 1) to RAS of the node itself, without its transforms."""
    matrix = vtk.vtkMatrix4x4()
    volume_node.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def to_world(node: Any) -> np.ndarray:
    """(4, 4) float64, RAS of the node to RAS of the world, through all transforms above it.

    Raises:
        InputError: a transform above the node is not linear.
    """
    transform = node.GetParentTransformNode()
    if transform is None:
        return np.eye(4)
    if not transform.IsTransformToWorldLinear():
        raise InputError(
            f"{node.GetName()} is under the non-linear transform {transform.GetName()}; "
            "harden that transform on it first."
        )
    matrix = vtk.vtkMatrix4x4()
    transform.GetMatrixTransformToWorld(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def ijk_to_world(volume_node: Any) -> np.ndarray:
    """(4, 4) float64, voxel indices (i, j, k, 1) to RAS of the world.

    Raises:
        InputError: a transform above the node is not linear.
    """
    return to_world(volume_node) @ ijk_to_ras(volume_node)
