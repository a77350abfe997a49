"""The people who were kept from training, as a folder that `medclipsam validate` takes.

``python -m quickstart.kept PATIENTS OUT`` (in tools/).
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import typer
from nilearn.datasets import load_mni152_brain_mask, load_mni152_template

from .drawing.people import SOURCES, annotated_terms, in_hounsfield, kept, labels_of, numbers_of, person_of
from .language.covers import elsewhere
from .language.terms import REGIONS

_ABSENT = (
    "liver",
    "brain",
    "kidney",
    "heart",
    "prostate",
    "breast lesion",
    "mandible",
    "lung",
    "vertebra",
    "intervertebral disc",
    "parotid gland",
    "left atrium",
)


def main(patients: Path, out: Path) -> None:
    """Copies the images and masks of those people, and writes what each folder shows and does not."""
    for source, about in SOURCES.items():
        if (patients / source).is_dir():
            _pictures(patients / source, out / source, about)
    _openkbp(patients / "openkbp", out / "openkbp")
    _head(out / "mni152_mr")


def _head(out: Path) -> None:
    """The template head of nilearn, which nothing was trained on, and its brain."""
    out.mkdir(parents=True, exist_ok=True)
    nibabel.save(load_mni152_template(resolution=2), out / "mni152_mr.nii.gz")  # type: ignore[arg-type]
    brain: Any = load_mni152_brain_mask(resolution=2)
    labels = np.asarray(brain.dataobj).astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(labels, brain.affine), out / "mni152_labels.nii.gz")  # type: ignore[attr-defined]
    _describe(out, {1: "brain"}, {"brain": ["brain"]}, ["head"], modality="MR")


def _describe(out: Path, names: dict[int, str], prompts: dict[str, list[str]], places: list[str], **about: Any) -> None:
    outside = {term.name for term, away in zip(REGIONS, elsewhere(places), strict=False) if away}
    (out / "labels.json").write_text(json.dumps(names, indent=1) + "\n")
    about |= {"prompts": prompts, "absent": [text for text in _ABSENT if text in outside]}
    (out / "validation.json").write_text(json.dumps(about, indent=1) + "\n")


def _pictures(folder: Path, out: Path, about: dict[str, Any]) -> None:
    masks = sorted(folder.glob("*_mask.png"))
    away = kept(folder.name, map(person_of, masks))
    masks = [mask for mask in masks if person_of(mask) in away]
    if not masks:
        return
    out.mkdir(parents=True, exist_ok=True)
    for mask in masks:
        for file in (mask, mask.with_name(mask.name.replace("_mask", ""))):
            shutil.copy(file, out)
    names = numbers_of(folder)
    ours = labels_of(folder.name, names.values())
    terms = annotated_terms(set(ours.values()))
    prompts = {term.nouns[0]: [name for name, label in ours.items() if label in term.labels] for term in terms}
    _describe(out, names, prompts, about["places"], modality=" ".join(about["globals"][:1]).upper())


def _openkbp(folder: Path, out: Path) -> None:
    files = sorted(folder.glob("*_ct.nii.gz"))
    away = kept(folder.name, map(person_of, files))
    out.mkdir(parents=True, exist_ok=True)
    for file in files:
        if person_of(file) in away:
            image = nibabel.load(file)
            hu = in_hounsfield(np.asarray(image.dataobj))  # type: ignore[attr-defined]
            nibabel.save(nibabel.Nifti1Image(hu, image.affine), out / file.name)  # type: ignore[attr-defined]
            shutil.copy(file.with_name(file.name.replace("_ct", "_labels")), out)
    names = numbers_of(folder)
    prompts = {name: [name] for name in names.values()}
    prompts["parotid gland"] = ["left parotid gland", "right parotid gland"]
    _describe(out, names, prompts, ["neck", "head", "chest"], modality="CT", partial=True)


if __name__ == "__main__":
    typer.run(main)
