"""Cases of class activation maps, `cam.json` and `cam.npz`, beside the CLIPs that they were made with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from MedCLIPSAMLib.engine.clip.dual import DualEncoder
from MedCLIPSAMLib.engine.clip.registry import load_clip
from MedCLIPSAMLib.engine.errors import InputError, MedCLIPSAMError
from MedCLIPSAMLib.engine.saliency import TextQuery, saliency_class
from MedCLIPSAMLib.engine.saliency.cam import ByGradient, GradCAM, Layer
from MedCLIPSAMLib.engine.saliency.hilacam import HilaCAM
from MedCLIPSAMLib.engine.saliency.masked import GScoreCAM, Rise, ScoreCAM
from MedCLIPSAMLib.engine.session.settings import Settings
from Testing.reference.findings import Finding, Measure, difference, share

_FOLDERS = {"biomedclip": "biomedclip", "openai": "openai_clip"}
_MAPS = {"gradcam++": 1e-3, "xgradcam": 1e-3}  # of 0..1; they divide by small numbers
_OTHER_MAPS = 3e-4
_WEIGHTS = 1e-3  # of the largest
_FEATURES = 1e-5
_HILACAM_SIDE = 224  # pixels to which it is enlarged before it is stretched


def check_cams(folder: Path) -> Iterator[Finding]:
    """Features of each model, then map, grid and weights of each case of ``folder``."""
    arrays = np.load(folder / "cam.npz")
    cases: list[dict[str, Any]] = json.loads((folder / "cam.json").read_text("utf-8"))
    models: dict[str, DualEncoder] = {}
    texts: dict[str, Tensor] = {}
    for name in dict.fromkeys(case["model"] for case in cases):
        model = load_clip(folder / _FOLDERS[name], "cpu")
        if not isinstance(model, DualEncoder):
            raise MedCLIPSAMError(f"'{folder / name}' holds a model that takes no token ids: put a CLIP there.")
        models[name] = model
        texts[name] = model.encode_token_ids(torch.from_numpy(arrays[f"{name}_token_ids"]))
        images = model.encode_image(torch.from_numpy(arrays[f"{name}_pixel_values"]))
        both = (("text", texts[name]), ("image", images))
        measures = [
            share(f"{what} features", made, arrays[f"{name}_{what}_features"], _FEATURES) for what, made in both
        ]
        cosine = F.normalize(images, dim=1) @ F.normalize(texts[name], dim=1).T
        measures.append(share("logits", model.logit_scale * cosine, arrays[f"{name}_logits_per_image"], _FEATURES))
        yield Finding(f"cam, {name}", tuple(measures))
    for case in cases:
        name, key = case["model"], f"case{case['case']}"
        pixels = torch.from_numpy(arrays[f"{name}_pixel_values"][[case["image"]]])
        query = TextQuery.from_features(texts[name][[case["text"]]])
        title = " ".join(str(case[part]) for part in ("model", "method", "block", "part") if case[part] is not None)
        yield Finding(f"cam {key}, {title}", tuple(_measures(models[name], case, pixels, query, arrays, key)))


def _measures(
    model: DualEncoder, case: dict[str, Any], pixels: Tensor, query: TextQuery, arrays: Any, key: str
) -> Iterator[Measure]:
    kind: Any = saliency_class(case["method"])
    layer = None if case["block"] is None else Layer(case["block"], case["part"])
    never_run = case["class_token_gradient"] or case["drop"]  # by the published command, or only where asked for
    if layer == Layer.chosen(model, Settings(exact=True)) and kind.as_published and not never_run:
        yield _as_published(kind, model, case)
    size, limit = tuple(case["size_wh"][::-1]), _MAPS.get(case["method"], _OTHER_MAPS)
    if kind is HilaCAM:
        tokens = model.tokens_before(pixels)
        rows = HilaCAM().patches(model, tokens, query.target, lambda: None).unflatten(1, (model.grid,) * 2)[0]
        enlarged = _enlarged(rows, (_HILACAM_SIDE,) * 2)
        low = enlarged.min()
        final = _enlarged((enlarged - low) / (enlarged.max() - low), size)
    elif kind is Rise:
        drawing = {"masks": case["masks"], "cells": case["cells"], "keep": case["keep"], "seed": case["numpy_seed"]}
        method = Rise(**drawing, published=True)
        final = _stretched(_enlarged(method(model, pixels, query).maps[0], size), 1e-9)
        if f"{key}_masks_mean" in arrays:
            mean = torch.stack(list(method.draw(pixels.shape[2], 0))).mean(0)
            yield difference("mean mask", mean, arrays[f"{key}_masks_mean"], limit)
    else:
        rows, weights = _by_layer(kind, layer, model, case, pixels, query, arrays, key)
        rows = _stretched(rows, 1e-8)
        final = _stretched(_enlarged(rows, size), 1e-8)
        if not case["drop"]:  # else the two were made of other channels
            yield difference("grid", rows, arrays[f"{key}_grid"], limit)
        if weights is not None and f"{key}_weights" in arrays:
            yield share("weights", weights, arrays[f"{key}_weights"], _WEIGHTS)
        if kind is GScoreCAM and layer is not None:
            method = GScoreCAM(layer, class_token_gradient=case["class_token_gradient"])
            made = method.importance(model, layer.before(model, pixels), query.target)
            yield share("importance", made, arrays[f"{key}_importance"], _WEIGHTS)
    yield difference("saliency", final, arrays[f"{key}_saliency"], limit)


def _as_published(kind: Any, model: DualEncoder, case: dict[str, Any]) -> Measure:
    """Whether `--exact` does this, but for the number of channels and which of equal ones: those are as stored."""
    try:
        method = kind.chosen(model, Settings(exact=True))
    except InputError:
        return Measure("--exact says that it is empty", kind is GradCAM)
    blind = case.get("importance_all_zero", False)
    told = method.choices["channels"]
    return Measure(f"--exact takes channels {told or 'all'}", (told is not None) == blind)


def _by_layer(
    kind: Any,
    layer: Any,
    model: DualEncoder,
    case: dict[str, Any],
    pixels: Tensor,
    query: TextQuery,
    arrays: Any,
    key: str,
) -> tuple[Tensor, Tensor | None]:
    """(n, n) sum of the weighted activations, what is negative left out, and the weights of channels."""
    if issubclass(kind, ScoreCAM):
        channels = tuple(arrays[f"{key}_channels"].tolist()) if f"{key}_channels" in arrays else None
        seen, weights = kind(layer, channels).weigh(model, pixels, query.target, None)
        summed = seen @ weights
    else:
        method: ByGradient = GradCAM(layer, case["class_token_gradient"]) if kind is GradCAM else kind(layer)
        seen, gradient = method.look(model, method.prepare(model, pixels), query.target)
        found = method.weigh(seen, gradient)
        summed = (found * seen[:, 1:]).sum(-1)[0]
        weights = found[0, 0] if found.shape[1] == 1 else None
    return summed.clamp(min=0).unflatten(0, (model.grid, model.grid)), weights


def _enlarged(rows: Tensor, size: tuple[int, ...]) -> Tensor:
    return F.interpolate(rows[None, None], size, mode="bilinear")[0, 0]


def _stretched(rows: Tensor, epsilon: float) -> Tensor:
    rows = rows - rows.min()
    return rows / (rows.max() + epsilon)
