"""Random training slices: deformed anatomy, real or randomised contrast, imaging artefacts.

Contrast randomised from the labels follows SynthSeg (Billot et al., 2023, doi:10.1016/j.media.2023.102789):
what a network has seen in every contrast it finds in a contrast that it never saw.
"""

from __future__ import annotations

import math
import random
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .terms import LABEL_INDEX, LABELS, TERM_INDEX, TERMS
from .volumes import TrainingVolume

AIR, OTHER = LABEL_INDEX["air"], LABEL_INDEX["other"]
VESSELS = [LABEL_INDEX[n] for n in ("aorta", "vena_cava", "portal_vein", "heart")]
ENHANCING = [
    LABEL_INDEX[n]
    for n in (
        "kidney_left",
        "kidney_right",
        "spleen",
        "liver",
        "pancreas",
        "stomach",
        "small_bowel",
        "duodenum",
        "colon",
        "adrenal",
    )
]
KIDNEYS = [LABEL_INDEX["kidney_left"], LABEL_INDEX["kidney_right"]]
LUNGS = [LABEL_INDEX["lung_left"], LABEL_INDEX["lung_right"]]
CHESTS = ("dome", "chest")  # arterial phase, with contrast in heart and aorta
UNERASABLE = {OTHER, AIR, *(LABEL_INDEX[n] for n in ("fat", "soft", "bone", "gas"))}


@lru_cache
def mesh(size: int) -> tuple[Tensor, Tensor]:
    """Row and column positions of a square of ``size`` pixels, each (size, size) in -0.5..0.5."""
    axis = torch.linspace(-0.5, 0.5, size)
    rows, columns = torch.meshgrid(axis, axis, indexing="ij")
    return rows, columns


def uniform(low: float, high: float) -> float:
    return random.uniform(low, high)


def chance(probability: float) -> bool:
    return random.random() < probability


def blur(image: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (1, 1, H, W)."""
    if sigma <= 0.2:
        return image
    radius = max(1, int(2.5 * sigma))
    kernel = torch.exp(-(torch.arange(-radius, radius + 1).float() ** 2) / (2 * sigma * sigma))
    kernel = kernel / kernel.sum()
    image = F.conv2d(F.pad(image, (radius, radius, 0, 0), mode="replicate"), kernel.view(1, 1, 1, -1))
    return F.conv2d(F.pad(image, (0, 0, radius, radius), mode="replicate"), kernel.view(1, 1, -1, 1))


def smooth_noise(channels: int, cells: int, size: int) -> Tensor:
    """Smooth random field, (channels, size, size), standard deviation about 1 at its knots."""
    return F.interpolate(torch.randn(1, channels, cells, cells), size=(size, size), mode="bicubic", align_corners=True)[
        0
    ]


def _place(volume: TrainingVolume) -> tuple[float, np.ndarray, bool]:
    """Field of view (mm), centre (voxels) and whether the whole cross section is in view."""
    slices = volume.image.shape[2]
    if chance(0.7 if volume.name in CHESTS else 0.85):
        centre = np.array([uniform(0, slices - 1), *volume.centre[1:]])
        centre[1:] += np.array([uniform(-0.05, 0.05), uniform(-0.05, 0.05)]) * volume.extent / volume.spacing[1:]
        if volume.name == "head":
            centre[0] = uniform(12, slices - 12)
        return volume.extent * uniform(0.9, 1.25), centre, True
    label = random.choice(list(volume.points))
    voxels = volume.points[label]
    fov = volume.extent * uniform(0.35, 0.85)
    shift = np.array([0.5, 0.3 * fov / volume.spacing[1], 0.3 * fov / volume.spacing[2]])
    return fov, voxels[random.randrange(len(voxels))] + shift * np.array([uniform(-1, 1) for _ in range(3)]), False


def _displacement(volume: TrainingVolume, fov: float, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Sampling positions relative to the centre in mm: slice, row and column, each (size, size)."""
    angle, tilt_column, tilt_row = (math.radians(random.gauss(0, 7)) for _ in range(3))
    stretch = math.exp(random.gauss(0, 0.09))
    rows, columns = mesh(size)
    y, x = rows * fov * stretch, columns * fov / stretch
    # Thicker or thinner body wall around the same organs.
    radius = torch.sqrt((x / (0.55 * volume.extent)) ** 2 + (y / (0.42 * volume.extent)) ** 2).clamp(0.05, 2)
    ratio = radius ** random.gauss(0, 0.13)
    y, x = y * ratio, x * ratio
    elastic = smooth_noise(3, 5, size) * uniform(0, 0.035) + smooth_noise(3, 10, size) * uniform(0, 0.012)
    elastic = elastic * volume.extent
    # Organs larger or smaller than their neighbours.
    for _ in range(random.choice((0, 1, 2, 3))):
        spread = uniform(0.06, 0.18) * volume.extent
        cy, cx = uniform(-0.3, 0.3) * fov, uniform(-0.35, 0.35) * fov
        weight = torch.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * spread**2)) * uniform(-0.35, 0.35)
        y, x = y + (y - cy) * weight, x + (x - cx) * weight
    row = y * math.cos(angle) - x * math.sin(angle) + elastic[0]
    column = y * math.sin(angle) + x * math.cos(angle) + elastic[1]
    thin = volume.image.shape[2] * volume.spacing[0] < 150
    along = (y * math.tan(tilt_row) + x * math.tan(tilt_column)) * (0.4 if thin else 1.0)
    return along + elastic[2] * (0.2 if thin else 0.5), row, column


def _slice(volume: TrainingVolume, fov: float, centre: np.ndarray, size: int) -> tuple[Tensor, Tensor]:
    """A deformed oblique slice: image (1, 1, size, size) and labels (size, size)."""
    along, row, column = _displacement(volume, fov, size)
    shape = volume.image.shape[2:]
    axes = [
        (centre[i] + offset / volume.spacing[i]) * 2 / (shape[i] - 1) - 1
        for i, offset in enumerate((along, row, column))
    ]
    grid = torch.stack([axes[2], axes[1], axes[0].clamp(-1, 1)], -1)[None, None].float()
    image = F.grid_sample(volume.image, grid, padding_mode="border", align_corners=True)[0]
    labels = F.grid_sample(volume.labels, grid, mode="nearest", padding_mode="border", align_corners=True)
    labels = labels[0, 0, 0].long()
    inside = (axes[2].abs() <= 1) & (axes[1].abs() <= 1)
    image = torch.where(inside, image, torch.tensor(-1000.0 if volume.kind == "ct" else 0.0))
    labels = torch.where(inside, labels, torch.tensor(AIR))
    return image, labels


def _recolour_ct(image: Tensor, labels: Tensor, soft: float, chest: bool) -> Tensor:
    """Per-organ density changes: contrast phases, fatty liver, filled stomach and bowel."""
    table = torch.randn(len(LABELS)) * uniform(0, 18)
    enhancement = uniform(-20, 130) if chance(0.6) else uniform(-20, 20)
    for label in ENHANCING:
        table[label] += enhancement * uniform(0.2, 0.8)
    for label in VESSELS:
        table[label] += -uniform(0, 380) if chest and chance(0.7) else enhancement * uniform(0.8, 1.8)
    if not chest and chance(0.3):  # arterial phase
        table[LABEL_INDEX["aorta"]] += uniform(80, 300)
    for label in KIDNEYS:
        table[label] += max(enhancement, 0) * uniform(0, 1.0)
    table[AIR] = 0
    for label in LUNGS:
        table[label] *= 2
    for name, low, high in (("stomach", -60, 300), ("colon", -100, 250), ("small_bowel", -40, 200)):
        if chance(0.3):
            table[LABEL_INDEX[name]] += uniform(low, high)
    if chance(0.15):
        table[LABEL_INDEX["liver"]] -= uniform(20, 70)
    return image + blur(table[labels][None, None], soft)


def _synthesise(image: Tensor, labels: Tensor, kind: str, soft: float) -> Tensor:
    """A new contrast: random mean and texture per label, with some of the real texture kept. Values about 0..1."""
    means = torch.rand(len(LABELS))
    spread = torch.rand(len(LABELS)) * 0.06
    means[AIR] = uniform(0, 0.06) if chance(0.9) else uniform(0, 1)
    means[LABEL_INDEX["gas"]] = uniform(0, 0.15)
    for label in LUNGS:
        means[label] = uniform(0, 0.25)
    if chance(0.8):  # both sides look alike
        means[KIDNEYS[1]] = means[KIDNEYS[0]]
        means[LUNGS[1]] = means[LUNGS[0]]
    if chance(0.5):  # bone marrow, muscle and fat often as MR shows them
        muscle = uniform(0.15, 0.45)
        for name in ("soft", "back_muscle", "psoas"):
            means[LABEL_INDEX[name]] = muscle + uniform(-0.05, 0.05)
        means[LABEL_INDEX["fat"]] = uniform(0.6, 1.0) if chance(0.5) else uniform(0.05, 0.3)
        for name in ("stomach", "colon", "small_bowel", "duodenum"):
            means[LABEL_INDEX[name]] = uniform(0.1, 0.9)
    size = len(labels)
    texture = smooth_noise(1, 48, size)[None] * 0.6 + smooth_noise(1, 96, size)[None] * 0.6
    low, high = (-150.0, 250.0) if kind == "ct" else (0.0, 1.0)
    real = ((image - low) / (high - low)).clamp(0, 1)
    real = real - blur(real, 4.0)
    painted = blur(means[labels][None, None], soft) + texture * blur(spread[labels][None, None], soft)
    return painted + real * uniform(-0.9, 0.9)


def _erase(image: Tensor, labels: Tensor, volume: TrainingVolume, soft: float, ct: bool) -> tuple[Tensor, Tensor]:
    """Paints over one to three organs, so that their neighbours alone do not mean that they are there."""
    present = [label for label in torch.unique(labels).tolist() if label not in UNERASABLE and label in volume.points]
    for label in random.sample(present, min(len(present), random.choice((1, 1, 2, 3)))):
        mask = (blur((labels == label).float()[None, None], max(1.0, 1.3 * soft)) * 2).clamp(0, 1)
        fill = (uniform(-120, -40) if chance(0.6) else uniform(-120, 80)) if ct else uniform(0.05, 0.95)
        texture = blur(torch.randn_like(image), 2.0) * (40 if ct else 0.08)
        image = image * (1 - mask) + (fill + texture) * mask
        labels = torch.where(labels == label, torch.tensor(OTHER), labels)
    return image, labels


def move_aorta(image: Tensor, labels: Tensor, millimetres: float) -> tuple[Tensor, Tensor]:
    """Takes the aorta away and draws one elsewhere beside the spine: in front of it in some people, left in others."""
    aorta, spine = labels == LABEL_INDEX["aorta"], (labels == LABEL_INDEX["vertebra"]).nonzero()
    if not aorta.any() or len(spine) < 12:
        return image, labels
    inside = image[0, 0][aorta]
    level, spread = inside.mean(), inside.std() if len(inside) > 3 else torch.tensor(0.0)
    around = (blur(aorta.float()[None, None], 3.0)[0, 0] > 0.05) & ~aorta
    if not around.any():
        return image, labels
    mask = (blur(aorta.float()[None, None], 1.0) * 2).clamp(0, 1)
    image = image * (1 - mask) + image[0, 0][around].median() * mask
    labels = torch.where(aorta, torch.tensor(OTHER), labels)
    angle = math.radians(uniform(-25, 110))  # 0 is in front, 90 is the patient's left
    radius = uniform(8, 16) / millimetres
    distance = uniform(16, 24) / millimetres + radius
    body = (spine[:, 0].float().quantile(0.25), spine[:, 1].float().median())
    rows, columns = mesh(len(labels))
    y = (rows + 0.5) * len(labels) - body[0] + distance * math.cos(angle)
    x = (columns + 0.5) * len(labels) - body[1] - distance * math.sin(angle)
    oval = uniform(0.85, 1.15)
    disc = torch.sigmoid((radius - torch.sqrt(x**2 * oval + y**2 / oval)) * 3)
    bones = blur((labels == LABEL_INDEX["vertebra"]).float()[None, None], 0.8)[0, 0]
    disc = disc * (bones < 0.5)
    image = image * (1 - disc) + (level + torch.randn_like(image) * 0.5 * spread) * disc
    return image, torch.where(disc > 0.5, torch.tensor(LABEL_INDEX["aorta"]), labels)


def add_effusion(image: Tensor, labels: Tensor, fluid: float, soft: float) -> tuple[Tensor, Tensor]:
    """Fills the back of a lung with fluid: it lies beside liver and spleen, looks much like them, and is neither."""
    lung = random.choice([labels == label for label in LUNGS])
    rows = lung.nonzero()[:, 0]
    if len(rows) < 30:
        return image, labels
    depth, _ = mesh(len(labels))
    wet = lung & ((depth + 0.5) * len(labels) > rows.float().quantile(uniform(0, 0.8)))
    mask = (blur(wet.float()[None, None], soft) * 2).clamp(0, 1)
    image = image * (1 - mask) + fluid * mask
    return image, torch.where(wet, torch.tensor(OTHER), labels)


def _arms_and_table(image: Tensor, labels: Tensor, millimetres: float) -> tuple[Tensor, Tensor]:
    """Pastes arms beside the body and a table below it into the air of a CT slice (HU)."""
    columns = (labels != AIR).any(0).nonzero()
    if not len(columns):
        return image, labels
    air = labels == AIR
    size = len(labels)
    rows, across = mesh(size)
    y, x = (rows + 0.5) * size, (across + 0.5) * size
    for side, edge in ((-1, columns.min().item()), (1, columns.max().item())):
        radius = uniform(28, 50) / millimetres
        cx, cy = (
            edge + side * (radius + uniform(-4, 12) / millimetres),
            size / 2 + uniform(-20, 60) / millimetres,
        )
        oval = uniform(0.8, 1.2)
        distance = torch.sqrt((x - cx) ** 2 * oval + (y - cy) ** 2 / oval)
        arm = torch.where(distance < radius * 0.82, uniform(20, 70), uniform(-110, -70))
        bone = uniform(9, 13) / millimetres
        shift = uniform(-8, 8) / millimetres
        from_bone = torch.sqrt((x - cx - shift) ** 2 + (y - cy - shift) ** 2)
        arm = torch.where(from_bone < bone, uniform(400, 900), arm)
        arm = torch.where(from_bone < bone * 0.55, uniform(0, 200), arm)
        pasted = (distance < radius) & air
        image = torch.where(pasted, arm, image)
        labels = torch.where(pasted, torch.tensor(OTHER), labels)
    if chance(0.6):
        bottom = (labels != AIR).any(1).nonzero().max().item() + uniform(5, 25) / millimetres
        table = (y - bottom + across**2 * uniform(0, 60) / millimetres).abs() < uniform(1, 3) / millimetres
        image = torch.where(table & (labels == AIR), torch.tensor(uniform(-300, 300)), image)
    return image, labels


def _window(image: Tensor) -> Tensor:
    if chance(0.75):
        low, high = -160 + random.gauss(0, 30), 240 + random.gauss(0, 50)
    else:
        low, high = uniform(-1000, -200), uniform(300, 1000)
    return ((image - low) / (high - low)).clamp(0, 1)


def _artefacts(image: Tensor) -> Tensor:
    """Bias field, tone curve, blur, sharpening, noise on values in 0..1."""
    if chance(0.12):
        knots = torch.rand(7)
        knots[0] = 0
        position = image.clamp(0, 1) * 6
        low = position.floor().clamp(0, 5).long()
        image = knots[low] * (1 - (position - low)) + knots[low + 1] * (position - low)
    image = image.clamp(0, 1.5) ** math.exp(random.gauss(0, 0.2))
    if chance(0.5):
        image = blur(image, uniform(0, 1.3))
    if chance(0.3):
        image = image + uniform(0, 1.0) * (image - blur(image, 1.5))
    if chance(0.6):
        image = image + torch.randn_like(image) * uniform(0, 0.05)
    if chance(0.1):  # a window cut out of an 8-bit picture of the whole range
        levels = uniform(20, 60)
        image = (image * levels).round() / levels
    return (image * (1 + random.gauss(0, 0.08)) + random.gauss(0, 0.03)).clamp(0, 1)


def draw(volume: TrainingVolume, size: int) -> dict[str, Tensor]:
    """One training sample of ``volume``.

    ``image`` (1, size, size) uint8; ``fractions`` (labels, size / 4, size / 4) uint8, 255 for a cell full of the label;
    ``known`` (terms,) bool, terms whose extent is known; ``known_presence`` (terms,) bool; ``globals`` (terms,).
    """
    fov, centre, whole = _place(volume)
    image, labels = _slice(volume, fov, centre, size)
    millimetres = fov / size
    soft = max(0.6, 0.75 * volume.spacing[1] / millimetres)
    ct = volume.kind == "ct"
    synthetic = chance(0.4 if ct else 0.3) and (volume.full or chance(0.5))
    if volume.name == "head" and chance(0.4):  # skull-stripped
        outside = (labels == LABEL_INDEX["skull"]) | (labels == OTHER)
        image = image * blur((~outside).float()[None, None], 0.7)
        labels = torch.where(outside, torch.tensor(AIR), labels)
    if synthetic:
        image = _synthesise(image, labels, volume.kind, soft)
    elif ct and chance(0.75):
        image = _recolour_ct(image, labels, soft, volume.name in CHESTS)
    elif not ct and chance(0.75):
        table = torch.randn(len(LABELS)) * uniform(0, 0.12)
        table[AIR] = 0
        image = image + blur(table[labels][None, None], soft)
    if chance(0.6):
        image, labels = move_aorta(image, labels, millimetres)
    if chance(0.35):
        image, labels = _erase(image, labels, volume, soft, ct and not synthetic)
    if chance(0.2):
        fluid = uniform(-10, 40) if ct and not synthetic else uniform(0.1, 0.9)
        image, labels = add_effusion(image, labels, fluid, soft)
    if ct and not synthetic:
        if whole and "head" not in volume.globals and chance(0.4):
            image, labels = _arms_and_table(image, labels, millimetres)
        image = _window(image + torch.randn_like(image) * uniform(0, 15))
    else:
        if chance(0.6):
            image = image * torch.exp(smooth_noise(1, 4, size)[None] * uniform(0, 0.25))
        image = image * uniform(0.75, 1.2)
    image = _artefacts(image)

    side = size // 4
    cell = torch.arange(size) // 4
    cell = cell[:, None] * side + cell[None]
    counts = torch.bincount((labels * side * side + cell).view(-1), minlength=len(LABELS) * side * side)
    fractions = (counts.view(len(LABELS), side, side).float() * (255 / 16)).round().byte()
    known = volume.known.clone()
    if synthetic:
        known[[TERM_INDEX["ct"], TERM_INDEX["mr"]]] = False
    if not whole:
        known[[TERM_INDEX[name] for name in ("abdomen", "chest", "head", "pelvis")]] = False
    globals_ = torch.zeros(len(TERMS))
    globals_[[TERM_INDEX[name] for name in volume.globals]] = 1
    return {"image": (image[0] * 255).byte(), "fractions": fractions, "known": known, "globals": globals_}


class Slices(torch.utils.data.IterableDataset):
    """Endless random samples of the volumes, drawn by their weights, from a stream that torch's seed starts."""

    def __init__(self, volumes: list[TrainingVolume], size: int) -> None:
        self.volumes = volumes
        self.size = size
        self.weights = [volume.weight for volume in volumes]

    def __iter__(self):
        random.seed(torch.initial_seed())
        while True:
            yield draw(random.choices(self.volumes, self.weights)[0], self.size)
