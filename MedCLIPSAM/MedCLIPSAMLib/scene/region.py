"""A region of interest of the scene as the engine takes it."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk

from ..engine.errors import InputError
from ..engine.volume.region import Region


def region_of(roi_node: Any) -> Region:
    """The box of a vtkMRMLMarkupsROINode in RAS of the world, whatever transforms it is under.

    Raises:
        InputError: it has no extent yet.
    """
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(roi_node.GetObjectToWorldMatrix())
    box_to_ras = slicer.util.arrayFromVTKMatrix(matrix) @ np.diag([*np.divide(roi_node.GetSize(), 2), 1])
    if not abs(np.linalg.det(box_to_ras)) > 0:
        raise InputError(f"{roi_node.GetName()} has no extent; draw the region, or choose the whole volume.")
    return Region(tuple(map(tuple, np.linalg.inv(box_to_ras).tolist())))
