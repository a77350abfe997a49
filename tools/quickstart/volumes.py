"""Labelled training volumes, from the folders named on the command line of ``train``.

Orientation of every array: slices inferior to superior, rows anterior to posterior, columns right to left
(radiological display of an axial slice).
"""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

import numpy as np
import SimpleITK as sitk
import torch
from scipy import ndimage

from .chest import read_chest
from .terms import BRAIN, LABEL_INDEX, TERM_INDEX, TERMS

BRAIN_TERMS = (
    "brain",
    "cerebellum",
    "hippocampus",
    "thalamus",
    "caudate",
    "putamen",
    "frontal lobe",
    "temporal lobe",
    "parietal lobe",
    "occipital lobe",
    "skull",
)
UPPER_ABDOMEN = (
    "liver",
    "spleen",
    "kidney",
    "left kidney",
    "right kidney",
    "adrenal gland",
    "gallbladder",
    "stomach",
    "pancreas",
    "duodenum",
    "portal vein",
)
LOBES = ("frontal", "temporal", "parietal", "occipital")
CHEST = ("lung", "left lung", "right lung", "heart")


@dataclass
class TrainingVolume:
    """A volume with tissue labels. ``known`` marks the terms whose presence and extent are known everywhere."""

    name: str
    image: torch.Tensor  # (1, 1, slices, rows, columns) float32, HU or 0..1
    labels: torch.Tensor  # the same shape, float32 (grid_sample wants floats)
    spacing: np.ndarray  # (3,) mm: slice, row, column
    kind: str  # "ct" or "mr"
    globals: tuple[str, ...]
    known: torch.Tensor  # (terms,) bool
    weight: float
    full: bool  # every voxel has its label
    points: dict[int, np.ndarray] = field(default_factory=dict)
    centre: np.ndarray = field(default_factory=lambda: np.zeros(3))
    extent: float = 0.0  # mm, the larger in-plane size of the body


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    image = sitk.ReadImage(str(path))
    if image.GetDimension() == 4:
        image = image[:, :, :, 0]
    image = sitk.DICOMOrient(image, "LPS")
    return sitk.GetArrayFromImage(image), np.array(image.GetSpacing()[::-1])


def body_mask(image: np.ndarray, threshold: float) -> np.ndarray:
    """Largest bright component of each slice, holes filled: the body without table and arms."""
    bright = ndimage.binary_opening(image > threshold, iterations=1)
    body = np.zeros_like(bright)
    for index, plane in enumerate(bright):
        labels, count = ndimage.label(plane)
        if count:
            body[index] = ndimage.binary_fill_holes(labels == 1 + np.argmax(np.bincount(labels.ravel())[1:]))
    return body


def _ct_tissues(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Names unlabelled CT voxels by their density, so that contrasts can be drawn per tissue."""
    body = body_mask(image, -300)
    smooth = ndimage.gaussian_filter(image.astype(np.float32), 0.5)
    free = labels == LABEL_INDEX["other"]
    labels[free & ~body] = LABEL_INDEX["air"]
    free &= body
    for name, low, high in (
        ("gas", -np.inf, -300),
        ("fat", -300, -25),
        ("soft", -25, 150),
        ("bone", 150, np.inf),
    ):
        labels[free & (smooth > low) & (smooth <= high)] = LABEL_INDEX[name]
    return labels


def _totalsegmentator(name: str) -> str:
    for prefix, label in (
        ("vertebra", "vertebra"),
        ("sacrum", "vertebra"),
        ("rib_", "rib"),
        ("autochthon", "back_muscle"),
        ("iliopsoas", "psoas"),
        ("adrenal", "adrenal"),
    ):
        if name.startswith(prefix):
            return label
    if name.startswith("lung"):
        return "lung_left" if "left" in name else "lung_right"
    renamed = {
        "costal_cartilages": "cartilage",
        "inferior_vena_cava": "vena_cava",
        "portal_vein_and_splenic_vein": "portal_vein",
    }
    return renamed.get(name, name if name in LABEL_INDEX else "other")


def _aal(name: str) -> str:
    name = name.lower()
    if "parahipp" in name:
        return "temporal"
    for part, label in (
        ("cerebel", "cerebellum"),
        ("vermis", "cerebellum"),
        ("hippocamp", "hippocampus"),
        ("thalamus", "thalamus"),
        ("caudate", "caudate"),
        ("putamen", "putamen"),
        ("pallidum", "pallidum"),
        ("insula", "insula"),
        ("cingul", "cingulate"),
        ("amygdala", "amygdala"),
        ("precuneus", "parietal"),
    ):
        if part in name:
            return label
    lobes = {
        "frontal": "frontal precentral rolandic supp_motor olfactory rectus",
        "temporal": "temporal heschl fusiform",
        "occipital": "calcarine cuneus lingual occipital",
        "parietal": "parietal postcentral supramarginal angular paracentral",
    }
    for label, parts in lobes.items():
        if any(part in name for part in parts.split()):
            return label
    return "brain_other"


def _known(*names: str) -> torch.Tensor:
    known = torch.zeros(len(TERMS), dtype=torch.bool)
    known[[TERM_INDEX[name] for name in names]] = True
    return known


def finish(
    name: str,
    image: np.ndarray,
    labels: np.ndarray,
    spacing: np.ndarray,
    kind: str,
    globals_: tuple[str, ...],
    known: torch.Tensor,
    weight: float,
    full: bool,
) -> TrainingVolume:
    """A training volume of (slices, rows, columns) arrays, with what is looked up often worked out once."""
    volume = TrainingVolume(
        name,
        torch.from_numpy(np.ascontiguousarray(image, np.float32))[None, None],
        torch.from_numpy(np.ascontiguousarray(labels)).float()[None, None],
        spacing,
        kind,
        globals_,
        known,
        weight,
        full,
    )
    rng = np.random.default_rng(0)
    for label in np.unique(labels):
        voxels = np.argwhere(labels == label)
        if label not in (LABEL_INDEX["other"], LABEL_INDEX["air"]) and len(voxels) >= 30:
            volume.points[int(label)] = rng.permutation(voxels)[:3000]
    body = np.argwhere(labels != LABEL_INDEX["air"])
    low, high = body.min(0), body.max(0)
    volume.centre = (low + high) / 2
    volume.extent = float(max((high - low)[1:] * spacing[1:]))
    return volume


def load_abdomen(folder: Path) -> list[TrainingVolume]:
    """The labelled upper abdomen and the rest of the same scan, where only some terms are known."""
    image, spacing = _read(folder / "abdomen_ct.nii.gz")
    ids, _ = _read(folder / "abdomen_ct_labels.nii.gz")
    names = {int(k): v for k, v in json.loads((folder / "labels.json").read_text()).items()}
    labels = np.zeros(ids.shape, np.uint8)
    for value, name in names.items():
        labels[ids == value] = LABEL_INDEX[_totalsegmentator(name)]
    labels = _ct_tissues(image, labels)
    everything = torch.ones(len(TERMS), dtype=torch.bool)
    everything[TERM_INDEX["bone"]] = everything[TERM_INDEX["fat"]] = True
    upper = finish("abdomen", image, labels, spacing, "ct", ("ct", "abdomen"), everything, 6.0, True)

    image, spacing = _read(folder / "spine_ct.nii.gz")
    ids, _ = _read(folder / "spine_ct_labels.nii.gz")
    image, ids = image[:82], ids[:82]  # the slices above are the labelled abdomen
    labels = np.where(ids > 0, LABEL_INDEX["vertebra"], 0).astype(np.uint8)
    labels = _ct_tissues(image, labels)
    always = (
        *BRAIN_TERMS,
        *CHEST,
        "spleen",
        "stomach",
        "adrenal gland",
        "vertebra",
        "background",
        "fat",
        "ct",
        "mr",
        "head",
        "chest",
        "costal cartilage",
        "bone",
    )
    below = finish(
        "middle",
        image[50:],
        labels[50:],
        spacing,
        "ct",
        ("ct", "abdomen"),
        _known(*always, "abdomen", "pelvis"),
        1.5,
        False,
    )
    pelvis = finish(
        "pelvis",
        image[:46],
        labels[:46],
        spacing,
        "ct",
        ("ct", "pelvis"),
        _known(*always, *UPPER_ABDOMEN, "rib", "pelvis"),
        4.0,
        False,
    )
    return [upper, below, pelvis]


def load_chest(folder: Path) -> list[TrainingVolume]:
    """Upper abdomen and chest of the chest CT, see `quickstart.chest`."""
    image, labels = read_chest(folder)
    labels = _ct_tissues(image, labels)
    spacing = np.array([1.5] * 3)
    both = (*BRAIN_TERMS, "aorta", "vertebra", "background", "fat", "ct", "mr", "chest", "head", "pelvis", "psoas")
    absent = ("kidney", "left kidney", "right kidney", "gallbladder")
    dome = _known(*both, *CHEST, *absent)
    chest = _known(*both, *CHEST, *absent, "liver", "spleen", "stomach", "pancreas", "duodenum", "small bowel")
    return [
        finish("dome", image[15:56], labels[15:56], spacing, "ct", ("ct", "chest"), dome, 2.5, False),
        finish("chest", image[50:140], labels[50:140], spacing, "ct", ("ct", "chest"), chest, 1.5, False),
    ]


def load_ct_head(folder: Path) -> list[TrainingVolume]:
    """CT head of Debian's invesalius-examples; brain and skull by density."""
    with tarfile.open(folder / "Cranium.inv3") as archive:
        member = next(member for member in archive.getmembers() if member.name.endswith("matrix.dat"))
        voxels = np.frombuffer(cast(IO[bytes], archive.extractfile(member)).read(), np.int16)
    image = np.ascontiguousarray(voxels.reshape(108, 256, 256)[:, ::-1]).astype(np.float32)
    body = body_mask(image, -300)
    smooth = ndimage.gaussian_filter(image, 0.7)
    inside = ndimage.binary_erosion(body & (smooth > -20) & (smooth < 90), iterations=4)
    found, _ = ndimage.label(inside)
    inside = found == 1 + np.argmax(np.bincount(found.ravel())[1:])
    brain = ndimage.binary_closing(ndimage.binary_dilation(inside, iterations=4), iterations=3)
    labels = np.where(body, LABEL_INDEX["skull"], LABEL_INDEX["air"]).astype(np.uint8)
    labels[body & (image < -300)] = LABEL_INDEX["gas"]
    labels[ndimage.binary_dilation(brain, iterations=2) & (labels == LABEL_INDEX["skull"])] = LABEL_INDEX["other"]
    labels[brain & body] = LABEL_INDEX["brain_other"]
    labels[:12][labels[:12] != LABEL_INDEX["air"]] = LABEL_INDEX["other"]
    known = torch.ones(len(TERMS), dtype=torch.bool)
    lobes = ("cerebellum", "hippocampus", "thalamus", "caudate", "putamen", "bone", "fat")
    known[[TERM_INDEX[name] for name in (*lobes, *(f"{lobe} lobe" for lobe in LOBES))]] = False
    spacing = np.array([1.5, 0.957, 0.957])
    return [finish("ct head", image, labels, spacing, "ct", ("ct", "head"), known, 0.7, False)]


def load_head(folder: Path) -> list[TrainingVolume]:
    """Colin27 T1 head with AAL labels (Debian's mricron-data)."""
    image, spacing = _read(folder / "ch2.nii.gz")
    regions, _ = _read(folder / "aal.nii.gz")
    stripped, _ = _read(folder / "ch2bet.nii.gz")
    image = image.astype(np.float32)
    body = body_mask(image, 18)
    labels = np.where(body, LABEL_INDEX["skull"], LABEL_INDEX["air"]).astype(np.uint8)
    brain = ndimage.binary_closing(stripped > 0, iterations=2) | (regions > 0)
    rim = ndimage.binary_dilation(brain, iterations=2) & (labels == LABEL_INDEX["skull"])
    labels[rim] = LABEL_INDEX["other"]
    labels[brain] = LABEL_INDEX["brain_other"]
    for line in (folder / "aal.nii.txt").read_text().splitlines():
        parts = line.split()
        if len(parts) > 1:
            labels[regions == int(parts[0])] = LABEL_INDEX[_aal(parts[1])]
    labels[:20][labels[:20] == LABEL_INDEX["skull"]] = LABEL_INDEX["other"]
    image = np.clip(image / np.percentile(image[body], 99), 0, 1.2)
    known = torch.ones(len(TERMS), dtype=torch.bool)
    known[[TERM_INDEX["bone"], TERM_INDEX["fat"]]] = False
    return [finish("head", image, labels, spacing, "mr", ("mr", "head"), known, 1.8, True)]


def load_all(clinical: Path, heads: Path, examples: Path) -> list[TrainingVolume]:
    """Every training volume; the folders are those of `train`."""
    volumes = [*load_abdomen(clinical), *load_chest(clinical), *load_ct_head(examples), *load_head(heads)]
    if not any(LABEL_INDEX[label] in volumes[-1].points for label in BRAIN):
        raise ValueError(f"{heads} holds no labelled brain; check the AAL label files of mricron-data")
    return volumes
