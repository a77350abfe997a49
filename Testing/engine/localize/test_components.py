"""Components of masks against those of scikit-image, and of the narrow masks that cc3d fails at."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from skimage import measure

from MedCLIPSAMLib.engine.localize import keep_largest
from MedCLIPSAMLib.engine.localize.components import label
from MedCLIPSAMLib.engine.localize.continuity import choose, remove_strays, without_specks
from MedCLIPSAMLib.engine.session.masking import without_pinholes

NO_POINTS = np.empty((0, 3))


def masks(dimensions: int) -> st.SearchStrategy[np.ndarray]:
    """Bool masks of all densities, with sides of a single voxel too, in either order of memory."""
    shapes = arrays.array_shapes(min_dims=dimensions, max_dims=dimensions, max_side=12)
    return st.builds(
        lambda shape, density, seed, order: np.asarray(
            np.random.default_rng(seed).random(shape) < density, order=order
        ),
        shapes,
        st.floats(0, 1),
        st.integers(0, 2**32 - 1),
        st.sampled_from("CF"),
    )


def expected(mask: np.ndarray, corners: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Labels and sizes by scikit-image; the background's size is 0."""
    labels = np.asarray(measure.label(mask, connectivity=mask.ndim if corners else 1))
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return labels, sizes


@given(masks(2) | masks(3), st.booleans())
def test_labels_are_those_of_scikit_image(mask: np.ndarray, corners: bool) -> None:
    labels, count = label(mask, corners=corners)
    other, _ = expected(mask, corners)
    pairs = {(int(ours), int(theirs)) for ours, theirs in zip(labels.ravel(), other.ravel(), strict=True)}
    assert np.array_equal(labels > 0, mask)
    assert sorted({ours for ours, _ in pairs} - {0}) == list(range(1, count + 1))
    assert len(pairs) == len({ours for ours, _ in pairs}) == len({theirs for _, theirs in pairs})


@given(masks(2), st.integers(1, 3))
def test_the_largest_are_kept(mask: np.ndarray, n: int) -> None:
    labels, sizes = expected(mask)
    least = sorted(sizes[sizes > 0])[-n:][0] if mask.any() else 1
    assert np.array_equal(keep_largest(mask, n), (sizes >= least)[labels])


@given(masks(2))
def test_specks_go(plane: np.ndarray) -> None:
    labels, sizes = expected(plane)
    assert np.array_equal(without_specks(plane), (sizes > 0.12 * sizes.max())[labels])


@given(masks(2))
def test_pinholes_are_filled(mask: np.ndarray) -> None:
    labels, sizes = expected(~mask, corners=False)
    assert np.array_equal(without_pinholes(mask), mask | ((sizes > 0) & (sizes < int(0.02 * mask.sum())))[labels])


@given(masks(3))
def test_along_the_axis_small_parts_go(stack: np.ndarray) -> None:
    labels, sizes = expected(stack)
    kept = stack.copy()
    choose(kept, None, (1.0, 1.0, 1.0), NO_POINTS, NO_POINTS)
    assert np.array_equal(kept, (sizes > 0.12 * sizes.max())[labels])


@given(masks(3), st.integers(0, 2**32 - 1))
def test_along_the_axis_what_no_seed_touches_goes(stack: np.ndarray, seed: int) -> None:
    labels, sizes = expected(stack)
    seeds = np.random.default_rng(seed).random(stack.shape) < 0.1
    touched = np.isin(np.arange(len(sizes)), labels[seeds])
    kept = stack.copy()
    remove_strays(kept, seeds)
    assert np.array_equal(kept, (touched & (sizes > 0.12 * sizes.max()))[labels])


@pytest.mark.row("components-narrow")
@pytest.mark.parametrize("shape", [(1, 4), (3, 1), (1, 1)])
def test_the_last_pixel_of_a_narrow_slice_is_one_component(shape: tuple[int, int]) -> None:
    plane = np.zeros(shape, bool)
    plane[-1, -1] = True
    assert label(plane)[1] == 1
    assert np.array_equal(without_specks(plane), plane)


@pytest.mark.row("components-narrow")
@pytest.mark.parametrize("shape", [(3, 1, 1), (1, 3, 1), (1, 1, 3)])
def test_two_voxels_of_a_row_of_three_are_two_components(shape: tuple[int, int, int]) -> None:
    stack = np.array([True, False, True]).reshape(shape)
    kept = stack.copy()
    choose(kept, None, (1.0, 1.0, 1.0), NO_POINTS, NO_POINTS)
    remove_strays(kept, stack)
    assert np.array_equal(kept, stack)
    choose(kept, 1, (1.0, 1.0, 1.0), NO_POINTS, NO_POINTS)
    assert kept.sum() == 1
