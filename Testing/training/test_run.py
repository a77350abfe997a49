"""The loop of fine-tuning on real pictures: what is learnt, and going on after a stop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from MedCLIPSAMLib.engine.clip.registry import load_clip
from MedCLIPSAMLib.engine.errors import Cancelled, InputError
from MedCLIPSAMLib.training.learnt import Learnt
from MedCLIPSAMLib.training.logs import TABLE
from MedCLIPSAMLib.training.losses import LossSettings
from MedCLIPSAMLib.training.pairs import read_pairs
from MedCLIPSAMLib.training.pictures import draw_pictures
from MedCLIPSAMLib.training.run import STATE, Data, Trained, Training
from MedCLIPSAMLib.training.settings import TrainingSettings
from MedCLIPSAMLib.training.trainee import Trainee, trainee

SIZE = 64  # pixels, in place of 192: a ninth of the time
FAST = {"epochs": 4, "batch_size": 5, "learning_rate": 3e-4, "precision": "fp32"}


@pytest.fixture
def data(pairs: Path, tmp_path: Path) -> tuple[Data, Data]:
    read = read_pairs(pairs)
    drawn = draw_pictures(read, SIZE, tmp_path / "pictures.npy", lambda: None)
    kept = np.array([pair.patient.endswith("1") for pair in read])
    texts = np.array([pair.text for pair in read])
    return Data(drawn[~kept], texts[~kept].tolist()), Data(drawn[kept], texts[kept].tolist())


def learner() -> Trainee:
    return trainee(load_clip("quickstart", "cpu"), None)


def train(data: tuple[Data, Data], folder: Path, ends: Callable[[int], bool] = lambda step: False, **chosen) -> Trained:
    folder.mkdir(exist_ok=True)
    steps = []
    settings = TrainingSettings(**{**FAST, **chosen})
    return Training(
        learner(),
        *data,
        settings,
        folder,
        lambda done, total, loss: steps.append(done),
        lambda: ends(steps[-1]),
        saved_s=1e9,
    ).run()


def same(first: Trained, second: Trained) -> bool:
    return all(torch.equal(first.weights[name], second.weights[name]) for name in first.weights)


def test_the_loss_falls_and_other_patients_find_their_texts_better(data, tmp_path):
    trained = train(data, tmp_path / "run", epochs=8, learning_rate=5e-4, patience=0)
    assert trained.losses[-1] < trained.losses[0] - 0.1
    assert trained.before is not None
    assert trained.after is not None
    assert trained.after.loss < trained.before.loss
    assert trained.after.recall.texts_of_pictures[1] > trained.before.recall.texts_of_pictures[1]


def test_stopped_and_gone_on_with_it_finds_the_same_weights(data, tmp_path):
    undisturbed = train(data, tmp_path / "whole")
    for stop in (3, 4, 6):  # within an epoch, at its end, within a later one
        with pytest.raises(Cancelled):
            train(data, tmp_path / "parts", lambda step, stop=stop: step >= stop)
    resumed = train(data, tmp_path / "parts")
    assert same(undisturbed, resumed)
    assert undisturbed.losses == pytest.approx(resumed.losses, abs=1e-9)
    assert (tmp_path / "whole" / TABLE).read_text() == (tmp_path / "parts" / TABLE).read_text()


def test_pieces_change_memory_and_not_what_is_learnt(data, tmp_path):
    whole, pieces = train(data, tmp_path / "1", epochs=1), train(data, tmp_path / "2", epochs=1, chunk=2)
    worst = max(float((whole.weights[name] - pieces.weights[name]).abs().max()) for name in whole.weights)
    assert worst < 2e-4  # Adam's first steps are as long for a small gradient as for a large one


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
@pytest.mark.parametrize("learnt", ["last:2", "lora:4"])
def test_parts_of_the_weights_learn_in_every_format(data, tmp_path, precision, learnt):
    trained = train(data, tmp_path / "run", epochs=2, precision=precision, learnt=Learnt.parse(learnt))
    frozen = load_clip("quickstart", "cpu").network.state_dict()  # type: ignore[attr-defined]
    changed = {name for name, tensor in trained.weights.items() if not torch.equal(tensor, frozen[name])}
    assert changed
    assert not any(name.startswith(("image.stem", "image.blocks.0.")) for name in changed) or learnt == "lora:4"
    assert "image.stem2.0.weight" not in changed


def test_it_ends_early_and_keeps_the_best(data, tmp_path):
    trained = train(data, tmp_path / "run", epochs=30, learning_rate=0.05, warm_up=1, patience=2)
    assert trained.epochs < 30
    assert trained.epochs - trained.best == 2


def test_as_published_a_last_short_batch_is_dropped_and_else_none(data, tmp_path):
    seen: list[int] = []

    class Counting(Training):
        def _gradients(self, rows: np.ndarray) -> float:
            seen.append(len(rows))
            return 0.0

    for exact in (True, False):
        settings = TrainingSettings(**{**FAST, "epochs": 1, "batch_size": 4}, loss=LossSettings(exact=exact))
        Counting(learner(), data[0], data[1], settings, tmp_path, lambda *_: None).run()
        (tmp_path / STATE).unlink()
    assert seen == [4, 4, 5, 5]


def test_tensorboard_has_the_curves_where_it_is_installed(data, tmp_path, monkeypatch):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(data, tmp_path / "with", epochs=2)
    curves = EventAccumulator(str(tmp_path / "with" / "tensorboard")).Reload()
    assert [event.step for event in curves.Scalars("validation loss")] == [2, 4]
    monkeypatch.setattr("MedCLIPSAMLib.training.logs.find_spec", lambda name: None)
    train(data, tmp_path / "without", epochs=2)
    assert (tmp_path / "with" / TABLE).read_text() == (tmp_path / "without" / TABLE).read_text()
    assert not (tmp_path / "without" / "tensorboard").exists()


@pytest.mark.row("training-format")
def test_a_loss_that_is_no_number_ends_in_a_sentence(data, tmp_path, monkeypatch):
    monkeypatch.setattr(Training, "_gradients", lambda self, rows: float("nan"))
    with pytest.raises(InputError, match="no number any more at step 1; give a lower --learning-rate"):
        train(data, tmp_path / "run")


@pytest.mark.row("training-format")
def test_a_format_that_fails_is_answered_by_fp32_in_one_line(data, tmp_path, monkeypatch, caplog):
    make = Training._gradients

    def failing(self: Training, rows: np.ndarray) -> float:
        return make(self, rows) if self._dtype == torch.float32 else float("inf")

    monkeypatch.setattr(Training, "_gradients", failing)
    train(data, tmp_path / "run", epochs=1, precision="bf16")
    assert [record.message for record in caplog.records] == [
        "The loss is no number at step 1 in this precision; going on in fp32."
    ]


def test_a_damaged_file_to_go_on_from_is_told(data, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    for content in (b"", b"PK\x03\x04 cut", b"\x80\x02}q\x00."):
        (folder / STATE).write_bytes(content)
        with pytest.raises(InputError, match=r"damaged .*; start anew with --force"):
            train(data, folder)


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        ({"epochs": 0}, "--epochs is too small"),
        ({"batch_size": 1}, "--batch-size is too small; give 2 or more"),
        ({"learning_rate": float("nan")}, "--learning-rate is too small"),
        ({"validation": 1.0}, "--validation 1 is no share"),
        ({"loss": LossSettings("triplet")}, "no loss 'triplet'"),
        ({"loss": LossSettings("info-nce", exact=True)}, "--exact is how dhn-nce was published"),
    ],
)
def test_settings_that_cannot_be_are_told(chosen, sentence):
    with pytest.raises(InputError, match=sentence):
        TrainingSettings(**chosen)
