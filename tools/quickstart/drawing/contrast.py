"""Contrast of a training slice: densities changed by organ, painted from the labels alone, windowed, degraded.

Contrast randomised from the labels follows SynthSeg (Billot et al., 2023, doi:10.1016/j.media.2023.102789): what a
network has seen in every contrast it finds in a contrast that it never saw.
"""

from __future__ import annotations

import math
import random

import torch
from torch import Tensor

from ..language.labels import LABEL_INDEX, LABELS
from .cutting import AIR
from .fields import blur, chance, smooth_noise, uniform

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


PAROTIDS = [LABEL_INDEX["parotid_left"], LABEL_INDEX["parotid_right"]]


def recolour_ct(image: Tensor, labels: Tensor, soft: float, chest: bool) -> Tensor:
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


def synthesise(image: Tensor, labels: Tensor, kind: str, soft: float) -> Tensor:
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
        means[PAROTIDS[1]] = means[PAROTIDS[0]]
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


def window(image: Tensor, head: bool) -> Tensor:
    if head and chance(0.4):
        low, high = uniform(-20, 10), uniform(70, 130)
    elif chance(0.75):
        low, high = -160 + random.gauss(0, 30), 240 + random.gauss(0, 50)
    else:
        low, high = uniform(-1000, -200), uniform(300, 1000)
    return ((image - low) / (high - low)).clamp(0, 1)


def artefacts(image: Tensor) -> Tensor:
    """Bias field, tone curve, blur, sharpening, noise on values in 0..1."""
    if chance(0.2):
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
