"""Entropy of a probability, in bits."""

from __future__ import annotations

import numpy as np
import pytest

from MedCLIPSAMLib.engine.uncertainty.entropy import binary_entropy


def test_it_is_nothing_where_certain_and_one_bit_at_one_half():
    assert binary_entropy(np.array([0.0, 1.0, 0.5])).tolist() == [0, 0, 1]


def test_it_is_that_of_the_textbook_and_the_same_for_both_answers():
    probability = np.random.default_rng(0).uniform(0.01, 0.99, (3, 4)).astype(np.float32)
    other = 1 - probability
    textbook = -probability * np.log2(probability) - other * np.log2(other)
    assert binary_entropy(probability) == pytest.approx(textbook, abs=1e-6)
    assert binary_entropy(other) == pytest.approx(textbook, abs=1e-6)
