"""What is said beside "found" of how well a model does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from MedCLIPSAMLib.engine.clip.quickstart.reliability import Reliability


@pytest.fixture
def measured(tmp_path: Path) -> Reliability:
    table = {
        "liver": {"CT": {"people": 34, "dice": 0.931}, "ultrasound": {"people": 1, "dice": 0.5}},
        "brain": {"MR": {"people": 2, "dice": 0.96}},
    }
    (tmp_path / "reliability.json").write_text(json.dumps(table))
    return Reliability.read(tmp_path)


@pytest.mark.parametrize(
    ("term", "modality", "said"),
    [
        ("liver", "CT", "checked on 34 people in CT, Dice 0.93"),
        ("liver", "MR", "not checked in MR"),
        ("liver", "other", "checked on 34 people in CT, Dice 0.93; on 1 person in ultrasound, Dice 0.50"),
        ("spleen", "CT", "not checked in CT"),
        ("spleen", "other", "not checked"),
    ],
)
def test_what_was_checked_is_said_and_what_was_not(measured, term, modality, said):
    assert measured.of(term, modality) == said


def test_a_model_that_was_not_measured_says_so(tmp_path):
    assert Reliability.read(tmp_path).of("liver", "CT") == "not checked in CT"
