"""What M2IB costs and what doing less of it changes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from MedCLIPSAMLib.engine.clip.dual import DualEncoder
from MedCLIPSAMLib.engine.clip.registry import load_clip
from MedCLIPSAMLib.engine.localize import binarizer, bounding_boxes, keep_largest
from MedCLIPSAMLib.engine.localize.continuity import box_iou
from MedCLIPSAMLib.engine.machine.precision import computing_in
from MedCLIPSAMLib.engine.prompt.prompt import Prompt
from MedCLIPSAMLib.engine.published import PUBLISHED
from MedCLIPSAMLib.engine.saliency import SaliencyMethod, TextQuery, normalise, saliency_method
from MedCLIPSAMLib.engine.saliency.m2ib import M2IB, QUICK, as_far
from MedCLIPSAMLib.engine.sam.registry import load_segmenter
from MedCLIPSAMLib.engine.session.session import Session
from MedCLIPSAMLib.engine.session.settings import Settings
from quickstart.report import dice

from .figures import Figure, at_least, at_most, has_amx
from .materials import cases, display
from .textbook import textbook_map

_TEXT = "liver of a ct"


def seconds(work: Callable[..., Any], *arguments: Any, **options: Any) -> tuple[float, Any]:
    """Time of one call, and what it gave."""
    start = time.perf_counter()
    result = work(*arguments, **options)
    return time.perf_counter() - start, result


def exact(model: DualEncoder, steps: int) -> tuple[list[Figure], float]:
    """Our M2IB against the textbook's on one slice; and the textbook's seconds."""
    settings = replace(PUBLISHED, steps=steps)
    noise = np.random.default_rng(0).normal(size=(1, 3, model.image_size, model.image_size))
    pixels = torch.from_numpy(noise).float()
    ids = model.tokenize([_TEXT])
    textbook_s, (textbook, _) = seconds(textbook_map, model, pixels, ids, settings)

    def ours(method: M2IB) -> torch.Tensor:
        query = TextQuery.from_features(model.encode_token_ids(ids))
        return method.explain(model, method.prepare(model, pixels), query).maps

    method = M2IB(noise="published", steps=steps)
    ours(replace(method, steps=2))  # the first run of anything is slower
    ours_s, maps = seconds(ours, method)
    difference = float((normalise(maps) - normalise(textbook[None])).abs().max())
    found = [
        at_least(f"exact M2IB, fp32, {steps} steps: textbook / ours, per slice", textbook_s / ours_s, 5),
        at_most("largest difference of the two maps, stretched to 0..1", difference, 1e-4, ""),
        Figure("exact M2IB, fp32, per slice", ours_s, None, None, "s"),
    ]
    if not has_amx():
        return [*found, Figure("exact M2IB, bf16 (not measured: no AMX)", None, 12, None, "x")], textbook_s
    with computing_in(torch.bfloat16, torch.device("cpu")):
        ours(replace(method, steps=2))
        half_s, half = seconds(ours, method)
    alike = float(torch.corrcoef(torch.stack([half.flatten().float(), maps.flatten()]))[0, 1])
    found.append(at_least("exact M2IB, bf16: textbook / ours, per slice", textbook_s / half_s, 12))
    found.append(Figure("exact M2IB, bf16, per slice", half_s, None, None, "s"))
    found.append(at_least("correlation of bf16 and fp32 maps", alike, 0.999, ""))
    return found, textbook_s


def less_work(console: Console, slices: int) -> None:
    """Prints what each way of doing less changes on real volumes: of maps, of boxes, and of masks.

    Every way starts on the same slices, which show the structure. The reference is M2IB with 100 samples of noise.
    """
    clip, segmenter = load_clip("quickstart", "cpu"), load_segmenter("lite-medsam", "cpu")
    base = M2IB(clip.recommended.layer, clip.recommended.beta, seed=1)

    def longer(steps: int, growing: bool) -> M2IB:
        samples = QUICK.noise_samples
        return replace(
            base, steps=steps, noise_samples=samples, learning_rate=as_far(steps), antithetic=True, growing=growing
        )

    ways: dict[str, SaliencyMethod] = {
        "as published, another seed": replace(base, seed=2),
        "4 samples": replace(base, noise_samples=4),
        "4 samples in pairs": replace(base, noise_samples=4, antithetic=True),
        "stopped after 6 steps": replace(base, steps=6),
        "6 longer steps, 4 in pairs": longer(6, growing=False),
        "6 longer steps, growing to 4 in pairs (default)": longer(QUICK.steps, growing=True),
        "gradient (quick preview)": saliency_method("gradient", layer=base.layer),
    }
    for case, prompts in cases():
        session = Session(case.volume, clip, segmenter)
        rows: dict[str, list[tuple[float, ...]]] = {name: [] for name in ["as published", *ways]}
        for prompt in prompts:
            truth = display(case, case.masks[prompt])
            shown = np.flatnonzero(truth.sum((1, 2)) > 0.3 * truth.sum((1, 2)).max())
            there: list[int] = shown[np.linspace(0, len(shown) - 1, min(slices, len(shown))).astype(int)].tolist()
            pictures = session._viewer.pictures(there, clip.image_size)
            tokens = base.prepare(clip, clip.preprocess(pictures))
            query = TextQuery.encode(clip, [prompt])

            def explain(way: SaliencyMethod) -> np.ndarray:
                return normalise(way.explain(clip, tokens, query, there).maps).numpy()  # noqa: B023

            reference = explain(replace(base, noise_samples=100, seed=3))
            wanted = [_box(session, heat) for heat in reference]
            published_s, published = seconds(explain, base)
            for name, way in {"as published": base, **ways}.items():
                taken, maps = (published_s, published) if way is base else seconds(explain, way)
                alike = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(maps, reference, strict=True)]
                boxes = [_box(session, heat) for heat in maps]
                masks = [session._masker.decode(k, box[None], ())[0] for k, box in zip(there, boxes, strict=True)]
                rows[name].append(
                    (
                        published_s / taken,
                        float(np.mean(alike)),
                        float(np.mean([box_iou(a, b) for a, b in zip(boxes, wanted, strict=True)])),
                        dice(np.stack(masks), truth[there]),
                    )
                )
        table = Table(
            "M2IB", "times faster", "correlation", "box IoU", "Dice", title=f"{case.name}: {', '.join(prompts)}"
        )
        for name, values in rows.items():
            faster, alike, iou, overlap = np.mean(values, 0)
            table.add_row(name, f"{faster:.1f}", f"{alike:.3f}", f"{iou:.3f}", f"{overlap:.3f}")
        console.print(table)


def _box(session: Session, heat: np.ndarray) -> np.ndarray:
    """(4,) the box that the published localisation draws from a stretched map."""
    shape = session.stack.array.shape[1:]
    restored = session._viewer.frame.restore(heat, shape)
    coarse = keep_largest(binarizer("kmeans")(restored, np.zeros(shape, np.uint8)), 1)
    x0, y0, x1, y1 = bounding_boxes(coarse)[0] if coarse.any() else (0, 0, shape[1] - 1, shape[0] - 1)
    return np.array([x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)], float)


def dice_beside_exact(slices: int) -> list[Figure]:
    """Dice of runs over the middle ``slices``, text alone: default settings and M2IB's default beside --exact."""
    clip, segmenter = load_clip("quickstart", "cpu"), load_segmenter("lite-medsam", "cpu")
    found = []
    for case, prompts in cases():
        scores: dict[str, list[float]] = {"exact": [], "m2ib": [], "default": []}
        for name, settings in {
            "exact": Settings(exact=True),
            "m2ib": Settings(saliency="m2ib"),
            "default": Settings(),
        }.items():
            session = Session(case.volume, clip, segmenter, settings)
            middle = len(session.stack) // 2
            rows = range(max(0, middle - slices // 2), min(len(session.stack), middle + slices // 2))
            for prompt in prompts:
                mask = session.segment(Prompt(prompt, (prompt,)), rows).mask
                scores[name].append(dice(display(case, mask)[rows], display(case, case.masks[prompt])[rows]))
        means = {name: float(np.mean(values)) for name, values in scores.items()}
        what = f"{case.name} ({', '.join(prompts)}), Dice"
        found += [
            Figure(f"{what}, --exact", means["exact"], None, None, ""),
            at_least(f"{what}, --saliency m2ib, minus --exact", means["m2ib"] - means["exact"], -0.01, ""),
            at_least(f"{what}, default settings, minus --exact", means["default"] - means["exact"], -0.01, ""),
        ]
    return found
