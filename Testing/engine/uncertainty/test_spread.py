"""What is varied: wordings that mean the same, boxes that stay boxes."""

from __future__ import annotations

import numpy as np

from MedCLIPSAMLib.engine.prompt.prompt import Prompt
from MedCLIPSAMLib.engine.uncertainty.spread import other_wordings, shaken

BOXES = np.array([[10.0, 20, 50, 40], [0, 0, 2, 200]])


def test_ready_made_wordings_are_of_the_structure_and_the_modality():
    liver = list(other_wordings(Prompt("liver", ("liver",)), "MR"))
    assert liver[0] == "hepar"
    assert "liver on abdominal MRI" in liver
    assert not {text for text in liver if "CT" in text or "kidney" in text}
    assert "liver" not in liver, "which was asked for"
    assert len(set(liver)) == len(liver)


def test_wordings_of_a_prompt_come_first_one_by_one():
    words = list(other_wordings(Prompt("spleen", ("the spleen", "splenic tissue")), "CT"))
    assert words[:2] == ["the spleen", "splenic tissue"]
    assert "lien" in words


def test_a_single_wording_of_what_no_list_knows_stands_alone():
    assert list(other_wordings(Prompt("frob", ("the frob of the gnu",)), "CT")) == []


def test_boxes_are_shaken_a_little_and_the_same_way_each_time():
    moved = shaken(BOXES, 6, 3)
    assert moved.shape == (6, 2, 4)
    assert np.array_equal(moved, shaken(BOXES, 6, 3))
    assert not np.array_equal(moved, shaken(BOXES, 6, 4)), "each slice has draws of its own"
    assert (moved[..., 2:] > moved[..., :2]).all()
    off = (moved - BOXES) / np.tile(BOXES[:, 2:] - BOXES[:, :2], 2)
    assert 0.02 < off.std() < 0.1, "as part of the box's width or height"
    assert shaken(BOXES, 0, 3).shape == (0, 2, 4)
    assert shaken(BOXES[:0], 4, 3).shape == (4, 0, 4)
