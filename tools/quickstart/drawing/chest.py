"""The chest CT of the training data: labels where it has none, and the rest of the body around its narrow view.

Its field of view, 18 by 19 cm, ends inside the body. A network that has seen chests only so cut takes the heart on a
whole cross section for the liver, so the view is completed: lungs, ribs, muscle, fat and skin around it, roughly.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage
from skimage.draw import polygon2mask

from ..language.labels import LABEL_INDEX

OUTLINES = Path(__file__).with_name("chest_outlines.json")
MARGIN = ((0, 0), (6, 24), (58, 58))  # voxels added: slices, rows, columns
SHOULDERS = 100  # from this slice upwards the air in front of the skin is in view
TYPICAL_HU = {"lung_left": -850, "lung_right": -850, "liver": 60, "spleen": 110, "soft": 45, "fat": -100}
DENSITY = {"liver": (0, 170), "spleen": (40, 240), "stomach": (-1100, 300)}  # HU within an outline


def _between(outlines: dict[str, list[list[int]]], shape: tuple[int, ...]) -> np.ndarray:
    """Outlines ((column, row) corners by slice) filled, and interpolated by distance in the slices between them."""
    distances = {}
    for index, corners in outlines.items():
        plane = polygon2mask(shape[1:], np.array(corners)[:, ::-1])
        distances[int(index)] = ndimage.distance_transform_edt(plane) - ndimage.distance_transform_edt(~plane)
    mask = np.zeros(shape, bool)
    drawn = sorted(distances)
    for low, high in pairwise(drawn):
        for index in range(low, high + 1):
            share = (index - low) / (high - low)
            mask[index] = (1 - share) * distances[low] + share * distances[high] > 0
    return mask


def _labels(image: np.ndarray, aorta: np.ndarray, heart: np.ndarray) -> np.ndarray:
    """Labels (slices, rows, columns) by density, by hand-drawn outlines and from the two label files."""
    labels = np.zeros(image.shape, np.uint8)
    dark = np.pad(image < -500, 4, mode="edge")
    found, _ = ndimage.label(ndimage.binary_opening(dark, iterations=2))
    sizes = np.bincount(found.ravel())
    air = ndimage.binary_closing(np.isin(found, 1 + np.flatnonzero(sizes[1:] > 20000)), iterations=2)[4:-4, 4:-4, 4:-4]
    air[SHOULDERS:] &= ~np.logical_and.accumulate(image[SHOULDERS:] < -400, axis=1)
    left = np.arange(image.shape[2])[None, None] >= image.shape[2] / 2
    labels[air & ~left] = LABEL_INDEX["lung_right"]
    labels[air & left] = LABEL_INDEX["lung_left"]
    smooth = ndimage.gaussian_filter(image, 1.0)
    vessels = ndimage.binary_dilation((aorta > 0) | (heart > 0), iterations=2)
    bone = (smooth > 150) & ~vessels
    spine = np.zeros(image.shape, bool)
    spine[:, 84:, 22:80] = bone[:, 84:, 22:80]
    spine = ndimage.binary_closing(spine, np.ones((1, 3, 3)), iterations=2)
    found, _ = ndimage.label(spine)
    sizes = np.bincount(found.ravel())
    labels[found == 1 + np.argmax(sizes[1:])] = LABEL_INDEX["vertebra"]
    for name, outlines in json.loads(OUTLINES.read_text()).items():
        low, high = DENSITY[name]
        inside = _between(outlines, image.shape) & (smooth > low) & (smooth < high)
        labels[inside & ((labels == 0) | (name == "stomach"))] = LABEL_INDEX[name]
    labels[heart > 0] = LABEL_INDEX["heart"]
    labels[aorta > 0] = LABEL_INDEX["aorta"]
    return labels


def _complete(image: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both arrays with `MARGIN` around them: what lies at the edge goes on, inside a wall of ribs, muscle and fat."""
    rng = np.random.default_rng(0)
    shape = tuple(n + before + after for n, (before, after) in zip(image.shape, MARGIN, strict=True))
    known = np.pad(np.ones(image.shape, bool), MARGIN)
    go_on = np.pad(labels, MARGIN, mode="edge")
    edge = np.where(np.isin(go_on, [LABEL_INDEX[n] for n in ("lung_left", "lung_right", "liver", "spleen")]), go_on, 0)
    row, column = np.meshgrid(np.arange(shape[1]), np.arange(shape[2]), indexing="ij")
    y, x = (row - shape[1] / 2) / (shape[1] / 2), (column - shape[2] / 2) / (shape[2] / 2)
    radius = (np.abs(y) ** 2.6 + np.abs(x) ** 2.4) ** (1 / 2.5)
    angle = np.arctan2(y, x)
    slices = np.arange(shape[0])[:, None, None]
    rib = (np.sin(7 * angle + slices * 0.12) > 0.35) & (radius > 0.83) & (radius < 0.88)
    organ = np.where(radius < 0.81, edge, LABEL_INDEX["soft"]).astype(np.uint8)
    organ[organ == 0] = LABEL_INDEX["soft"]
    fat = np.broadcast_to(radius > 0.91, shape)
    organ[fat] = LABEL_INDEX["fat"]
    organ[rib] = LABEL_INDEX["rib"]
    density = np.zeros(shape, np.float32)
    for name, value in {**TYPICAL_HU, "rib": 400}.items():
        density[organ == LABEL_INDEX[name]] = value
    density = ndimage.gaussian_filter(density, (0, 0.8, 0.8)) + rng.normal(0, 25, shape).astype(np.float32)
    outside = np.broadcast_to(radius > 1, shape)
    organ[outside] = LABEL_INDEX["air"]
    density[outside] = -1000
    real = np.pad(image, MARGIN)
    share = np.clip(ndimage.distance_transform_edt(known[0]) / 6, 0, 1)[None]
    completed = np.where(known, share * real + (1 - share) * density, density).astype(np.float32)
    return completed, np.where(known, np.pad(labels, MARGIN), organ).astype(np.uint8)


def read_chest(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Image (HU) and labels, slices inferior to superior, 1.5 mm; unnamed tissue is 0."""
    ct = sitk.DICOMOrient(sitk.ReadImage(str(folder / "chest_ct.nii.gz")), "LPS")
    aorta = sitk.DICOMOrient(sitk.ReadImage(str(folder / "chest_ct_aorta.nii.gz")), "LPS")
    heart = sitk.DICOMOrient(sitk.ReadImage(str(folder / "chest_heart.nii.gz")), "LPS")
    heart = sitk.Resample(heart, ct, sitk.Transform(), sitk.sitkNearestNeighbor)
    image = sitk.GetArrayFromImage(ct).astype(np.float32)
    return _complete(image, _labels(image, sitk.GetArrayFromImage(aorta), sitk.GetArrayFromImage(heart)))
