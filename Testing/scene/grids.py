"""Volumes of every orientation, and where their voxels are by a second way of reckoning."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk

from MedCLIPSAMLib.engine.volume import Volume
from MedCLIPSAMLib.scene.volumes import node_from_volume

SHAPE = (9, 14, 11)
ORIGIN = (-30.5, 12.25, 7.0)


def rotation(x: float, y: float, z: float) -> np.ndarray:
    """(3, 3) rotation by angles in radians about the three axes."""
    cx, sx, cy, sy, cz, sz = np.cos(x), np.sin(x), np.cos(y), np.sin(y), np.cos(z), np.sin(z)
    return (
        np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
        @ np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        @ np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    )


def affine(axes: np.ndarray, origin: tuple[float, float, float] = ORIGIN) -> np.ndarray:
    """(4, 4) from the columns of `axes`, in mm per voxel, and an origin."""
    matrix = np.eye(4)
    matrix[:3, :3] = axes
    matrix[:3, 3] = origin
    return matrix


_OBLIQUE = rotation(0.3, -0.4, 0.5)
# IJK to RAS of each kind of volume.
GRIDS = {
    "axial": affine(np.diag([-0.7, -0.7, 3.0])),
    "coronal": affine(np.array([[-1.0, 0, 0], [0, 0, 4.0], [0, -1.0, 0]])),
    "sagittal": affine(np.array([[0, 0, 2.0], [0.5, 0, 0], [0, 0.5, 0]])),
    "oblique": affine(_OBLIQUE @ np.diag([0.9, 1.1, 2.3])),
    "left-handed": affine(_OBLIQUE @ np.diag([0.9, 1.1, -2.3])),
    "anisotropic": affine(np.diag([0.05, 1.0, 25.0])),
}
LEFT_HANDED = {kind for kind, matrix in GRIDS.items() if np.linalg.det(matrix[:3, :3]) < 0}
# To world, from the node's own RAS.
TRANSFORMS = {
    "rigid": affine(rotation(0.5, 0.1, -0.2), (5, 6, 7)),
    "scaled": affine(rotation(0.1, 0.2, 0.3) @ np.diag([1.5, 0.8, 1.1]), (0, -20, 3)),
    "sheared": affine(rotation(0.1, 0, 0) @ np.array([[1, 0.3, 0], [0, 1, 0.2], [0, 0, 1]]), (1, 2, 3)),
    "mirrored": affine(np.diag([-1.0, 1, 1]), (0, 0, 4)),
}


def voxels(seed: int = 0) -> np.ndarray:
    """(K, J, I) int16 without any symmetry."""
    return np.random.default_rng(seed).integers(-1000, 1000, SHAPE).astype(np.int16)


def blob(seed: int = 0) -> np.ndarray:
    """(K, J, I) bool without any symmetry, touching no side of the volume."""
    mask = np.zeros(SHAPE, bool)
    mask[2:6, 3:9, 4:10] = np.random.default_rng(seed).random((4, 6, 6)) > 0.4
    return mask


def volume_node(kind: str = "axial") -> Any:
    return node_from_volume(Volume(voxels(), GRIDS[kind], "CT", kind))


def transform_node(matrix: np.ndarray) -> Any:
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "moved")
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    return node


def warp_node() -> Any:
    """A transform node which bends."""
    warp = vtk.vtkThinPlateSplineTransform()
    source, target = vtk.vtkPoints(), vtk.vtkPoints()
    for number, point in enumerate([(0, 0, 0), (50, 0, 0), (0, 50, 0), (0, 0, 50), (50, 50, 50)]):
        source.InsertNextPoint(point)
        target.InsertNextPoint(np.add(point, 3 * number))
    warp.SetSourceLandmarks(source)
    warp.SetTargetLandmarks(target)
    warp.SetBasisToR()
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "warp")
    node.SetAndObserveTransformToParent(warp)
    return node


def positions(mask: np.ndarray, ijk_to_ras: np.ndarray) -> np.ndarray:
    """(n, 3) RAS of the True voxels of a mask (K, J, I), in a fixed order."""
    kji = np.argwhere(mask)
    return in_order(kji[:, ::-1] @ ijk_to_ras[:3, :3].T + ijk_to_ras[:3, 3])


def segment_positions(segmentation_node: Any, segment_id: str) -> np.ndarray:
    """(n, 3) RAS of the world of a segment's voxels, point by point through VTK and the transform nodes."""
    labelmap = segmentation_node.GetBinaryLabelmapInternalRepresentation(segment_id)
    label = segmentation_node.GetSegmentation().GetSegment(segment_id).GetLabelValue()
    to_ras = vtk.vtkMatrix4x4()
    labelmap.GetImageToWorldMatrix(to_ras)
    i0, i1, j0, j1, k0, k1 = labelmap.GetExtent()
    points = []
    for k in range(k0, k1 + 1):
        for j in range(j0, j1 + 1):
            for i in range(i0, i1 + 1):
                if labelmap.GetScalarComponentAsDouble(i, j, k, 0) == label:
                    world = [0.0, 0.0, 0.0]
                    segmentation_node.TransformPointToWorld(to_ras.MultiplyPoint((i, j, k, 1))[:3], world)
                    points.append(world)
    return in_order(np.array(points).reshape(-1, 3))


def in_order(points: np.ndarray) -> np.ndarray:
    """The rows sorted, with rounding so that noise in the last digits does not change the order."""
    return points[np.lexsort(np.round(points, 3).T)]
