from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy import ndimage

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.engine.localize import (
    BINARIZERS,
    binarizer,
    bounding_boxes,
    keep_largest,
    sample_points,
)


def blob(shape: tuple[int, int] = (60, 90)) -> tuple[np.ndarray, np.ndarray]:
    """A bright disc on a dark ramp, and where it is."""
    rows, columns = np.indices(shape)
    disc = (rows - 25) ** 2 + (columns - 60) ** 2 < 12**2
    return np.where(disc, 0.9, 0.2 * columns / shape[1]), disc


@pytest.mark.parametrize("name", BINARIZERS)
def test_a_binarizer_is_found_by_its_own_name(name: str) -> None:
    assert binarizer(name).name == name


@pytest.mark.parametrize("name", sorted(BINARIZERS))
def test_every_binarizer_finds_a_clear_blob(name: str) -> None:
    saliency, disc = blob()
    mask = binarizer(name)(saliency, np.where(disc, 200, 50).astype(np.uint8))
    assert mask.dtype == bool
    assert mask.shape == disc.shape
    wrong = mask != disc  # K-means sees a copy of another size, so that its outline may be a pixel off
    corners = np.ones((3, 3), bool)
    outline = ndimage.binary_dilation(disc, corners) & ~ndimage.binary_erosion(disc, corners)
    assert not (wrong & ~outline).any()
    assert name == "kmeans" or wrong.mean() < 0.002


@pytest.mark.parametrize("name", sorted(BINARIZERS))
@pytest.mark.parametrize("level", [0.0, 0.2])
def test_a_flat_map_has_no_foreground(name: str, level: float) -> None:
    mask = binarizer(name)(np.full((30, 40), level), np.zeros((30, 40), np.uint8))
    assert not mask.any()


def test_maps_are_seen_in_8_bits() -> None:
    saliency = np.array([[0.0, 76.4 / 255, 76.6 / 255, 77 / 255, 1.0]])
    assert binarizer("threshold")(saliency, saliency).tolist() == [[False, False, True, True, True]]


def test_the_level_of_the_threshold_can_be_set() -> None:
    saliency = np.array([[0.2, 0.4, 0.6]])
    assert binarizer("threshold", level=0.5)(saliency, saliency).tolist() == [[False, False, True]]


@pytest.mark.parametrize("shape", [(61, 90), (256, 256), (300, 513)])
def test_kmeans_works_on_a_nearest_neighbour_copy_of_256_pixels(shape: tuple[int, int]) -> None:
    bright = np.random.default_rng(0).random(shape) > 0.7
    rows, columns = (np.arange(256) * size // 256 for size in shape)
    copy = bright[rows][:, columns]
    rows, columns = (np.arange(size) * 256 // size for size in shape)
    assert np.array_equal(binarizer("kmeans")(bright * 0.8, bright), copy[rows][:, columns])


def test_crf_takes_colour_and_follows_the_edges_of_the_image() -> None:
    saliency, disc = blob()
    shifted = np.roll(saliency, 2, axis=1)
    image = np.where(disc, 250, 5).astype(np.uint8)
    grey = binarizer("crf")(shifted, image)
    colour = binarizer("crf")(shifted, np.repeat(image[..., np.newaxis], 3, 2))
    assert np.array_equal(grey, colour)
    assert grey.shape == disc.shape


def test_crf_without_its_package_is_one_sentence(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pydensecrf.densecrf", None)
    with pytest.raises(InputError, match="'crf' needs the package pydensecrf2: pip install it, or choose kmeans"):
        binarizer("crf")(np.zeros((4, 4)), np.zeros((4, 4), np.uint8))


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(InputError, match="no localisation 'watershed': choose one of kmeans, threshold, otsu, crf"):
        binarizer("watershed")


def picture(*rows: str) -> np.ndarray:
    return np.array([[cell == "#" for cell in row] for row in rows])


COMPONENTS = picture(
    "##...#..",
    "##....#.",
    "#.......",
    "....#...",
    "....#...",
)


def test_the_largest_components_are_kept_and_corners_connect() -> None:
    assert np.array_equal(keep_largest(COMPONENTS, 1), COMPONENTS & (np.arange(8) < 3))
    assert keep_largest(COMPONENTS, 9).sum() == COMPONENTS.sum()
    assert not keep_largest(np.zeros((3, 3), bool), 2).any()


def test_all_components_that_tie_for_the_last_place_are_kept() -> None:
    assert np.array_equal(keep_largest(COMPONENTS, 2), COMPONENTS)


def test_one_box_goes_round_everything() -> None:
    assert bounding_boxes(COMPONENTS).tolist() == [[0, 0, 7, 4]]


def test_each_component_has_a_box_from_left_to_right() -> None:
    assert bounding_boxes(COMPONENTS, each=True).tolist() == [[0, 0, 2, 3], [4, 3, 5, 4], [5, 0, 7, 2]]


def test_boxes_end_one_past_the_last_pixel_but_inside_the_image() -> None:
    mask = np.zeros((20, 30), bool)
    mask[5:9, 10:13] = True
    assert bounding_boxes(mask).tolist() == [[10, 5, 13, 9]]
    mask[15:, 25:] = True
    assert bounding_boxes(mask).tolist() == [[10, 5, 29, 19]]


def test_a_component_in_the_hole_of_another_has_no_box_of_its_own() -> None:
    mask = np.zeros((20, 20), bool)
    mask[2:15, 2:15] = True
    mask[4:13, 4:13] = False
    mask[8, 8] = True
    assert bounding_boxes(mask, each=True).tolist() == [[2, 2, 15, 15]]


@pytest.mark.parametrize("each", [False, True])
def test_an_empty_mask_has_no_box(each: bool) -> None:
    assert bounding_boxes(np.zeros((5, 5), bool), each).shape == (0, 4)


def test_points_are_different_pixels_of_the_mask_as_x_y() -> None:
    mask = np.zeros((20, 30), bool)
    mask[3:6, 20:25] = True
    points = sample_points(mask, 10, seed=4)
    assert points.shape == (10, 2)
    assert len({tuple(point) for point in points}) == 10
    assert all(mask[int(y), int(x)] for x, y in points)
    assert np.array_equal(points, sample_points(mask, 10, seed=4))
    assert not np.array_equal(points, sample_points(mask, 10, seed=5))
    assert len(sample_points(mask, 100)) == 15
    assert sample_points(np.zeros((4, 4), bool), 3).shape == (0, 2)
