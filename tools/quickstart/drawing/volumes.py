"""Labelled training volumes, from the folders named on the command line of ``train``.

Orientation of every array: slices inferior to superior, rows anterior to posterior, columns right to left
(radiological display of an axial slice).
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import SimpleITK as sitk
import torch
from scipy import ndimage

from ..language.covers import elsewhere
from ..language.labels import LABEL_INDEX
from ..language.terms import REGION_COUNT, REGIONS, TERM_INDEX
from .chest import read_chest

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
# Findings that the people whose organs are labelled do not have.
NO_FINDINGS = (
    "brain tumour",
    "white matter lesion",
    "stroke lesion",
    "intracranial haemorrhage",
    "perihaematomal oedema",
    "breast lesion",
    "lung tumour",
    "liver tumour",
    "pleural effusion",
)
PLANES = ("axial", "coronal", "sagittal")


@dataclass
class TrainingVolume:
    """A volume with tissue labels, or one picture of one slice.

    Attributes:
        labels: (slices, rows, columns) uint8, numbers of `LABELS`.
        image: the same shape, int16 HU or uint8 greys; a single voxel if it is `painted`.
        spacing: (3,) mm of slice, row, column; of a picture pixels.
        kind: "ct" (HU), "mr" (greys), or "picture": greys that were windowed by others, shown whole.
        globals: names of the terms of the picture as a whole that hold.
        known: (terms,) bool, the terms whose presence and extent are known everywhere.
        weight: how often it is drawn beside the others.
        full: every voxel has its label, so that a contrast can be painted from them alone.
        painted: there is no image: it is always painted.
        flip: left and right may be exchanged.
        turn: it lies in any of four ways.
        planes: along which it is cut.
    """

    name: str
    image: torch.Tensor
    labels: torch.Tensor
    spacing: np.ndarray
    kind: str
    globals: tuple[str, ...]
    known: torch.Tensor
    weight: float
    full: bool
    painted: bool = False
    flip: bool = False
    turn: bool = False
    planes: tuple[str, ...] = ("axial",)
    points: dict[int, np.ndarray] = field(default_factory=dict)
    centre: np.ndarray = field(default_factory=lambda: np.zeros(3))
    size: np.ndarray = field(default_factory=lambda: np.zeros(3))  # mm, of the body


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    image = sitk.ReadImage(str(path))
    if image.GetDimension() == 4:
        image = image[:, :, :, 0]
    image = sitk.DICOMOrient(image, "LPS")
    return sitk.GetArrayFromImage(image), np.array(image.GetSpacing()[::-1])


def greys(image: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Intensities to 0..255, of which the brightest part of those in ``shown`` is white."""
    return np.clip(image / max(1e-6, np.percentile(shown, 99.5)), 0, 1) * 255


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


# The labels that its structures become.
TOTALSEGMENTATOR = (
    "liver", "spleen", "kidney_left", "kidney_right", "adrenal", "gallbladder", "stomach", "pancreas",
    "duodenum", "small_bowel", "colon", "aorta", "vena_cava", "portal_vein", "vertebra", "spinal_cord",
    "back_muscle", "psoas", "rib", "cartilage", "lung_left", "lung_right", "heart", "esophagus", "hip",
    "gluteus", "iliac_vessel",
)  # fmt: skip


def from_totalsegmentator(name: str) -> str:
    for prefix, label in (
        ("vertebra", "vertebra"),
        ("sacrum", "vertebra"),
        ("rib_", "rib"),
        ("autochthon", "back_muscle"),
        ("iliopsoas", "psoas"),
        ("adrenal", "adrenal"),
        ("hip_", "hip"),
        ("gluteus", "gluteus"),
        ("iliac_", "iliac_vessel"),
        ("femur", "femur"),
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


def known_terms(annotated: Sequence[str], places: Sequence[str]) -> torch.Tensor:
    """(terms,) bool: those that are annotated, those that are in none of ``places``, and those of the whole picture."""
    known = torch.from_numpy(elsewhere(places))
    known[[TERM_INDEX[name] for name in annotated]] = True
    known[REGION_COUNT:] = True
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
    **more: Any,
) -> TrainingVolume:
    """A training volume of (slices, rows, columns) arrays, with what is looked up often worked out once."""
    volume = TrainingVolume(
        name,
        torch.from_numpy(np.ascontiguousarray(image, np.int16 if kind == "ct" else np.uint8)),
        torch.from_numpy(np.ascontiguousarray(labels, np.uint8)),
        np.asarray(spacing, float),
        kind,
        globals_,
        known,
        weight,
        full,
        **more,
    )
    rng = np.random.default_rng(0)
    for label in np.unique(labels):
        voxels = np.argwhere(labels == label)
        if label not in (LABEL_INDEX["other"], LABEL_INDEX["air"]) and len(voxels) >= 30:
            volume.points[int(label)] = rng.permutation(voxels)[:3000]
    body = labels != LABEL_INDEX["air"]
    edges = [np.flatnonzero(body.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
    low, high = (np.array([edge[end] for edge in edges]) for end in (0, -1))
    volume.centre = (low + high) / 2
    volume.size = (high - low + 1) * volume.spacing
    return volume


def load_abdomen(folder: Path) -> list[TrainingVolume]:
    """The labelled upper abdomen and the rest of the same scan, where only some terms are known."""
    image, spacing = read(folder / "abdomen_ct.nii.gz")
    ids, _ = read(folder / "abdomen_ct_labels.nii.gz")
    names = {int(k): v for k, v in json.loads((folder / "labels.json").read_text()).items()}
    labels = np.zeros(ids.shape, np.uint8)
    for value, name in names.items():
        labels[ids == value] = LABEL_INDEX[from_totalsegmentator(name)]
    labels = _ct_tissues(image, labels)
    labelled = [term.name for term in REGIONS if set(term.labels) & set(TOTALSEGMENTATOR)]
    everything = known_terms((*labelled, *NO_FINDINGS, "bone", "fat", "background"), ("abdomen", "chest"))
    upper = finish("abdomen", image, labels, spacing, "ct", ("ct", "abdomen"), everything, 6.0, True, planes=PLANES)

    image, spacing = read(folder / "spine_ct.nii.gz")
    ids, _ = read(folder / "spine_ct_labels.nii.gz")
    image, ids = image[:82], ids[:82]  # the slices above are the labelled abdomen
    labels = np.where(ids > 0, LABEL_INDEX["vertebra"], 0).astype(np.uint8)
    labels = _ct_tissues(image, labels)
    always = ("vertebra", "background", "fat", "spleen", "stomach", "adrenal gland", "costal cartilage", *NO_FINDINGS)
    below = finish(
        "middle",
        image[50:],
        labels[50:],
        spacing,
        "ct",
        ("ct", "abdomen"),
        known_terms((*always, "lung", "left lung", "right lung", "heart"), ("abdomen", "pelvis")),
        1.0,
        False,
    )
    pelvis = finish(
        "pelvis",
        image[:46],
        labels[:46],
        spacing,
        "ct",
        ("ct", "pelvis"),
        known_terms((*always, *UPPER_ABDOMEN, "rib"), ("abdomen", "pelvis")),
        1.0,
        False,
    )
    return [upper, below, pelvis]


def load_chest(folder: Path) -> list[TrainingVolume]:
    """Upper abdomen and chest of the chest CT, see `quickstart.chest`."""
    image, labels = read_chest(folder)
    labels = _ct_tissues(image, labels)
    spacing = np.array([1.5] * 3)
    both = ("aorta", "vertebra", "background", "fat", "lung", "left lung", "right lung", "heart", *NO_FINDINGS)
    dome = known_terms((*both, "kidney", "left kidney", "right kidney", "gallbladder"), ("chest", "abdomen"))
    chest = known_terms(both, ("chest",))
    return [
        finish("dome", image[15:56], labels[15:56], spacing, "ct", ("ct", "chest"), dome, 2.0, False),
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
    known = known_terms(("brain", "skull", "background", *NO_FINDINGS), ("head",))
    spacing = np.array([1.5, 0.957, 0.957])
    return [finish("ct head", image, labels, spacing, "ct", ("ct", "head"), known, 0.7, False)]


def load_head(folder: Path) -> list[TrainingVolume]:
    """Colin27 T1 head with AAL labels (Debian's mricron-data)."""
    image, spacing = read(folder / "ch2.nii.gz")
    regions, _ = read(folder / "aal.nii.gz")
    stripped, _ = read(folder / "ch2bet.nii.gz")
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
    image = np.clip(image / np.percentile(image[body], 99), 0, 1.2) / 1.2 * 255
    parts = ("brain", "cerebellum", "hippocampus", "thalamus", "caudate", "putamen", "skull", "background")
    known = known_terms((*parts, *(f"{lobe} lobe" for lobe in LOBES), *NO_FINDINGS), ("head",))
    return [finish("head", image, labels, spacing, "mr", ("mr", "head"), known, 1.5, True, planes=PLANES)]
