"""Cases of fine-tuning by DHN-NCE: the loss with its gradients, and the first steps of a training.

`dhn_nce_gradients.json` lists the settings of each case and its `loss`; the arrays are `case{i}_image`, `case{i}_text`,
(B, D), and the gradients for these. `trajectory.json` lists the course of each case; the arrays are
`case{i}_pixel_values` (steps, B, 3, S, S), `case{i}_token_ids`, and the features of the first batch after the last.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from MedCLIPSAMLib.engine.clip.registry import load_clip
from MedCLIPSAMLib.training.gradients import batch_gradients
from MedCLIPSAMLib.training.losses import Loss, LossSettings, loss_function
from MedCLIPSAMLib.training.optimiser import make_optimiser, rate_at, set_rate
from MedCLIPSAMLib.training.trainee import Trainee, trainee
from Testing.reference.findings import Finding, difference, share

LOSS, GRADIENTS = 1e-5, 5e-6  # the second of the largest
STEP_LOSS, FEATURES, RATES = 2e-6, 1e-5, 1e-12


def check_gradients(folder: Path) -> Iterator[Finding]:
    """Loss and gradients of each case of `folder`."""
    arrays = np.load(folder / "dhn_nce_gradients.npz")
    for case in json.loads((folder / "dhn_nce_gradients.json").read_text("utf-8")):
        key = f"case{case['case']}"
        image, text = (_numbers(arrays[f"{key}_{side}"]).requires_grad_() for side in ("image", "text"))
        loss = _loss(case, case["batch_size"])(image, text)
        loss.backward()
        yield Finding(
            f"dhn-nce {key}, batch {case['batch']}, temperature {case['temperature']:g}",
            (
                difference("loss", np.array(loss.item()), np.array(case["loss"]), LOSS),
                share("image gradient", _grad(image), arrays[f"{key}_image_gradient"], GRADIENTS),
                share("text gradient", _grad(text), arrays[f"{key}_text_gradient"], GRADIENTS),
            ),
        )


def check_trajectories(folder: Path) -> Iterator[Finding]:
    """Losses, rates and features of each training of `folder`."""
    arrays = np.load(folder / "trajectory.npz")
    for case in json.loads((folder / "trajectory.json").read_text("utf-8")):
        key = f"case{case['case']}"
        pixels, ids = _numbers(arrays[f"{key}_pixel_values"]), torch.from_numpy(arrays[f"{key}_token_ids"]).long()
        learner = trainee(load_clip(folder, "cpu"), folder)
        learner.network.requires_grad_(True)
        optimiser = make_optimiser(learner.network, case["wd"])
        loss, losses, rates = _loss(case, case["batch"]), [], []
        for number, (batch, said) in enumerate(zip(pixels, ids, strict=True)):
            optimiser.zero_grad()
            losses.append(_step(learner, batch, said, loss))
            rates.append(rate_at(case["first_step"] + number, case["lr"], case["warmup"], case["total"]))
            set_rate(optimiser, rates[-1])
            optimiser.step()
        with torch.no_grad():
            seen, meant = learner.images(pixels[0])[0], learner.texts(ids[0])[0]
        yield Finding(
            f"trajectory {key}, batch {case['batch']}, warm-up {case['warmup']}, from step {case['first_step']}",
            (
                difference("losses", np.array(losses), np.array(case["losses"]), STEP_LOSS),
                difference("rates", np.array(rates), np.array(case["learning_rates"]), RATES),
                share("image features", seen.numpy(), arrays[f"{key}_image_features_after"], FEATURES),
                share("text features", meant.numpy(), arrays[f"{key}_text_features_after"], FEATURES),
            ),
        )


def _step(learner: Trainee, batch: Tensor, said: Tensor, loss: Loss) -> float:
    encoders = lambda piece: learner.images(batch[piece]), lambda piece: learner.texts(said[piece])
    return batch_gradients(encoders, range(len(batch)), len(batch), len(batch), loss)


def _loss(case: dict[str, Any], batch_size: int) -> Loss:
    settings = LossSettings("dhn-nce", case["temperature"], case["beta1"], case["beta2"], case["alpha"], exact=True)
    return loss_function(settings, batch_size)


def _numbers(array: np.ndarray) -> Tensor:
    return torch.from_numpy(array).float()


def _grad(tensor: Tensor) -> np.ndarray:
    assert tensor.grad is not None
    return tensor.grad.numpy()
