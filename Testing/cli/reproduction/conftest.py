"""Breast tumours in the published layout: bright ellipses, with masks of every kind that people have."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.draw import ellipse


def ellipse_mask(row: int, column: int) -> np.ndarray:
    """(96, 120) bool."""
    mask = np.zeros((96, 120), bool)
    mask[ellipse(row, column, 14, 22)] = True
    return mask


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three pictures with prompts of their own, and one without a mask."""
    place = tmp_path / "data" / "breast_tumors"
    for name in ("test_images", "test_masks"):
        (place / name).mkdir(parents=True)
    masks = {"p1__a": ellipse_mask(30, 40), "p1__b": ellipse_mask(60, 80), "p2__a": ellipse_mask(50, 60)}
    for number, (name, mask) in enumerate(masks.items()):
        grey = np.where(mask, 200, 80).astype(np.uint8)
        Image.fromarray(grey).save(place / "test_images" / f"{name}{('.png', '.jpg', '.png')[number]}", quality=95)
        stored = mask.astype(np.uint8) * (255, 1, 255)[number]
        Image.fromarray(stored).save(place / "test_masks" / f"{name}{('.png', '.png', '.jpg')[number]}")
    Image.fromarray(np.full((96, 120), 80, np.uint8)).save(place / "test_images" / "p3__a.png")
    prompts = {"p1__a.png": "bright", "p1__b.jpg": "bright", "p2__a.png": "bright"}
    (tmp_path / "data" / "breast_tumors_testing.json").write_text(json.dumps(prompts))
    return tmp_path / "data"
