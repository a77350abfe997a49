"""Pictures with one mask a structure, and images without labels: lessons in what cannot be there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from ..language.labels import LABEL_INDEX
from .volumes import TrainingVolume, finish, greys, known_terms, read


@dataclass(frozen=True)
class Single:
    """Pictures of which every mask is a file of its own, NAME__STRUCTURE.png, or images that have none.

    Attributes:
        files: pattern of their names in the folder.
        places: the parts of the body that may be in view; shown: terms of the whole picture that hold.
        weight: how often it is drawn beside the others, all files together.
        labels: which of our labels each structure becomes; annotated: the terms whose extent is known by that.
        flip: left and right may be exchanged.
    """

    files: str
    places: tuple[str, ...]
    shown: tuple[str, ...]
    weight: float
    labels: dict[str, str] = field(default_factory=dict)
    annotated: tuple[str, ...] = ()
    flip: bool = True


_ABDOMEN = {
    "adrenal gland": "adrenal",
    "aorta": "aorta",
    "duodenum": "duodenum",
    "gallbladder": "gallbladder",
    "left kidney": "kidney_left",
    "right kidney": "kidney_right",
    "liver": "liver",
    "pancreas": "pancreas",
    "postcava": "vena_cava",
    "spleen": "spleen",
    "stomach": "stomach",
}
SINGLES = {
    "biomedparse_demo": (
        Single("02_*", ("chest",), ("ct", "chest"), 0.3, {"tumor": "lung_tumour"}, ("lung tumour",)),
        Single("05_*", ("abdomen", "pelvis"), ("ct",), 0.2),
        Single(
            "06_*",
            ("abdomen", "chest"),
            ("ct", "abdomen"),
            0.8,
            _ABDOMEN,
            (*(name for name in _ABDOMEN if name != "postcava"), "kidney", "inferior vena cava"),
            flip=False,
        ),
        Single("09_*", ("head",), ("mr", "head"), 0.5, {"lower-grade glioma": "brain_tumour"}, ("brain tumour",)),
        Single("11_*", ("chest",), ("mr", "chest"), 1.0, {"left heart atrium": "left_atrium"}, ("left atrium",)),
        Single(
            "12_*",
            ("head",),
            ("mr", "head"),
            0.3,
            {"anterior hippocampus": "hippocampus", "posterior hippocampus": "hippocampus"},
            ("hippocampus",),
        ),
        Single("14_*", ("pelvis",), ("mr", "pelvis"), 1.0, {"prostate": "prostate"}, ("prostate",)),
        Single("22_*", ("obstetric",), ("ultrasound",), 0.5),
    ),
    "covid_cxr": (
        Single(
            "*",
            ("chest",),
            ("x-ray", "chest"),
            1.5,
            {"left lung": "lung_left", "right lung": "lung_right"},
            ("lung", "left lung", "right lung"),
            flip=False,
        ),
    ),
    "lung_vessels_ct": (Single("*", ("chest",), ("ct", "chest"), 0.6),),
    "prostatex": (Single("*.nii.gz", ("pelvis",), ("mr", "pelvis"), 1.5),),
    "open_ms_raw": (Single("*.nii.gz", ("head",), ("mr", "head"), 0.8),),
    "niivue": (Single("*.nii.gz", ("head",), ("mr", "head"), 0.3),),
    "moose_neck_ct": (Single("*.nii.gz", ("neck", "head", "chest"), ("ct", "neck"), 0.5, flip=False),),
}


def load_singles(folder: Path, source: str, files: Sequence[Path]) -> Iterator[TrainingVolume]:
    """The images of one ``source`` among ``files``, which may be trained on."""
    for single in SINGLES[source]:
        some = [file for file in sorted((folder / source).glob(single.files)) if file in files]
        for file in some:
            known = known_terms(single.annotated, single.places)
            kind, more = "picture", {"flip": single.flip}
            if file.suffix == ".png":
                image, labels = _picture(file, single)
                spacing = np.ones(3)
            else:
                image, spacing = read(file)
                labels = np.zeros(image.shape, np.uint8)
                kind = "ct" if "ct" in single.shown else "mr"
                if kind == "mr":
                    image = greys(image, image)
            weight = single.weight / len(some)
            yield finish(source, image, labels, spacing, kind, single.shown, known, weight, False, **more)


def images(folder: Path, source: str) -> list[Path]:
    """All images of a source, without their masks."""
    both = [*(folder / source).glob("*.png"), *(folder / source).glob("*.nii.gz")]
    names = {file.stem for file in both}
    masks = {name for name in names if name.endswith("_mask") or name.rsplit("__", 1)[0] in names - {name}}
    return sorted(file for file in both if file.stem not in masks)


def _picture(file: Path, single: Single) -> tuple[np.ndarray, np.ndarray]:
    """(1, rows, columns) greys and labels."""
    grey = np.array(Image.open(file).convert("L"))
    labels = np.zeros(grey.shape, np.uint8)
    for structure, label in single.labels.items():
        mask = file.with_name(f"{file.stem}__{structure}.png")
        if mask.exists():
            labels[np.array(Image.open(mask).convert("L")) > 0] = LABEL_INDEX[label]
    return grey[None], labels[None]
