"""A region of interest of the scene as the engine takes it."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk

from ..engine.errors import InputError
from ..engine.volume.region import Region
from .geometry import bending_transform, from_world

_STEPS = 9  # along each edge of a box, where its bending is looked at


def region_of(roi_node: Any, volume_node: Any) -> Region:
    """The box of a vtkMRMLMarkupsROINode as the engine meets it in a volume, whatever transforms both are under.

    Under a transform that is not linear the box is bent there: the region is a straight box around it.

    Raises:
        InputError: it has no extent yet.
    """
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(roi_node.GetObjectToWorldMatrix())
    box_to_ras = slicer.util.arrayFromVTKMatrix(matrix) @ np.diag([*np.divide(roi_node.GetSize(), 2), 1])
    if not abs(np.linalg.det(box_to_ras)) > 0:
        raise InputError(f"{roi_node.GetName()} has no extent; draw the region, or choose the whole volume.")
    if bending_transform(volume_node) is not None:
        box_to_ras = _around_bent(box_to_ras, volume_node)
    return Region(tuple(map(tuple, np.linalg.inv(box_to_ras).tolist())))


def _around_bent(box_to_world: np.ndarray, volume_node: Any) -> np.ndarray:
    """(4, 4) a box -1..1 to RAS of a volume node, around that of the world as the node's transform bends it."""
    steps = np.linspace(-1, 1, _STEPS)
    inside = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)
    bent = from_world(volume_node, inside @ box_to_world[:3, :3].T + box_to_world[:3, 3])
    fitted, *_ = np.linalg.lstsq(np.column_stack([inside, np.ones(len(inside))]), bent, rcond=None)
    box_to_ras = np.eye(4)
    box_to_ras[:3] = fitted.T
    covered = np.linalg.solve(box_to_ras[:3, :3], (bent - box_to_ras[:3, 3]).T)
    low, high = covered.min(axis=1), covered.max(axis=1)
    to_covered = np.diag([*(high - low) / 2, 1])
    to_covered[:3, 3] = (low + high) / 2
    return box_to_ras @ to_covered
