"""Fused snapshots and their uncertainty, against the formulas written out voxel by voxel."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import ttest_ind

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.weak import ensemble


@pytest.fixture
def snapshots() -> np.ndarray:
    """(5, 2, 1, 6, 7) float32: a blob that five networks draw a little differently."""
    random = np.random.default_rng(3)
    logits = random.normal(size=(5, 1, 6, 7)) - 1
    logits[..., 2:5, 2:5] += 3
    foreground = 1 / (1 + np.exp(-logits))
    return np.stack([1 - foreground, foreground], 1).astype(np.float32)


def test_maps_are_those_of_the_formulas(snapshots):
    mean = ensemble.mean_foreground(snapshots)
    maps = ensemble.class_entropy(snapshots), ensemble.total_entropy(snapshots), ensemble.t_test_p(snapshots)
    assert mean.shape == (1, 6, 7)
    for place in np.ndindex(mean.shape):
        background, foreground = (snapshots[(slice(None), side, *place)].astype(float) for side in (0, 1))
        f, b = foreground.mean(), background.mean()
        assert mean[place] == pytest.approx(f, abs=1e-6)
        assert maps[0][place] == pytest.approx(-f * math.log2(f) - b * math.log2(b), abs=1e-5)
        assert maps[1][place] == pytest.approx(-sum(v * math.log(v) for v in background), abs=1e-5)
        assert maps[2][place] == pytest.approx(ttest_ind(background, foreground, equal_var=False).pvalue, abs=1e-5)


def test_what_is_certain_has_no_entropy_unless_exact():
    certain = np.zeros((3, 2, 1, 2, 2), np.float32)
    certain[:, 0] = 1
    for entropy in (ensemble.class_entropy, ensemble.total_entropy):
        assert entropy(certain).tolist() == [[[0, 0], [0, 0]]]
    assert np.isnan(ensemble.class_entropy(certain, exact=True)).all()
    assert np.isnan(ensemble.total_entropy(1 - certain, exact=True)).all()


def test_equal_sides_in_all_snapshots_cannot_be_told_apart():
    even = np.full((3, 2, 1, 2, 2), 0.5, np.float32)
    assert ensemble.t_test_p(even).tolist() == [[[1, 1], [1, 1]]]
    assert np.isnan(ensemble.t_test_p(even, exact=True)).all()


def test_the_score_counts_each_voxel_of_the_boundary_once_and_the_published_one_255_times():
    mask = np.zeros((2, 5, 6), bool)
    mask[0, 2, 2:4] = True  # ten neighbours
    mask[1, 0, 0] = True  # three, in a corner
    uncertainty = np.full(mask.shape, 0.25, np.float32)
    assert ensemble.score(uncertainty, mask) == pytest.approx(100 * 0.25 * mask.size / 13)
    assert ensemble.score(uncertainty, mask, exact=True) == pytest.approx(100 * 0.25 * mask.size / 13 / 255)


@pytest.mark.parametrize("fill", [False, True])
def test_a_mask_without_a_boundary_has_no_score_and_an_infinite_one_where_exact(fill):
    mask, uncertainty = np.full((1, 3, 3), fill), np.ones((1, 3, 3), np.float32)
    assert ensemble.score(uncertainty, mask) is None
    assert ensemble.score(uncertainty, mask, exact=True) == math.inf


def test_the_mask_is_what_is_above_the_threshold():
    assert ensemble.mask_of(np.array([0.2, 0.21, 0.5, 0.6]), 0.2).tolist() == [False, True, True, True]
    assert ensemble.mask_of(np.array([0.5, 0.6])).tolist() == [False, True]


@pytest.mark.parametrize("threshold", [-0.1, 1.1, math.nan])
def test_a_threshold_that_is_no_probability_is_refused(threshold):
    with pytest.raises(InputError, match="no probability"):
        ensemble.mask_of(np.zeros(3), threshold)


def test_bad_probabilities_are_refused(snapshots):
    with pytest.raises(InputError, match="background and foreground"):
        ensemble.mean_foreground(snapshots[:, :1])
    with pytest.raises(InputError, match="background and foreground"):
        ensemble.mean_foreground(snapshots[:0])
    for wrong in (2.0, math.nan):
        snapshots[0, 0, 0, 0, 0] = wrong
        with pytest.raises(InputError, match="softmax"):
            ensemble.class_entropy(snapshots)
    with pytest.raises(InputError, match="two of them"):
        ensemble.t_test_p(np.full((1, 2, 1, 2, 2), 0.5))
    with pytest.raises(InputError, match="slices alike"):
        ensemble.score(np.zeros((2, 2)), np.zeros((2, 3), bool))
