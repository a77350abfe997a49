"""Random training slices: deformed anatomy, real or randomised contrast, imaging artefacts."""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch
from torch import Tensor

from ..language.labels import LABEL_INDEX, LABELS
from ..language.terms import TERM_INDEX, TERMS
from .anatomy import add_effusion, add_lesion, arms_and_table, erase, move_aorta
from .contrast import artefacts, recolour_ct, synthesise, window
from .cutting import AIR, CHESTS, cut, place
from .fields import blur, chance, smooth_noise, uniform
from .volumes import TrainingVolume

_MODALITIES = [TERM_INDEX[name] for name in ("ct", "mr", "ultrasound", "x-ray")]


_REGIONS_OF_THE_BODY = [TERM_INDEX[name] for name in ("abdomen", "chest", "head", "pelvis", "neck")]


_OUTSIDE_THE_BRAIN = torch.tensor(
    [
        LABEL_INDEX[name]
        for name in ("skull", "other", "mandible", "parotid_left", "parotid_right", "fat", "soft", "bone")
    ]
)


@dataclass(frozen=True)
class Drawn:
    """One training slice.

    Attributes:
        image: (size, size) uint8; labels: (size, size) uint8.
        known: (terms,) bool, terms whose presence and extent are known.
        globals: (terms,) bool, terms of the picture as a whole that hold.
    """

    image: Tensor
    labels: Tensor
    known: Tensor
    globals: Tensor


def draw(volume: TrainingVolume, size: int) -> Drawn:
    """A random slice of ``volume``."""
    view = place(volume)
    image, labels = cut(volume, view, size)
    axial = view.plane == "axial" and volume.kind != "picture"
    millimetres = view.fov / size
    soft = max(0.6, 0.75 * min(volume.spacing[1:]) / millimetres)
    ct, head = volume.kind == "ct", "head" in volume.globals
    synthetic = volume.painted or (chance(0.4 if ct else 0.3) and (volume.full or (ct and chance(0.5))))
    if "skull-stripped" not in volume.name and head and volume.kind == "mr" and chance(0.4):
        outside = torch.isin(labels, _OUTSIDE_THE_BRAIN)
        image = image * blur((~outside).float()[None, None], 0.7)
        labels = torch.where(outside, torch.tensor(AIR), labels)
    if synthetic:
        image = synthesise(image, labels, volume.kind, soft)
    elif ct and chance(0.75):
        image = recolour_ct(image, labels, soft, volume.name in CHESTS)
    elif volume.kind == "mr" and chance(0.75):
        table = torch.randn(len(LABELS)) * uniform(0, 0.12)
        table[AIR] = 0
        image = image + blur(table[labels][None, None], soft)
    if axial and chance(0.6):
        image, labels = move_aorta(image, labels, millimetres)
    if volume.kind != "picture":
        if chance(0.3):
            image, labels = erase(image, labels, volume, soft, ct and not synthetic)
        if axial and chance(0.2):
            fluid = uniform(-10, 40) if ct and not synthetic else uniform(0.1, 0.9)
            image, labels = add_effusion(image, labels, fluid, soft)
        if chance(0.3):
            image, labels = add_lesion(image, labels, view.fov, ct and not synthetic, bleeds_only=ct and head)
    if ct and not synthetic:
        if axial and view.whole and not head and "neck" not in volume.globals and chance(0.4):
            image, labels = arms_and_table(image, labels, millimetres)
        image = window(image + torch.randn_like(image) * uniform(0, 15), head)
    elif volume.kind != "picture" or chance(0.3):
        if chance(0.6):
            image = image * torch.exp(smooth_noise(1, 4, size)[None] * uniform(0, 0.25))
        image = image * uniform(0.75, 1.2)
    image = artefacts(image)[0, 0]
    if volume.flip and chance(0.5):
        image, labels = image.flip(1), labels.flip(1)
    if volume.turn and chance(0.5):
        turns = random.choice((1, 2, 3))
        image, labels = image.rot90(turns), labels.rot90(turns)

    known = volume.known.clone()
    if synthetic:
        known[_MODALITIES] = False
    if not view.whole:
        known[_REGIONS_OF_THE_BODY] = False
    globals_ = torch.zeros(len(TERMS), dtype=torch.bool)
    globals_[[TERM_INDEX[name] for name in volume.globals]] = True
    return Drawn((image * 255).byte(), labels.byte(), known, globals_)


def fractions(labels: Tensor, side: int) -> Tensor:
    """(S, S) labels -> (labels, side, side) float32, the share of each in the cells of a grid."""
    size = len(labels)
    cell = torch.arange(size) * side // size
    cell = cell[:, None] * side + cell[None]
    counts = torch.bincount((labels.long() * side * side + cell).view(-1), minlength=len(LABELS) * side * side)
    return counts.view(len(LABELS), side, side).float() * (side / size) ** 2


class Slices(torch.utils.data.IterableDataset):
    """Endless random samples of the volumes, drawn by their weights, from a stream that torch's seed starts."""

    def __init__(self, volumes: list[TrainingVolume], size: int) -> None:
        self.volumes = volumes
        self.size = size
        self.weights = [volume.weight for volume in volumes]

    def __iter__(self):
        random.seed(torch.initial_seed())
        while True:
            drawn = draw(random.choices(self.volumes, self.weights)[0], self.size)
            yield {
                "image": drawn.image[None],
                "fractions": (fractions(drawn.labels, self.size // 4) * 255).round().byte(),
                "known": drawn.known,
                "globals": drawn.globals.float(),
            }
