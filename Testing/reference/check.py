"""Holds the engine against outputs of published code: python Testing/reference/check.py FOLDER

FOLDER has one or more kinds of cases, or folders by their names, whatever weights they were made with:

- m2ib.json and m2ib.npz, beside a BiomedCLIP in one of its layouts. The JSON lists `case`, `image`, `layer`,
  `beta`, `seed`, `ensemble`, `noise_samples`, and where not as published `steps` and `lr`; the arrays are
  `pixel_values` (n, 3, S, S), preprocessed, and for each case `case{i}_token_ids` (texts, L),
  `case{i}_text_features` and `case{i}_image_features`, not normalised, and `case{i}_saliency` (S, S) in 0..1.
- localize.json and localize.npz. The JSON lists `image`, `method`, `num_contours`, `multi_contour` and
  `boxes_xyxy`; the arrays are `{i}_saliency_u8`, `{i}_image_u8` and the coarse masks
  `{i}_{km|th|crf}_top{num_contours}`.
- cam.json and cam.npz, beside the CLIPs `biomedclip` and `openai_clip`: class activation maps, see `cams`.
- dhn_nce_gradients, or trajectory beside a BiomedCLIP, .json and .npz: the loss of fine-tuning, and five steps of it.
- gloria, medclip, medklip, kad, blip or lovt, .json and .npz, beside their checkpoints: models with attention, see
  `attentive`, `crossing` and `sentences`.
- uncertainty.json and uncertainty.npz, or schedule.json: snapshots of an nnU-Net, see `ensembles`.

Prints the largest differences of each case, a line each. Exit status 0: all cases were run and agree; 1: a
case differs or could not be run (dense CRF without pydensecrf2; see --without-crf); 2: FOLDER has no cases
that can be read.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

if find_spec("MedCLIPSAMLib") is None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "MedCLIPSAM"))
if find_spec("Testing") is None:
    sys.path.append(str(Path(__file__).resolve().parents[2]))

from MedCLIPSAMLib.engine.clip.dual import DualEncoder
from MedCLIPSAMLib.engine.clip.registry import load_clip
from MedCLIPSAMLib.engine.errors import InputError, MedCLIPSAMError
from MedCLIPSAMLib.engine.localize import binarizer, bounding_boxes, keep_largest
from MedCLIPSAMLib.engine.published import PUBLISHED
from MedCLIPSAMLib.engine.saliency import TextQuery, normalise
from MedCLIPSAMLib.engine.saliency.m2ib import M2IB
from Testing.reference.attentive import ATTENTIVE
from Testing.reference.cams import check_cams
from Testing.reference.crossing import check_blip
from Testing.reference.ensembles import check_schedule, check_uncertainty
from Testing.reference.findings import Finding, Measure, difference, share
from Testing.reference.sentences import check_lovt
from Testing.reference.tuning import check_gradients, check_trajectories

FEATURES = 1e-4  # of the largest value
SALIENCY = 1e-3  # of the range 0..1
OVERLAP = {"kmeans": 0.999, "threshold": 0.999, "crf": 0.98}  # least intersection over union
MASK_NAMES = {"kmeans": "km", "threshold": "th", "crf": "crf"}


def check_m2ib(folder: Path) -> Iterator[Finding]:
    """Text features, image features and saliency of each case of `folder`."""
    arrays = np.load(folder / "m2ib.npz")
    model = load_clip(folder, "cpu")
    if not isinstance(model, DualEncoder):
        raise MedCLIPSAMError(f"'{folder}' holds a model that takes no token ids: put a BiomedCLIP there.")
    for case in _read(folder / "m2ib.json"):
        key = f"case{case['case']}"
        pixels = torch.from_numpy(arrays["pixel_values"][[case["image"]]])
        text = model.encode_token_ids(torch.from_numpy(arrays[f"{key}_token_ids"]))
        image = model.encode_image(pixels)
        method = M2IB(
            layer=case["layer"],
            beta=case["beta"],
            steps=case.get("steps", PUBLISHED.steps),
            noise_samples=case["noise_samples"],
            learning_rate=case.get("lr", PUBLISHED.learning_rate),
            seed=case["seed"],
            noise="published",
        )
        saliency = normalise(method(model, pixels, TextQuery.from_features(text)).maps)[0]
        yield Finding(
            f"m2ib {key}, layer {case['layer']}, beta {case['beta']:g}" + ", ensemble" * case["ensemble"],
            (
                share("text features", text.numpy(), arrays[f"{key}_text_features"], FEATURES),
                share("image features", image.numpy(), arrays[f"{key}_image_features"], FEATURES),
                difference("saliency", saliency.numpy(), arrays[f"{key}_saliency"], SALIENCY),
            ),
        )


def check_localisation(folder: Path, without_crf: bool) -> Iterator[Finding]:
    """Coarse mask and boxes of each case of `folder`."""
    arrays = np.load(folder / "localize.npz")

    @cache
    def coarse(image: int, method: str) -> np.ndarray:
        return binarizer(method)(arrays[f"{image}_saliency_u8"] / 255, arrays[f"{image}_image_u8"])

    for case in _read(folder / "localize.json"):
        image, method, count, each = (case[key] for key in ("image", "method", "num_contours", "multi_contour"))
        if method == "crf" and without_crf:
            continue
        name = f"localize image {image}, {method}, {count} largest, box round {'each' if each else 'all'}"
        try:
            mask = keep_largest(coarse(image, method), count)
        except InputError as error:
            yield Finding(name, (Measure(f"not run: {error}", False),))
            continue
        published = arrays[f"{image}_{MASK_NAMES[method]}_top{count}"]
        boxes = bounding_boxes(mask, each).tolist()
        yield Finding(name, (_overlap(method, mask, published), _boxes(boxes, sorted(case["boxes_xyxy"]))))


def _overlap(method: str, ours: np.ndarray, published: np.ndarray) -> Measure:
    union = (ours | published).sum()
    overlap = (ours & published).sum() / union if union else 1.0
    return Measure(f"mask IoU {overlap:.4f} (limit {OVERLAP[method]})", bool(overlap >= OVERLAP[method]))


def _boxes(ours: list[list[int]], published: list[list[int]]) -> Measure:
    return Measure("boxes equal" if ours == published else f"boxes {ours}, not {published}", ours == published)


def _read(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text("utf-8"))


_NAMED = {"cam.json": check_cams} | ATTENTIVE | {"blip.json": check_blip, "lovt.json": check_lovt}
_NAMED |= {"dhn_nce_gradients.json": check_gradients, "trajectory.json": check_trajectories}
_NAMED |= {"uncertainty.json": check_uncertainty, "schedule.json": check_schedule}
# In which folder of a collection cases lie, where it is not called as they are.
_FOLDERS = {"dhn_nce_gradients.json": "dhn_nce", "trajectory.json": "dhn_nce", "schedule.json": "uncertainty"}


def main(arguments: list[str] | None = None) -> int:
    """Prints every finding; returns the exit status."""
    parser = argparse.ArgumentParser(description="Compares the engine with outputs of the published MedCLIP-SAMv2.")
    parser.add_argument("folder", type=Path, help="folder of reference cases")
    parser.add_argument("--without-crf", action="store_true", help="leave the dense CRF cases out")
    options = parser.parse_args(arguments)
    findings = []
    try:
        for finding in _cases(options.folder, options.without_crf):
            print(finding, flush=True)
            findings.append(finding)
    except (MedCLIPSAMError, OSError, ValueError, KeyError) as error:
        print(f"The cases in '{options.folder}' cannot be read: {error}", file=sys.stderr)
        return 2
    if not findings:
        print(
            f"'{options.folder}' has none of m2ib.json, localize.json, {', '.join(_NAMED)}: name such a folder.",
            file=sys.stderr,
        )
        return 2
    failed = sum(not finding.passed for finding in findings)
    left_out = "; dense CRF was left out" if options.without_crf else ""
    print(f"{len(findings) - failed} of {len(findings)} cases agree{left_out}")
    return 1 if failed else 0


def _cases(folder: Path, without_crf: bool) -> Iterator[Finding]:
    if (folder / "m2ib.json").is_file():
        yield from check_m2ib(folder)
    if (folder / "localize.json").is_file():
        yield from check_localisation(folder, without_crf)
    for file, check in _NAMED.items():
        for place in (folder, folder / _FOLDERS.get(file, file.removesuffix(".json"))):
            if (place / file).is_file():
                yield from check(place)


if __name__ == "__main__":
    sys.exit(main())
