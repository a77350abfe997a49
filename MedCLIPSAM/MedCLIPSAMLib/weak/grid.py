"""Voxels as nnU-Net is given them: in one order for all volumes, and single slices in two dimensions."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import SimpleITK as sitk

from ..engine.errors import InputError
from ..engine.volume import Volume

_ORDER = nib.orientations.axcodes2ornt(("L", "P", "S"))  # that of ITK's unit directions
_STORED = ("uint8", "int16", "uint16", "int32", "float32")
_ACROSS = 999  # nnU-Net's distance of slices that have no neighbours, in the larger side of a pixel
_SQUARE = 1e-4  # cosine of axes that count as being at right angles


class Grid:
    """Between the voxels of a volume, (K, J, I), and those of a file for nnU-Net.

    Volumes are turned, without resampling, so that columns run to the left, rows to the back and slices up: what a
    network learns does not depend on how a file happens to store them. A single slice has two dimensions.

    Raises:
        InputError: axes are not at right angles, which NIfTI cannot hold.
    """

    def __init__(self, volume: Volume) -> None:
        axes = volume.ijk_to_ras[:3, :3] / volume.spacing
        if np.abs(axes.T @ axes - np.eye(3)).max() > _SQUARE:
            raise InputError(f"{volume.name} has voxel axes that are not at right angles; resample it.")
        self._volume = volume
        stored = nib.orientations.io_orientation(volume.ijk_to_ras)
        self._there = nib.orientations.ornt_transform(stored, _ORDER)
        self._back = nib.orientations.ornt_transform(_ORDER, stored)
        shape = volume.array.shape[::-1]
        self._matrix = volume.ijk_to_ras @ nib.orientations.inv_ornt_aff(self._there, shape)
        turned = self._turn(volume.array, self._there).shape
        self._single = turned.index(1) if 1 in turned else None

    @property
    def is_flat(self) -> bool:
        """Whether it is one slice."""
        return self._single is not None

    @cached_property
    def _spacing(self) -> tuple[float, ...]:
        """Of the turned axes k, j, i, without the one of a single slice."""
        spacing = np.linalg.norm(self._matrix[:3, :3], axis=0)[::-1]
        return tuple(float(mm) for axis, mm in enumerate(spacing) if axis != self._single)

    def image(self) -> np.ndarray:
        """The volume's voxels as files hold them: (K, J, I) turned, or (H, W); what is not finite is the lowest."""
        array = self.turned(self._volume.array)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            finite = array[np.isfinite(array)]
            array = np.where(np.isfinite(array), array, finite.min() if finite.size else 0)
        return array.astype(array.dtype if array.dtype.name in _STORED else np.float32)

    def turned(self, array: np.ndarray) -> np.ndarray:
        """(K, J, I) of the volume as files hold it."""
        array = self._turn(array, self._there)
        return array if self._single is None else array.squeeze(self._single)

    def restored(self, array: np.ndarray) -> np.ndarray:
        """What files hold, (K, J, I) turned, or (H, W), as (K, J, I) of the volume."""
        array = array if self._single is None else np.expand_dims(array, self._single)
        return self._turn(array, self._back)

    def for_network(self) -> tuple[np.ndarray, dict[str, Any]]:
        """(1, K, J, I) float32 and its properties, as nnU-Net's own reader makes them of the file."""
        image = self.image().astype(np.float32)
        if not self.is_flat:
            return image[None], {"spacing": list(self._spacing)}
        return image[None, None], {"spacing": [_ACROSS * max(self._spacing), *self._spacing]}

    def from_network(self, array: np.ndarray) -> np.ndarray:
        """(K, J, I) of what was predicted for `for_network`, as (K, J, I) of the volume."""
        return self.restored(array[0] if self.is_flat else array)

    def write(self, array: np.ndarray, path: Path) -> None:
        """Write voxels, as `image` or `turned` give them, to a NIfTI file."""
        image = sitk.GetImageFromArray(np.ascontiguousarray(array))
        image.SetSpacing(self._spacing[::-1])
        if not self.is_flat:
            lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ self._matrix
            image.SetOrigin(lps[:3, 3].tolist())
            image.SetDirection((lps[:3, :3] / np.linalg.norm(lps[:3, :3], axis=0)).ravel().tolist())
        try:
            sitk.WriteImage(image, str(path), True)
            sitk.ReadImage(str(path))  # ITK does not notice that a disk is full
        except RuntimeError:
            raise OSError(None, "could not be written whole; check the free space", str(path)) from None

    @staticmethod
    def _turn(array: np.ndarray, orientation: np.ndarray) -> np.ndarray:
        return nib.orientations.apply_orientation(array.T, orientation).T
