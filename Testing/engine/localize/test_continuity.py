"""Components, boxes and strays along the axis."""

from __future__ import annotations

import numpy as np

from MedCLIPSAMLib.engine.localize.continuity import box_iou, choose, remove_strays, steady_boxes, without_specks

NO_POINTS = np.empty((0, 3))
SPACING = (3.0, 1.0, 1.0)


def chosen(stack: np.ndarray, instances: int | None, *points: np.ndarray, spacing=SPACING) -> np.ndarray:
    kept = stack.copy()
    cleared = choose(kept, instances, spacing, *points)
    for number, plane in enumerate(stack):
        gone = cleared.get(number)
        assert np.array_equal(np.zeros_like(plane) if gone is None else gone, plane & ~kept[number])
    assert not (kept & ~stack).any()
    return kept


def two_bars() -> np.ndarray:
    stack = np.zeros((6, 20, 20), bool)
    stack[:, 2:10, 2:8] = True
    stack[:, 2:8, 12:18] = True
    return stack


def test_all_large_parts_are_kept_and_specks_are_not():
    stack = two_bars()
    stack[0, 18, 18] = True
    assert np.array_equal(chosen(stack, None, NO_POINTS, NO_POINTS), two_bars())


def test_instances_takes_the_largest():
    kept = chosen(two_bars(), 1, NO_POINTS, NO_POINTS)
    assert kept[:, :, :10].any()
    assert not kept[:, :, 10:].any()


def test_points_choose_under_and_near():
    under = chosen(two_bars(), None, np.array([[3, 4.2, 14.4]]), NO_POINTS)
    near = chosen(two_bars(), None, np.array([[3, 9.0, 14.0]]), NO_POINTS)
    for kept in (under, near):
        assert kept[:, :, 12:].any(axis=(1, 2)).all(), "followed over all slices"
        assert not kept[:, :, :10].any()


def test_a_click_far_from_everything_chooses_nothing():
    stack = np.zeros((3, 200, 20), bool)
    stack[:, :10] = True
    far = chosen(stack, None, np.array([[1, 150.0, 5.0]]), NO_POINTS)
    assert not far.any()


def test_of_nothing_nothing_is_chosen_and_nothing_removed():
    empty = np.zeros((3, 20, 20), bool)
    assert not chosen(empty, None, np.array([[1, 5.0, 5.0]]), NO_POINTS).any()
    remove_strays(empty, empty)
    assert not empty.any()


def test_a_click_beside_what_was_found_takes_the_nearest_in_millimetres():
    stack = np.zeros((2, 60, 60), bool)
    stack[:, 10:13, 20:40] = stack[:, 20:50, 55:58] = True
    click = np.array([[1, 22.0, 45.0]])  # 10 pixels from either
    wide = chosen(stack, None, click, NO_POINTS, spacing=(3.0, 1.0, 3.0))
    tall = chosen(stack, None, click, NO_POINTS, spacing=(3.0, 3.0, 1.0))
    assert wide[:, :15].any()
    assert not wide[:, 15:].any()
    assert tall[:, 15:].any()
    assert not tall[:, :15].any()


def test_negative_points_remove():
    kept = chosen(two_bars(), None, NO_POINTS, np.array([[3, 4.0, 4.0]]))
    assert not kept[:, :, :10].any()
    assert kept[:, :, 12:].any()


def test_boxes_are_steadied_but_jumps_are_not():
    boxes = [np.array([[10.0, 10, 30, 30]]), np.array([[14.0, 10, 30, 30]]), np.array([[10.0, 10, 30, 30]])]
    assert steady_boxes(boxes)[1].tolist() == [[12, 10, 30, 30]]
    apart = [boxes[0], np.array([[60.0, 60, 80, 80]]), np.empty((0, 4)), boxes[0]]
    assert [box.tolist() for box in steady_boxes(apart)] == [box.tolist() for box in apart]


def test_box_iou():
    assert box_iou(np.array([0.0, 0, 2, 2]), np.array([1.0, 0, 3, 2])) == 1 / 3
    assert box_iou(np.array([0.0, 0, 1, 1]), np.array([5.0, 5, 6, 6])) == 0


def test_strays_go():
    seeds = np.zeros((3, 20, 20), bool)
    seeds[:, 5:8, 5:8] = True
    mask = np.zeros_like(seeds)
    mask[:, 4:9, 4:9] = True
    wanted = mask.copy()
    mask[:, 15:20, 15:20] = True  # as large, but where no saliency was
    remove_strays(mask, seeds)
    assert np.array_equal(mask, wanted)


def test_specks_on_a_slice_go():
    plane = two_bars()[0]
    speckled = plane.copy()
    speckled[18, 18] = True
    assert np.array_equal(without_specks(speckled), plane)
    assert not without_specks(np.zeros((4, 4), bool)).any()
