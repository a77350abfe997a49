"""Pictures and volumes of many people, from a folder laid out as ``shared/patients``; those kept for judging apart."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage
from skimage.morphology import convex_hull_image
from torch import Tensor

from ..language.labels import LABEL_INDEX
from ..language.terms import REGIONS, Term
from .singles import SINGLES, images, load_singles
from .volumes import NO_FINDINGS, PLANES, TrainingVolume, body_mask, finish, greys, known_terms, read

_KEPT = 3  # one person of so many is kept for judging
# Folders of 8-bit pictures with masks in label numbers: which of our labels (`labels`) the names of theirs that begin
# so become, the parts of the body that may be in view (`places`), terms of the whole picture that hold (`globals`), how
# often the folder is drawn beside the others (`weight`), and `judged_only`: the licence allows no training.
SOURCES: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("sources.json").read_text("utf-8"))
# FreeSurfer's numbers, of both sides.
_FREESURFER = {
    "white_matter": (2, 41),
    "grey_matter": (3, 42),
    "brain_ventricle": (4, 43, 5, 44),
    "cerebellum": (7, 8, 46, 47),
    "thalamus": (10, 49),
    "caudate": (11, 50),
    "putamen": (12, 51),
    "pallidum": (13, 52),
    "brainstem": (16,),
    "hippocampus": (17, 53),
    "amygdala": (18, 54),
    "brain_other": (14, 15, 24, 26, 28, 30, 31, 58, 60, 62, 63, 72, 77, 80, 85, 251, 252, 253, 254, 255),
}
_BRAIN_PARTS = (
    "brain",
    "cerebellum",
    "hippocampus",
    "thalamus",
    "caudate",
    "putamen",
    "brainstem",
    "white matter",
    "grey matter",
    "lateral ventricle",
)
# How names of the abdominal atlas begin or end, and what they become.
_ATLAS = {
    "liver": "liver",
    "spleen": "spleen",
    "pancreas": "pancreas",
    "aorta": "aorta",
    "inferior vena cava": "vena_cava",
    "colon and ileum": "colon",
    "gallbladder": "gallbladder",
    "portal vein": "portal_vein",
    "splenic vein": "portal_vein",
    "stomach": "stomach",
    "right kidney": "kidney_right",
    "left kidney": "kidney_left",
    "right adrenal": "adrenal",
    "left adrenal": "adrenal",
    "right psoas": "psoas",
    "left psoas": "psoas",
    "right erector": "back_muscle",
    "left erector": "back_muscle",
    "right quadratus": "quadratus",
    "left quadratus": "quadratus",
    "right gluteus": "gluteus",
    "left gluteus": "gluteus",
    "pelvis": "hip",
    "thoracic": "vertebra",
    "lumbar": "vertebra",
    "sacrum": "vertebra",
    "rib": "rib",
    "right hepatic vein": "hepatic_vessel",
    "left hepatic vein": "hepatic_vessel",
    "right common iliac": "iliac_vessel",
    "left common iliac": "iliac_vessel",
    "right external iliac": "iliac_vessel",
    "left external iliac": "iliac_vessel",
    "right internal iliac": "iliac_vessel",
    "left internal iliac": "iliac_vessel",
}


def kept(source: str, people: Iterable[str]) -> set[str]:
    """A third of the ``people`` of a source, by a checksum of their names: never trained on."""
    if SOURCES.get(source, {}).get("judged_only"):
        return set(people)
    order = sorted(set(people), key=lambda person: hashlib.sha256(f"{source}/{person}".encode()).hexdigest())
    return set(order[: len(order) // _KEPT])


def person_of(path: Path) -> str:
    """The person, or group, that a file of a source belongs to, by its name."""
    stem = path.name.split(".")[0]
    if "__" in stem:
        return stem.split("__")[0]
    if stem.startswith("training_seg"):
        return stem
    return "_".join(stem.split("_")[:2]) if stem.startswith("pt_") else stem.split("_")[0]


def load_people(folder: Path) -> list[TrainingVolume]:
    """All people of ``folder`` that may be trained on and are not kept for judging."""
    volumes = [volume for name in SOURCES for volume in _pictures(folder / name, name)]
    for load in (_openkbp, _synthseg, _voxelmorph, _brains, _spines, _atlas):
        volumes += load(folder)
    for source in SINGLES:
        volumes += load_singles(folder, source, _taught(source, images(folder, source)))
    return volumes


def numbers_of(folder: Path) -> dict[int, str]:
    return {int(number): name for number, name in json.loads((folder / "labels.json").read_text("utf-8")).items()}


def _relabel(labels: np.ndarray, names: Mapping[int, str]) -> np.ndarray:
    """Numbers of a source to those of `LABELS`."""
    table = np.zeros(max(int(labels.max()), *names) + 1, np.uint8)
    for number, name in names.items():
        table[number] = LABEL_INDEX[name]
    return table[labels]


def labels_of(source: str, names: Iterable[str]) -> dict[str, str]:
    """Which of our labels each of a source's own ``names`` becomes; others are left out."""
    starts = SOURCES[source]["labels"].items()
    return {name: label for name in names for start, label in starts if name.startswith(start)}


def annotated_terms(labels: set[str]) -> list[Term]:
    """Terms whose extent is known where all of ``labels`` are drawn: all that a term covers, or a whole of parts."""
    wholes = {"heart": {"left_ventricle", "myocardium"}, "kidney": {"kidney"}, "spinal canal": {"spinal_canal"}}
    return [
        term
        for term in REGIONS
        if (term.labels and set(term.labels) <= labels) or (term.name in wholes and wholes[term.name] <= labels)
    ]


def in_hounsfield(openkbp: np.ndarray) -> np.ndarray:
    """int16 HU of a CT of openkbp, some of which are stored 1024 higher."""
    return (openkbp.astype(np.int32) - (0 if openkbp.min() < -100 else 1024)).astype(np.int16)


def _taught(source: str, files: Iterable[Path]) -> list[Path]:
    """Those of people who are not kept for judging."""
    files = sorted(files)
    away = kept(source, map(person_of, files))
    return [file for file in files if person_of(file) not in away]


def _pictures(folder: Path, source: str) -> Iterator[TrainingVolume]:
    about = SOURCES[source]
    if about.get("judged_only") or not folder.is_dir():
        return
    numbers = numbers_of(folder)
    ours = labels_of(source, numbers.values())
    masks = _taught(source, folder.glob("*_mask.png"))
    known = known_terms([term.name for term in annotated_terms(set(ours.values()))], about["places"])
    for mask in masks:
        grey = np.array(Image.open(mask.with_name(mask.name.replace("_mask", ""))).convert("L"))
        labels = np.array(Image.open(mask))
        if labels.shape != grey.shape:
            continue
        labels = _relabel(labels, {number: ours[name] for number, name in numbers.items() if name in ours})
        more = {"flip": about.get("flip", False), "turn": about.get("turn", False)}
        shown = tuple(about["globals"])
        ways = (1, -1) if about.get("upside_down") else (1,)  # as it is stored, as people will show it, and upright
        weight = about["weight"] / len(masks) / len(ways)
        for way in ways:
            picture = grey[None, ::way], labels[None, ::way]
            yield finish(source, *picture, np.ones(3), "picture", shown, known, weight, False, **more)


def _openkbp(folder: Path) -> Iterator[TrainingVolume]:
    folder = folder / "openkbp"
    names = {
        1: "brainstem",
        2: "spinal_cord",
        3: "parotid_right",
        4: "parotid_left",
        5: "esophagus",
        6: "larynx",
        7: "mandible",
    }
    files = _taught("openkbp", folder.glob("*_ct.nii.gz"))
    for file in files:
        image, spacing = read(file)
        ids, _ = read(file.with_name(file.name.replace("_ct", "_labels")))
        hu = in_hounsfield(image)
        seen = np.stack([ndimage.binary_fill_holes(plane > -1010) for plane in hu])
        labels = _relabel(np.where(seen, ids, 0).astype(int), names)
        labels[(labels == 0) & ~body_mask(hu, -300)] = LABEL_INDEX["air"]
        # Without a label it may be there all the same; and some contours end where the treatment did.
        there = [name for number, name in names.items() if (ids == number).any()]
        sure = {"brainstem", "parotid_left", "parotid_right", "mandible"} & set(there)
        annotated = [term.name for term in REGIONS if term.labels and set(term.labels) <= sure]
        known = known_terms((*annotated, "background", *NO_FINDINGS[:5]), ("neck", "head", "chest"))
        shown = ("ct", "neck")
        yield finish("openkbp", hu, labels, spacing, "ct", shown, known, 7.0 / len(files), False, planes=PLANES)


def _freesurfer(ids: np.ndarray) -> np.ndarray:
    labels = np.zeros(ids.shape, np.uint8)
    for name, numbers in _FREESURFER.items():
        labels[np.isin(ids, numbers)] = LABEL_INDEX[name]
    return labels


def _synthseg(folder: Path) -> Iterator[TrainingVolume]:
    """Label maps without images: whole heads, whose other numbers are skull, scalp, eyes and fluid."""
    files = _taught("synthseg_labelmaps", (folder / "synthseg_labelmaps").glob("*.nii.gz"))
    known = known_terms((*_BRAIN_PARTS, *NO_FINDINGS), ("head",))
    for file in files:
        ids, spacing = read(file)
        labels = _freesurfer(np.rint(ids).astype(int))
        labels[(labels == 0) & (ids > 0)] = LABEL_INDEX["skull"]
        labels[ids == 0] = LABEL_INDEX["air"]
        yield _painted("synthseg", labels, spacing, ("mr", "head"), known, 3.0 / len(files))


def _painted(
    name: str, labels: np.ndarray, spacing: np.ndarray, shown: tuple[str, ...], known: Tensor, weight: float
) -> TrainingVolume:
    """Labels without an image."""
    nothing, more = np.zeros((1, 1, 1)), {"painted": True, "planes": PLANES}
    return finish(name, nothing, labels, spacing, "mr", shown, known, weight, True, **more)


def _voxelmorph(folder: Path) -> Iterator[TrainingVolume]:
    folder = folder / "voxelmorph_t1"
    if not folder.is_dir():
        return
    image, spacing = read(folder / "t1.nii.gz")
    ids, _ = read(folder / "t1_aseg.nii.gz")
    labels = _freesurfer(np.rint(ids).astype(int))
    labels[(labels == 0) & (image <= image.min())] = LABEL_INDEX["air"]
    grey = greys(image, image[labels > 1])
    known = known_terms((*_BRAIN_PARTS, "background", *NO_FINDINGS), ("head",))
    yield finish("skull-stripped t1", grey, labels, spacing, "mr", ("mr", "head"), known, 0.7, True, planes=PLANES)


def _brains(folder: Path) -> Iterator[TrainingVolume]:
    """Heads with a finding that was drawn; the brain of those without a skull is what is left."""
    cases = [
        (folder / "tcga_glioma", "OtherEXampleFromTCIA", ("fla", "t1", "t1c", "t2"), "tumour", "brain_tumour", True),
        (folder / "pyradiomics", "brain1", ("",), "tumour", "brain_tumour", False),
        (folder / "pyradiomics", "brain2", ("",), "tumour", "brain_tumour", False),
        (folder / "neurolab_clinical", "stroke", ("t2",), "t2_lesion", "stroke", False),
        *(
            (folder / "open_ms_mni", person, (kind,), "lesions", "white_lesion", True)
            for person in ("patient07", "patient19")
            for kind in ("flair", "t1", "t1post", "t2")
        ),
    ]
    term_of = {"brain_tumour": "brain tumour", "stroke": "stroke lesion", "white_lesion": "white matter lesion"}
    for place, person, kinds, mask, label, stripped in cases:
        for kind in kinds:
            file = place / f"{person}{'_' if kind else ''}{kind}.nii.gz"
            if not file.exists():
                continue
            image, spacing = read(file)
            ids, _ = read(place / f"{person}_{mask}.nii.gz")
            grey = greys(image, image[image > 0])
            labels = np.zeros(image.shape, np.uint8)
            annotated = ["background"] if stripped else []
            if stripped:
                labels[ndimage.binary_closing(image > 0, iterations=2)] = LABEL_INDEX["brain_other"]
                labels[labels == 0] = LABEL_INDEX["air"]
                annotated.append("brain")
            # Plaques do not show in every contrast; where they do not, nothing is said about them.
            if label != "white_lesion" or kind in ("flair", "t2"):
                labels[ids > 0] = LABEL_INDEX[label]
                annotated.append(term_of[label])
            known = known_terms(annotated, ("head",))
            name = f"{'skull-stripped ' if stripped else ''}{place.name}"
            weight = {"tcga_glioma": 0.5, "pyradiomics": 0.5, "neurolab_clinical": 0.4}.get(place.name, 0.15)
            planes = PLANES if max(spacing) < 2 else ("axial",)
            yield finish(
                name, grey, labels, spacing, "mr", ("mr", "head"), known, weight, False, flip=True, planes=planes
            )


def _spines(folder: Path) -> Iterator[TrainingVolume]:
    folder = folder / "tptbox_spine"
    if not folder.is_dir():
        return
    image, spacing = read(folder / "ct.nii.gz")
    ids, _ = read(folder / "ct_vertebrae.nii.gz")
    labels = np.where((ids > 0) & (ids < 30), LABEL_INDEX["vertebra"], 0)
    known = known_terms(("vertebra",), ("abdomen", "chest"))
    yield finish("tptbox", image, labels, spacing, "ct", ("ct",), known, 0.3, False, planes=PLANES)
    image, spacing = read(folder / "mr_t2.nii.gz")
    ids, _ = read(folder / "mr_parts.nii.gz")
    ids = np.rint(ids).astype(int)
    labels = np.zeros(ids.shape, np.uint8)
    labels[(ids > 40) & (ids < 51)] = LABEL_INDEX["vertebra"]
    labels[ids == 61] = LABEL_INDEX["spinal_canal"]
    labels[ids == 60] = LABEL_INDEX["spinal_cord"]
    labels[ids == 100] = LABEL_INDEX["disc"]
    grey = greys(image, image)
    known = known_terms(("vertebra", "spinal canal", "intervertebral disc"), ("abdomen", "chest"))
    yield finish("tptbox", grey, labels, spacing, "mr", ("mr",), known, 0.3, False, planes=PLANES)


def _atlas(folder: Path) -> Iterator[TrainingVolume]:
    """An abdomen of labels alone: what lies between them is painted, with fat and skin around all."""
    folder = folder / "spl_abdomen_labels"
    if not folder.is_dir():
        return
    ids, spacing = read(folder / "labels.nii.gz")
    names = {}
    for number, name in numbers_of(folder).items():
        name = name.lower()
        disc = "intervertebraldisc" in name
        names[number] = (
            "disc" if disc else next((ours for start, ours in _ATLAS.items() if name.startswith(start)), "soft")
        )
    labels = _relabel(np.rint(ids).astype(int), names)
    inside = ids > 0
    body = np.stack([_hull(plane) for plane in inside])
    skin = np.stack([ndimage.binary_dilation(plane, iterations=12) for plane in body])
    labels[~inside & body] = LABEL_INDEX["other"]
    labels[~body & skin] = LABEL_INDEX["fat"]
    labels[~skin] = LABEL_INDEX["air"]
    covered = set(names.values())
    some = {term.name for term in REGIONS if term.labels and set(term.labels) & covered} - {
        "bone",
        "fat",
        "small bowel",
    }
    known = known_terms((*some - {"bowel", "portal vein"}, *NO_FINDINGS), ("abdomen", "pelvis"))
    yield _painted("atlas", labels, spacing, ("abdomen",), known, 2.5)


def _hull(plane: np.ndarray) -> np.ndarray:
    return convex_hull_image(plane) if plane.any() else plane
