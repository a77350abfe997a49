"""Risk-coverage and calibration against results that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from MedCLIPSAMLib.engine.uncertainty.ranking import area_under_risk_coverage, calibration_error, risk_coverage


def test_risk_and_coverage_of_four():
    coverage, risk = risk_coverage(np.array([0.4, 0.1, 0.3, 0.2]), np.array([1, 0, 1, 0]))
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1]
    assert risk == pytest.approx([0, 0, 1 / 3, 1 / 2])


def test_the_best_order_has_the_area_of_the_textbook():
    """With n right and n wrong the best order gives 1 - ln 2 in half of the coverage, less as n is small."""
    loss = np.repeat([0, 1], 5000)
    best = area_under_risk_coverage(loss, loss)
    assert best == pytest.approx(0.5 + 0.5 * np.log(0.5), abs=1e-3), "Geifman et al. 2019: r + (1 - r) ln(1 - r)"
    assert best < area_under_risk_coverage(np.zeros(10000), loss) < area_under_risk_coverage(1 - loss, loss)


def test_what_is_equally_sure_has_no_order():
    loss = np.array([1, 0, 0, 1, 0, 0])
    assert area_under_risk_coverage(np.ones(6), loss) == pytest.approx(1 / 3)
    shuffled = np.array([0, 0, 1, 0, 1, 0])
    assert area_under_risk_coverage(np.ones(6), shuffled) == pytest.approx(1 / 3)


def test_calibration_by_hand():
    probability = np.array([0.1, 0.1, 0.8, 0.8, 1.0])
    truth = np.array([False, True, True, True, False])
    # Bins of a tenth: 2/5 of |0.1 - 0.5|, 2/5 of |0.8 - 1|, 1/5 of |1 - 0|.
    assert calibration_error(probability, truth, bins=10) == pytest.approx(0.4 * 0.4 + 0.4 * 0.2 + 0.2 * 1)


def test_what_comes_true_as_often_as_it_says_is_calibrated():
    random = np.random.default_rng(0)
    probability = random.uniform(0, 1, 200_000)
    assert calibration_error(probability, random.uniform(0, 1, 200_000) < probability) < 0.01
    assert calibration_error(np.full(10, 0.5), np.zeros(10)) == 0.5
    assert calibration_error(np.array([0.0, 1.0]), np.array([False, True])) == 0
