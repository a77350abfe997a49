"""Where a training slice is cut out of a volume, and how its anatomy is deformed."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from torch import Tensor

from ..language.labels import LABEL_INDEX
from .fields import chance, mesh, smooth_noise, uniform
from .volumes import TrainingVolume

CHESTS = ("dome", "chest")  # arterial phase, with contrast in heart and aorta


AIR, OTHER = LABEL_INDEX["air"], LABEL_INDEX["other"]


# For slice, row and column of a plane the axis of the array (0 slices, rising from the feet; 1 rows, to the back;
# 2 columns, to the patient's left) and its direction, as `SliceStack` shows them.
_AXES = {
    "axial": ((0, 1), (1, 1), (2, 1)),
    "coronal": ((1, 1), (0, -1), (2, 1)),
    "sagittal": ((2, 1), (0, -1), (1, 1)),
}


_AXIAL = 0.6  # of the slices of a volume that is cut along all planes


@dataclass(frozen=True)
class View:
    """Where a slice is cut: centre in voxels, field of view in mm, and whether the whole cross section is in view."""

    plane: str
    centre: np.ndarray
    fov: float
    whole: bool

    @property
    def axes(self) -> tuple[tuple[int, int], ...]:
        return _AXES[self.plane]


def place(volume: TrainingVolume) -> View:
    plane = "axial" if len(volume.planes) == 1 or chance(_AXIAL) else random.choice(volume.planes[1:])
    (through, _), *within = _AXES[plane]
    extent = max(volume.size[axis] for axis, _ in within)
    if volume.kind == "picture":
        centre = volume.centre + np.array([0, *(uniform(-0.05, 0.05) * extent for _ in range(2))])
        return View(plane, centre, extent * uniform(0.85, 1.1), True)
    if not volume.points or chance(0.7 if volume.name in CHESTS else 0.85):
        centre = volume.centre.copy()
        reach = volume.size[through] / volume.spacing[through] / 2
        centre[through] += uniform(-reach, reach) * (0.98 if plane == "axial" else 0.8)
        for axis, _ in within:
            centre[axis] += uniform(-0.05, 0.05) * extent / volume.spacing[axis]
        return View(plane, centre, extent * uniform(0.9, 1.25), True)
    voxels = volume.points[random.choice(list(volume.points))]
    fov = extent * uniform(0.35, 0.85)
    centre = voxels[random.randrange(len(voxels))].astype(float)
    for axis, _ in within:
        centre[axis] += uniform(-0.3, 0.3) * fov / volume.spacing[axis]
    return View(plane, centre, fov, False)


def _displacement(volume: TrainingVolume, view: View, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Sampling positions relative to the centre in mm: slice, row and column, each (size, size)."""
    fov, extent = view.fov, max(volume.size[axis] for axis, _ in view.axes[1:])
    angle, tilt_column, tilt_row = (math.radians(random.gauss(0, 7)) for _ in range(3))
    stretch = math.exp(random.gauss(0, 0.09))
    rows, columns = mesh(size)
    y, x = rows * fov * stretch, columns * fov / stretch
    # Thicker or thinner body wall around the same organs.
    radius = torch.sqrt((x / (0.55 * extent)) ** 2 + (y / (0.42 * extent)) ** 2).clamp(0.05, 2)
    ratio = radius ** random.gauss(0, 0.13)
    y, x = y * ratio, x * ratio
    elastic = smooth_noise(3, 5, size) * uniform(0, 0.035) + smooth_noise(3, 10, size) * uniform(0, 0.012)
    elastic = elastic * extent
    # Organs larger or smaller than their neighbours.
    for _ in range(random.choice((0, 1, 2, 3))):
        spread = uniform(0.06, 0.18) * extent
        cy, cx = uniform(-0.3, 0.3) * fov, uniform(-0.35, 0.35) * fov
        weight = torch.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * spread**2)) * uniform(-0.35, 0.35)
        y, x = y + (y - cy) * weight, x + (x - cx) * weight
    row = y * math.cos(angle) - x * math.sin(angle) + elastic[0]
    column = y * math.sin(angle) + x * math.cos(angle) + elastic[1]
    thin = volume.size[view.axes[0][0]] < 150
    along = (y * math.tan(tilt_row) + x * math.tan(tilt_column)) * (0.4 if thin else 1.0)
    return along + elastic[2] * (0.2 if thin else 0.5), row, column


def cut(volume: TrainingVolume, view: View, size: int) -> tuple[Tensor, Tensor]:
    """A deformed oblique slice: image (1, 1, size, size), HU or 0..1, and labels (size, size)."""
    shape, positions = volume.labels.shape, [torch.empty(0)] * 3
    for (axis, sign), offset in zip(view.axes, _displacement(volume, view, size), strict=True):
        positions[axis] = float(view.centre[axis]) + sign * offset / float(volume.spacing[axis])
    through = view.axes[0][0]
    positions[through] = positions[through].clamp(0, shape[through] - 1)
    inside = torch.ones(size, size, dtype=torch.bool)
    for position, length in zip(positions, shape, strict=True):
        inside &= (position >= -0.5) & (position <= length - 0.5)
    nearest = [position.round().long().clamp(0, n - 1) for position, n in zip(positions, shape, strict=True)]
    labels = volume.labels[nearest[0], nearest[1], nearest[2]].long()
    beyond = OTHER if volume.kind == "picture" else AIR
    labels = torch.where(inside, labels, torch.tensor(beyond))
    if volume.painted:
        return torch.zeros(1, 1, size, size), labels
    below = [position.floor().long() for position in positions]
    share = [position - low for position, low in zip(positions, below, strict=True)]
    image = torch.zeros(size, size)
    for corner in product((0, 1), repeat=3):
        at = [(low + step).clamp(0, n - 1) for low, step, n in zip(below, corner, shape, strict=True)]
        weight = torch.ones(size, size)
        for part, step in zip(share, corner, strict=True):
            weight = weight * (part if step else 1 - part)
        image += weight * volume.image[at[0], at[1], at[2]].float()
    if volume.kind == "ct":
        image = torch.where(inside, image, torch.tensor(-1000.0))
    else:
        image = torch.where(inside, image / 255, torch.tensor(0.0))
    return image[None, None], labels
