"""Presence along the axis and what clues it is made of."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from MedCLIPSAMLib.engine.presence.presence import image_clues, map_clues, present, score, unit
from MedCLIPSAMLib.engine.saliency import SaliencyBatch, TextQuery


@pytest.mark.parametrize(
    ("scores", "found"),
    [
        ([0.1, 0.2, 0.1, 0.2, 0.1, 0.2], []),
        ([0.1, 0.4, 0.9, 0.8, 0.4, 0.1], [1, 2, 3, 4]),  # weak slices continue strong ones
        ([0.4, 0.4, 0.4, 0.4, 0.4, 0.4], []),  # but never stand alone
        ([0.1, 0.9, 0.9, 0.1, 0.9, 0.9], [1, 2, 3, 4, 5]),  # one bad slice does not split an organ
        ([0.9, 0.9, 0.1, 0.1, 0.1, 0.1], [0, 1]),  # an organ may be cut by the end of the stack
    ],
)
def test_decides_along_the_axis(scores, found):
    assert np.flatnonzero(present(np.array(scores), 5.0)).tolist() == found


def test_a_flash_is_not_believed_in_a_fine_stack():
    scores = np.zeros(40)
    scores[5] = 1.0
    scores[20:30] = 1.0
    assert np.flatnonzero(present(scores, 1.5)).tolist() == list(range(20, 30))


def test_one_slice_alone_is_judged_by_itself():
    assert present(np.array([0.7]), 5.0).tolist() == [True]
    assert present(np.array([0.4]), 5.0).tolist() == [False]


def test_a_large_organ_is_present_although_its_map_is_not_concentrated():
    disc = torch.zeros(224, 224)
    disc[50:137, 50:137] = 1  # 15 % of the picture, and nothing else
    target, neutral = torch.eye(2)
    batch = SaliencyBatch(disc[None], torch.ones(1))
    (clues,) = image_clues(target[None], TextQuery(target, target[:0].reshape(0, 2)), neutral[None], 100.0)
    assert map_clues(batch)[0]["concentration"] < 0.2
    assert present(np.array([score(clues)]), 5.0).tolist() == [True]


def test_a_models_own_answer_goes_before_contrast():
    assert score({"contrast": 0.4, "concentration": 1.0, "information": 50.0}) == 0.4
    assert score({"presence": 0.7}) == 0.7


def test_clues_of_a_model_without_its_own_answer():
    target, other, neutral = torch.eye(3)
    images = unit(torch.stack([target, other, target + other]))
    even, peaked = torch.ones(8, 8), torch.zeros(8, 8)
    peaked[2, 2] = 1
    batch = SaliencyBatch(torch.stack([peaked, even, even]), torch.ones(3))
    judged = image_clues(images, TextQuery(target, other[None]), neutral[None], 100.0)
    assert [round(clue["contrast"], 3) for clue in judged] == [1.0, 0.0, 0.5]
    clues = map_clues(batch)
    assert [round(clue["concentration"], 3) for clue in clues] == [1.0, 0.0, 0.0]
    assert [clue["information"] for clue in clues] == [1.0, 1.0, 1.0]


def test_a_models_own_answer_is_taken():
    batch = SaliencyBatch(torch.ones(2, 4, 4), torch.ones(2), torch.tensor([0.25, 0.75]))
    assert map_clues(batch) == [{"presence": 0.25}, {"presence": 0.75}]
