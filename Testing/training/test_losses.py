"""The losses of fine-tuning against loops that follow their formulas, and their gradients in pieces."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from MedCLIPSAMLib.training.gradients import batch_gradients
from MedCLIPSAMLib.training.losses import LossSettings, dhn_nce, info_nce, loss_function
from MedCLIPSAMLib.training.optimiser import decays, rate_at
from MedCLIPSAMLib.training.recall import recall

T, BETA_IMAGE, BETA_TEXT = 0.6, 0.15, 0.4


def features(count: int = 5, width: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(count)
    return torch.randn(count, width, generator=generator), torch.randn(count, width, generator=generator)


def cosines(images: Tensor, texts: Tensor) -> list[list[float]]:
    return (F.normalize(images, dim=1) @ F.normalize(texts, dim=1).T / T).tolist()


def test_dhn_nce_is_the_formula_of_the_paper():
    images, texts = features()
    logits = cosines(images, texts)
    count, total = len(logits), 0.0
    for beta, rows in ((BETA_IMAGE, logits), (BETA_TEXT, [list(column) for column in zip(*logits, strict=True)])):
        for i, row in enumerate(rows):
            others = [value for j, value in enumerate(row) if j != i]
            among = sum(math.exp(beta * value) for value in others)
            hard = [(count - 1) * math.exp(beta * value) / among * math.exp(value) for value in others]
            total += (-row[i] + math.log(sum(hard))) / count
    assert dhn_nce(images, texts, T, BETA_IMAGE, BETA_TEXT).item() == pytest.approx(total, rel=1e-5)


def test_dhn_nce_without_weights_is_decoupled_contrast():
    images, texts = features()
    logits = torch.tensor(cosines(images, texts))
    others = logits - torch.diag(torch.full((5,), torch.inf))
    expected = sum((side.logsumexp(1) - logits.diagonal()).mean() for side in (others, others.T))
    assert dhn_nce(images, texts, T, 0.0, 0.0).item() == pytest.approx(float(expected), rel=1e-5)


def test_a_pair_alone_teaches_nothing():
    images, texts = (side.requires_grad_() for side in features(1))
    value = dhn_nce(images, texts, T, BETA_IMAGE, BETA_TEXT)
    value.backward()
    assert value.item() == 0
    assert images.grad is not None
    assert not images.grad.any()


@pytest.mark.parametrize("batch_size", [5, 8])
def test_as_published_the_sums_of_rows_divide_columns(batch_size):
    images, texts = features()
    logits = cosines(images, texts)
    total = 0.0
    for beta, rows in ((BETA_IMAGE, logits), (BETA_TEXT, [list(column) for column in zip(*logits, strict=True)])):
        masked = [[0.0 if i == j else value for j, value in enumerate(row)] for i, row in enumerate(rows)]
        for i, row in enumerate(masked):
            for j, value in enumerate(row):
                weighed = (batch_size - 1) * math.exp(beta * value + value) / sum(map(math.exp, masked[j]))
                total -= ((rows[i][i] if i == j else 0) - math.log(weighed)) / 25
    settings = LossSettings("dhn-nce", T, BETA_IMAGE, BETA_TEXT, exact=True)
    assert loss_function(settings, batch_size)(images, texts).item() == pytest.approx(total, rel=1e-5)


def test_info_nce_is_cross_entropy_on_both_sides():
    images, texts = features()
    logits = torch.tensor(cosines(images, texts))
    expected = -(logits.log_softmax(1).diagonal().mean() + logits.log_softmax(0).diagonal().mean())
    assert info_nce(images, texts, T).item() == pytest.approx(float(expected), rel=1e-5)
    assert loss_function(LossSettings("info-nce", T), 5)(images, texts).item() == pytest.approx(float(expected))


@pytest.mark.parametrize("name", ["dhn-nce", "info-nce"])
@pytest.mark.parametrize("views", [1, 2])
def test_gradients_in_pieces_are_those_of_the_whole_batch(name, views):
    generator = torch.Generator().manual_seed(0)
    pixels, ids = torch.randn(7, 6, generator=generator), torch.randn(7, 3, generator=generator)

    def gradients(chunk: int) -> tuple[float, list[Tensor]]:
        torch.manual_seed(1)
        image, text = torch.nn.Linear(6, 4 * views), torch.nn.Linear(3, 4)
        value = batch_gradients(
            (
                lambda piece: torch.stack(image(pixels[piece]).chunk(views, 1)).tanh(),
                lambda piece: text(ids[piece])[None],
            ),
            range(7),
            7,
            chunk,
            loss_function(LossSettings(name), 7),
        )
        return value, [weight.grad for part in (image, text) for weight in part.parameters() if weight.grad is not None]

    whole, expected = gradients(7)
    for chunk in (1, 3):
        value, found = gradients(chunk)
        assert value == pytest.approx(whole, rel=1e-5)
        assert len(found) == len(expected) == 4
        for ours, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_the_rate_rises_evenly_and_falls_along_a_cosine():
    rates = [rate_at(step, 0.01, 4, 10) for step in range(10)]
    assert rates[:5] == pytest.approx([0.0025, 0.005, 0.0075, 0.01, 0.01])
    assert rates[7] == pytest.approx(0.005)
    assert rates[4:] == sorted(rates[4:], reverse=True)


@pytest.mark.parametrize(
    ("name", "dimensions", "decay"),
    [
        ("visual.trunk.cls_token", 3, True),
        ("blocks.0.mlp.fc1.weight", 2, True),
        ("blocks.0.mlp.fc1.bias", 1, False),
        ("blocks.0.norm1.weight", 1, False),
        ("ln_odd", 2, False),
        ("logit_scale", 0, False),
    ],
)
def test_norms_and_offsets_do_not_decay(name, dimensions, decay):
    assert decays(name, dimensions) == decay


def test_pictures_with_the_same_text_are_all_right_answers():
    images = np.eye(4)
    texts = np.array([[1, 0.5, 0, 0], [1, 0.5, 0, 0], [0, 0, 0.2, 1], [0, 0, 1, 0]], float)
    found = recall(images, texts, ["liver", "liver", "spleen", "kidney"])
    assert found.texts_of_pictures[0] == 0.5
    # The third picture is likelier "kidney" than "spleen", and the fourth the other way round.
    assert found.pictures_of_texts[0] == pytest.approx(1 / 3)
    assert found.pictures_of_texts[1] == 1


def test_a_tie_is_not_won():
    assert recall(np.ones((3, 1)), np.ones((3, 1)), ["a", "b", "c"]).texts_of_pictures[0] == 0
