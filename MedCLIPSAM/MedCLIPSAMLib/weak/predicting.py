"""Snapshots look at a volume one after the other, and their mean decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from ..engine.errors import InputError, ModelError
from ..engine.machine.device import within_memory
from ..engine.volume import Volume
from .ensemble import PUBLISHED_THRESHOLD, THRESHOLD, class_entropy, mask_of, score
from .environment import silence, workers
from .grid import Grid
from .snapshots import Model, read_weights


@dataclass(frozen=True)
class Prediction:
    """What the snapshots say together, on the voxels of the volume.

    Attributes:
        masks: (K, J, I) bool of each label, by name.
        probability: (K, J, I) float32, the mean probability of any label.
        uncertainty: (K, J, I) float32, its entropy in bits.
        score: of the uncertainty along the boundary, see `ensemble.score`; None where there is no boundary.
        snapshots: how many were asked.
    """

    masks: dict[str, np.ndarray]
    probability: np.ndarray
    uncertainty: np.ndarray
    score: float | None
    snapshots: int


def predict(
    model: Model,
    volume: Volume,
    device: torch.device,
    *,
    threshold: float | None = None,
    exact: bool = False,
    told: Callable[[int], None] = lambda done: None,
) -> Prediction:
    """Ask every snapshot, by nnU-Net's own sliding window with mirroring, and fuse what they say.

    Where there are several labels, a voxel above the threshold gets the likeliest of them.

    Args:
        threshold: mean probability above which a voxel belongs to a label; None is 0.5, or 0.2 where ``exact``.
        exact: the score as published, see `ensemble.score`.
        told: called with the number of snapshots that have answered.

    Raises:
        InputError: the volume is a single slice and the model needs volumes; the threshold is no probability.
        ModelError: a snapshot is damaged, or does not go with the plans.
        DeviceError: there is too little memory.
    """
    grid = Grid(volume)
    if grid.is_flat and model.configuration != "2d":
        raise InputError(f"{volume.name} is a single slice, and {model.folder} needs volumes; train one in 2d.")
    total = None
    asker = _Asker(model, grid, device)
    for number, file in enumerate(model.files, start=1):
        with within_memory(file.name, device):
            answer = asker.ask(file)
        total = answer if total is None else total + answer
        told(number)
    mean = np.asarray(total, np.float32) / len(model.files)
    chosen = threshold if threshold is not None else PUBLISHED_THRESHOLD if exact else THRESHOLD
    pair = np.stack([mean[0], mean[1] if len(mean) == 2 else 1 - mean[0]])
    inside = mask_of(pair[1], chosen)
    uncertainty = class_entropy(pair[None], exact=exact)
    masks = {name: inside & (mean[1:].argmax(0) == place) for place, name in enumerate(model.labels)}
    return Prediction(
        {name: grid.from_network(mask) for name, mask in masks.items()},
        grid.from_network(pair[1]),
        grid.from_network(uncertainty),
        score(uncertainty, inside, exact=exact),
        len(model.files),
    )


class _Asker:
    """The network of a model, and a volume that is prepared for it."""

    def __init__(self, model: Model, grid: Grid, device: torch.device) -> None:
        self._plans = PlansManager(model.plans)
        self._configuration = self._plans.get_configuration(model.configuration)
        self._labels = self._plans.get_label_manager(model.described)
        channels = determine_num_input_channels(self._plans, self._configuration, model.described)
        heads = self._labels.num_segmentation_heads
        self._network = nnUNetTrainer.build_network_architecture(
            self._plans, self._configuration, channels, heads, enable_deep_supervision=False
        )
        with silence():
            self._predictor = nnUNetPredictor(device=device, allow_tqdm=False)
            image, properties = grid.for_network()
            preprocessor = self._configuration.preprocessor_class(verbose=False)
            self._image, _, self._properties = preprocessor.run_case_npy(
                image, None, properties, self._plans, self._configuration, model.described
            )
        self._described = model.described

    def ask(self, file: Path) -> np.ndarray:
        """(C, ...) softmax of one snapshot, background first, of `Grid.for_network`."""
        weights, axes = read_weights(file)
        try:
            self._network.load_state_dict(weights)
        except RuntimeError as error:
            raise ModelError(f"{file} does not go with plans.json beside it; train again.") from error
        predictor = self._predictor
        predictor.manual_initialization(
            self._network, self._plans, self._configuration, [weights], self._described, nnUNetTrainer.__name__, axes
        )
        with silence():
            logits = predictor.predict_logits_from_preprocessed_data(torch.from_numpy(self._image)).cpu()
        _, probabilities = convert_predicted_logits_to_segmentation_with_correct_shape(
            logits,
            self._plans,
            self._configuration,
            self._labels,
            self._properties,
            return_probabilities=True,
            num_threads_torch=workers(),
        )
        return np.asarray(probabilities)
