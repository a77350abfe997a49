"""Changes of the anatomy of a training slice: organs taken away or moved, fluid, lesions, arms and a table."""

from __future__ import annotations

import math
import random

import torch
from torch import Tensor

from ..language.labels import LABEL_INDEX
from .contrast import LUNGS
from .cutting import AIR, OTHER
from .fields import blur, chance, mesh, smooth_noise, uniform
from .volumes import TrainingVolume

EFFUSION = LABEL_INDEX["effusion"]


# Where lesions are drawn, and what they are called there.
LESIONS = {
    "liver": ("liver_tumour",),
    "lung_left": ("lung_tumour",),
    "lung_right": ("lung_tumour",),
    "brain_other": ("brain_tumour", "haemorrhage"),
    "white_matter": ("brain_tumour", "haemorrhage", "white_lesion"),
    "grey_matter": ("brain_tumour",),
    "frontal": ("brain_tumour", "haemorrhage"),
    "parietal": ("brain_tumour", "haemorrhage"),
}


UNERASABLE = {OTHER, AIR, *(LABEL_INDEX[n] for n in ("fat", "soft", "bone", "gas"))}


def erase(image: Tensor, labels: Tensor, volume: TrainingVolume, soft: float, ct: bool) -> tuple[Tensor, Tensor]:
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
    """Fills the back of a lung with fluid: it lies beside liver and spleen, looks much like them."""
    lung = random.choice([labels == label for label in LUNGS])
    rows = lung.nonzero()[:, 0]
    if len(rows) < 30:
        return image, labels
    depth, _ = mesh(len(labels))
    wet = lung & ((depth + 0.5) * len(labels) > rows.float().quantile(uniform(0, 0.8)))
    mask = (blur(wet.float()[None, None], soft) * 2).clamp(0, 1)
    image = image * (1 - mask) + fluid * mask
    return image, torch.where(wet, torch.tensor(EFFUSION), labels)


def add_lesion(image: Tensor, labels: Tensor, fov: float, ct: bool, bleeds_only: bool = False) -> tuple[Tensor, Tensor]:
    """Draws a tumour, a bleeding or small plaques into an organ where there is one: far fewer people bring their own.

    ``image`` (1, 1, S, S) in HU if ``ct``, else 0..1.
    """
    organs = [name for name in LESIONS if (labels == LABEL_INDEX[name]).sum() > 60]
    if not organs:
        return image, labels
    name = random.choice(organs)
    organ = labels == LABEL_INDEX[name]
    kind = random.choice([each for each in LESIONS[name] if not bleeds_only or each == "haemorrhage"] or LESIONS[name])
    size, millimetres = len(labels), fov / len(labels)
    rows, columns = mesh(size)
    blob = torch.zeros(size, size)
    for _ in range(random.randint(2, 8) if kind == "white_lesion" else 1):
        at = organ.nonzero()[random.randrange(int(organ.sum()))]
        radius = (
            uniform(2, 5) if kind == "white_lesion" else math.exp(uniform(math.log(5), math.log(32)))
        ) / millimetres
        y, x = (rows + 0.5) * size - at[0], (columns + 0.5) * size - at[1]
        turn, oval = uniform(0, math.pi), uniform(0.6, 1.0)
        u, v = y * math.cos(turn) + x * math.sin(turn), x * math.cos(turn) - y * math.sin(turn)
        ragged = 1 + smooth_noise(1, 6, size)[0] * uniform(0, 0.25)
        blob = torch.maximum(blob, torch.sigmoid((radius * ragged - torch.sqrt(u**2 / oval + v**2 * oval)) * 2))
    grown = blur(organ.float()[None, None], 2.0)[0, 0] > 0.25
    blob = blob * (torch.ones_like(grown) if name.startswith("lung") and chance(0.3) else grown)
    drawn = blob > 0.5
    if drawn.sum() < 12:
        return image, labels
    around = image[0, 0][organ].median()
    if ct:
        other = around + random.choice((-1, 1)) * uniform(20, 70)
        level = {"haemorrhage": uniform(50, 85), "lung_tumour": uniform(-20, 90)}.get(kind, other)
        spread = 8.0
    else:
        level, spread = (around + random.choice((-1, 1)) * uniform(0.15, 0.5)).clamp(0, 1), 0.04
    texture = blur(torch.randn_like(image), 1.5) * spread * 3
    if chance(0.35) and kind != "haemorrhage":  # a rim, or a dark middle
        texture = texture + (blur((blob**3)[None, None], 2.0) - 0.5) * uniform(-1, 1) * (40 if ct else 0.3)
    image = image * (1 - blob) + (level + texture) * blob
    return image, torch.where(drawn, torch.tensor(LABEL_INDEX[kind]), labels)


def arms_and_table(image: Tensor, labels: Tensor, millimetres: float) -> tuple[Tensor, Tensor]:
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
