"""Measures the quick-start model through the whole chain: ``python -m quickstart.report --clinical DIR`` (from tools/).

Prints the tables of the model card: Dice by prompt, wrong prompts, presence per slice, wordings never trained on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import SimpleITK as sitk
import torch
import typer
from nilearn import datasets
from PIL import Image
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score

from MedCLIPSAMLib.engine.clip.base import ImageTextModel
from MedCLIPSAMLib.engine.clip.quickstart.model import QuickStart, load_quickstart
from MedCLIPSAMLib.engine.prompt.prompt import Prompt
from MedCLIPSAMLib.engine.sam.base import PromptableSegmenter
from MedCLIPSAMLib.engine.sam.registry import load_segmenter
from MedCLIPSAMLib.engine.session.session import Session
from MedCLIPSAMLib.engine.session.settings import Settings
from MedCLIPSAMLib.engine.volume import Modality, Volume, Window
from Testing import samples

from .language.findings import HELD_OUT as FINDINGS
from .language.wordings import HELD_OUT

console = Console(width=120)


@dataclass(frozen=True)
class Case:
    """A labelled volume. ``masks``: prompt -> (K, J, I) bool; ``absent``: prompts of what is not in it."""

    name: str
    volume: Volume
    masks: Mapping[str, np.ndarray]
    absent: tuple[str, ...]
    trained_on: bool
    window: Window | None = None


def dice(first: np.ndarray, second: np.ndarray) -> float:
    """Dice coefficient of two masks; NaN if both are empty."""
    total = np.count_nonzero(first) + np.count_nonzero(second)
    return 2 * np.count_nonzero(first & second) / total if total else float("nan")


def _volume(path: Path, modality: Modality) -> Volume:
    image = sitk.ReadImage(str(path))
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    matrix[:3, 3] = image.GetOrigin()
    return Volume(sitk.GetArrayFromImage(image), np.diag([-1, -1, 1, 1]) @ matrix, modality, path.name)


def abdomen(folder: Path) -> Case:
    """The labelled abdominal CT, which the shipped model was trained on."""
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "abdomen_ct_labels.nii.gz")))
    names = {value: int(key) for key, value in json.loads((folder / "labels.json").read_text()).items()}
    alone = "liver spleen aorta stomach gallbladder pancreas duodenum colon"
    prompts = {name: [name] for name in alone.split()} | {
        "kidneys": ["kidney_left", "kidney_right"],
        "left kidney": ["kidney_left"],
        "right kidney": ["kidney_right"],
        "adrenal glands": ["adrenal_gland_left", "adrenal_gland_right"],
        "small bowel": ["small_bowel"],
        "inferior vena cava": ["inferior_vena_cava"],
        "portal vein": ["portal_vein_and_splenic_vein"],
        "spinal cord": ["spinal_cord"],
        "costal cartilage": ["costal_cartilages"],
    }
    for prompt, start in (
        ("vertebrae", "vertebrae"),
        ("ribs", "rib_"),
        ("lungs", "lung_"),
        ("back muscles", "autochthon"),
        ("psoas", "iliopsoas"),
    ):
        prompts[prompt] = [name for name in names if name.startswith(start)]
    masks = {prompt: np.isin(labels, [names[part] for part in parts]) for prompt, parts in prompts.items()}
    return Case("abdomen CT", _volume(folder / "abdomen_ct.nii.gz", "CT"), masks, ("brain", "heart", "uterus"), True)


def spine(folder: Path) -> Case:
    """The whole scan around it, with vertebrae only."""
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "spine_ct_labels.nii.gz")))
    return Case(
        "trunk CT", _volume(folder / "spine_ct.nii.gz", "CT"), {"vertebrae": labels > 0}, ("brain", "heart"), True
    )


def head() -> Case:
    """The MNI152 T1 head of nilearn, never trained on."""
    image, mask = datasets.load_mni152_template(2), datasets.load_mni152_brain_mask(2)
    array, brain = (np.ascontiguousarray(np.asarray(part.dataobj).T) for part in (image, mask))
    volume = Volume(array.astype(np.float32), image.affine, "MR", "MNI152")
    return Case("T1 head", volume, {"brain": brain > 0}, ("liver", "spleen", "kidneys", "aorta"), False)


def single_slices(folder: Path) -> list[Case]:
    """Slices of other patients, never trained on, turned to radiological display: back below, left at the right.

    The windows are -160 to 240 HU, taken from the grey levels of air and muscle.
    """
    cases = []
    for name, window, axes in (
        ("amos_0004_75", (148, 180), 0),
        ("amos_0006_90", (142, 171), 0),
        ("s0114_111", (114, 162), (0, 1)),
    ):
        grey = np.flip(np.asarray(Image.open(folder / "slices" / "images" / f"{name}.png").convert("L")), axes)
        masks: dict[str, np.ndarray] = {}
        for path in sorted((folder / "slices" / "masks").glob(f"{name}_*.png")):
            structure = path.stem.removeprefix(f"{name}_").rsplit("_", 1)[0]
            for prompt in ("liver", "spleen", "aorta", "inferior_vena_cava", "vertebra", "lung", "heart"):
                if structure.startswith(prompt):
                    mask = np.flip(np.asarray(Image.open(path).convert("L")) > 0, axes)
                    key = prompt.replace("_", " ")
                    masks[key] = masks.get(key, np.zeros((1, *mask.shape), bool)) | mask[None]
        volume = Volume(np.ascontiguousarray(grey)[None], np.diag([-0.8, -0.8, 5.0, 1.0]), "CT", name)
        cases.append(Case(name, volume, masks, ("brain", "kidneys"), False, Window(*window)))
    return cases


def packaged() -> list[Case]:
    """A CT and an MR slice of the abdomen that pydicom-data carries, never trained on, outlined by hand."""
    cases = []
    resolutions: dict[Modality, float] = {"CT": samples.ABDOMEN_MM, "MR": samples.ABDOMEN_MR_MM}
    for modality, spacing in resolutions.items():
        volume = Volume(
            samples.abdomen_slice(modality)[None], np.diag([-spacing, -spacing, 5.0, 1.0]), modality, "abdomen"
        )
        masks = {name: mask[None] for name, mask in samples.abdomen_organs(modality).items()}
        cases.append(Case(f"pydicom-data {modality}", volume, masks, ("brain", "heart", "uterus"), False))
    return cases


def measure_pictures(folder: Path, clip: ImageTextModel, segmenter: PromptableSegmenter) -> None:
    """Prints one structure on 8-bit CT slices of other patients, never trained on, with masks in label numbers."""
    table = Table("pictures", "prompt", "with it", "found", "mean Dice", "median", "without it", "found there")
    for name, prompt, parts in (
        ("msd_spleen", "spleen", {"spleen"}),
        ("aorta_cta", "aorta", {"aorta"}),
        ("chd_heart_ct", "heart", {f"{side} {part}" for side in ("left", "right") for part in ("atrium", "ventricle")}),
    ):
        numbers = {
            part: int(number) for number, part in json.loads((folder / name / "labels.json").read_text()).items()
        }
        scores, found = [], {True: 0, False: 0}
        for path in sorted((folder / name).glob("*_mask.png")):
            grey = np.asarray(Image.open(path.with_name(path.name.replace("_mask", ""))).convert("L"))
            truth = np.isin(
                np.asarray(Image.open(path)), [numbers[part] for part in parts | {"myocardium"} & set(numbers)]
            )
            volume = Volume(grey[None], np.diag([-0.8, -0.8, 5.0, 1.0]), "other", path.stem)
            evidence = Session(volume, clip, segmenter, Settings(window=Window(0, 255))).segment(
                Prompt(prompt, (prompt,))
            )
            found[bool(truth.any())] += evidence.found
            scores.append(dice(evidence.mask[0], truth) if truth.any() else float("nan"))
        there = int(np.isfinite(scores).sum())
        table.add_row(
            name,
            prompt,
            str(there),
            str(found[True]),
            f"{np.nanmean(scores):.3f}",
            f"{np.nanmedian(scores):.3f}",
            str(len(scores) - there),
            str(found[False]),
        )
    console.print(table)


def measure(case: Case, clip: ImageTextModel, segmenter: PromptableSegmenter) -> None:
    """Prints the tables of one case."""
    session = Session(case.volume, clip, segmenter, Settings(window=case.window))
    table = Table("prompt", "Dice", "slices found", "slices with it", "AUC of presence", "voxels", title=case.name)
    for name, truth in case.masks.items():
        evidence = session.segment(Prompt(name, (name,)))
        there = truth.any((1, 2))
        scores = [part.score for part in evidence.slices]
        auc = f"{roc_auc_score(there, scores):.3f}" if 0 < there.sum() < there.size else "-"
        found = sum(part.found for part in evidence.slices)
        voxels = np.count_nonzero(evidence.mask)
        table.add_row(name, f"{dice(evidence.mask, truth):.3f}", str(found), str(there.sum()), auc, str(voxels))
    for name in case.absent:
        evidence = session.segment(Prompt(name, (name,)))
        found = sum(part.found for part in evidence.slices)
        voxels = np.count_nonzero(evidence.mask)
        best = max(part.score for part in evidence.slices)
        table.add_row(f"{name} (absent)", "-", str(found), "0", f"highest {best:.2f}", str(voxels))
    console.print(table)
    if "liver" in case.masks:
        segments = [session.segment(Prompt(text, (text,))) for text in FINDINGS]
        highest = [round(max(part.score for part in evidence.slices), 2) for evidence in segments]
        voxels = [int(np.count_nonzero(evidence.mask)) for evidence in segments]
        console.print(f"{len(FINDINGS)} unseen findings: highest scores {highest}, voxels {voxels}")
    for name in ("liver", "spleen"):
        if name in case.masks:
            own = dice(session.segment(Prompt(name, (name,))).mask, case.masks[name])
            others = [dice(session.segment(Prompt(name, (text,))).mask, case.masks[name]) for text in HELD_OUT[name]]
            console.print(f"{name}: Dice {own:.3f}; {len(others)} unseen wordings: {np.round(others, 2).tolist()}")


def report(
    clinical: Annotated[Path, typer.Option(help="Folder with the labelled CTs.")],
    model: Annotated[Path | None, typer.Option(help="Folder of the model; the shipped one if not given.")] = None,
    only: Annotated[str, typer.Option(help="Part of the case's name.")] = "",
    patients: Annotated[Path | None, typer.Option(help="Folder with pictures of other patients.")] = None,
) -> None:
    """Measures the model on every case."""
    cpu = torch.device("cpu")
    clip = QuickStart(model, cpu) if model else load_quickstart(cpu)
    segmenter = load_segmenter("lite-medsam", "cpu")
    for case in (abdomen(clinical), head(), *packaged(), *single_slices(clinical), spine(clinical)):
        if only in case.name:
            console.rule(f"{case.name}{' (trained on)' if case.trained_on else ''}")
            measure(case, clip, segmenter)
    if patients:
        measure_pictures(patients, clip, segmenter)


if __name__ == "__main__":
    typer.run(report)
