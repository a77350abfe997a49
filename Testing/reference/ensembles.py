"""Cases of weak supervision: snapshots fused, `uncertainty.json` and `.npz`, and their schedule, `schedule.json`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from MedCLIPSAMLib.engine.evaluate import score as compare
from MedCLIPSAMLib.weak import ensemble
from MedCLIPSAMLib.weak.schedule import RULES, Schedule
from Testing.reference.findings import Finding, Measure

_MEAN, _ENTROPY, _P = 2e-6, 5e-6, 3e-5
_SCORE = 1e-5  # of its value
_RATE = 1e-12
_DICE = 1e-9


def check_uncertainty(folder: Path) -> Iterator[Finding]:
    """Mean, mask, maps and scores of each case of ``folder``, and where maps are no numbers."""
    arrays = np.load(folder / "uncertainty.npz")
    for case in json.loads((folder / "uncertainty.json").read_text("utf-8")):
        key = f"case{case['case']}"
        probabilities = arrays[f"{key}_probabilities"]
        mean = ensemble.mean_foreground(probabilities)
        maps = {
            "class_entropy": ensemble.class_entropy(probabilities, exact=True),
            "total_entropy": ensemble.total_entropy(probabilities, exact=True),
            "t_test_p": ensemble.t_test_p(probabilities, exact=True),
        }
        mask = ensemble.mask_of(mean, ensemble.PUBLISHED_THRESHOLD)
        measures = [_map("mean", mean, arrays[f"{key}_mean_foreground"], _MEAN)]
        measures += [
            _map(name, made, arrays[f"{key}_{name}"], _P if name == "t_test_p" else _ENTROPY)
            for name, made in maps.items()
        ]
        measures += [
            _score(f"{name} score", ensemble.score(made, mask, exact=True), case[f"{name.removesuffix('_p')}_score"])
            for name, made in maps.items()
        ]
        measures.append(_equal("mask", mask.squeeze().tolist(), arrays[f"{key}_mask"].squeeze().astype(bool).tolist()))
        measures.append(_equal("boundary", ensemble.boundary_voxels(mask), case["boundary_pixels"]))
        for name, count in case["not_finite_pixels"].items():
            measures.append(_equal(f"no numbers in {name}", int((~np.isfinite(maps[name])).sum()), count))
        label = arrays[f"{key}_label"].reshape(mask.shape)
        dice = compare(mask.reshape(1, *mask.shape[-2:]), label.reshape(1, *mask.shape[-2:]), (1, 1, 1)).dice
        measures.append(Measure(f"Dice {dice:.4f}", abs(np.nan_to_num(dice) - case["dice"]) <= _DICE))
        yield Finding(f"uncertainty {key}, {case['style']}, {len(probabilities)} snapshots", tuple(measures))


def check_schedule(folder: Path) -> Iterator[Finding]:
    """Learning rates and the files saved by each rule."""
    for case in json.loads((folder / "schedule.json").read_text("utf-8")):
        chosen = case["epochs"], case["cycles"], case["gamma"]
        plans = {rule: Schedule(*chosen, rule, case["initial_lr"]) for rule in RULES}
        rates = [plans["both"].rate(epoch) for epoch in range(case["epochs"])]
        measures = [_map("rates", np.array(rates), np.array(case["learning_rates"]), _RATE)]
        measures += [
            _equal(f"files of {rule}", plans[rule].snapshots(), files) for rule, files in case["saved"].items()
        ]
        yield Finding("schedule of {} epochs, {} cycles, gamma {:g}".format(*chosen), tuple(measures))


def _map(what: str, ours: np.ndarray, published: np.ndarray, limit: float) -> Measure:
    """The largest difference of numbers; what is no number must be none in both, or infinite in the same way."""
    if ours.size != published.size:
        return Measure(f"{what} of shape {ours.shape}, not {published.shape}", False)
    ours, published = ours.reshape(-1).astype(np.float64), published.reshape(-1).astype(np.float64)
    numbers = np.isfinite(published)
    alike = np.array_equal(ours[~numbers], published[~numbers], equal_nan=True)
    found = float(np.abs(ours - published)[numbers].max(initial=0))
    return Measure(f"{what} {found:.1e} (limit {limit:g})", alike and found <= limit)


def _score(what: str, ours: float | None, published: float | str) -> Measure:
    expected = float(published)  # "nan" and "inf" are texts in JSON
    made = float("nan") if ours is None else ours
    same = made == expected or (np.isnan(made) and np.isnan(expected)) or abs(made - expected) <= _SCORE * abs(expected)
    return Measure(f"{what} {made:.6g} against {expected:.6g}", bool(same))


def _equal(what: str, ours: object, published: object) -> Measure:
    return Measure(f"{what} {'equal' if ours == published else 'differ'}", ours == published)
