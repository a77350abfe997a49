from __future__ import annotations

import json

import numpy as np
import pytest

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.engine.evaluate import evaluate, label_names, score

ISOTROPIC = (1.0, 1.0, 1.0)


def _cube(shift: tuple[int, int, int] = (0, 0, 0), shape: tuple[int, int, int] = (30, 30, 30)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[tuple(slice(8 + offset, 18 + offset) for offset in shift)] = True
    return mask


def test_equal_masks() -> None:
    assert score(_cube(), _cube(), ISOTROPIC).to_dict() == {"dice": 1, "surface_dice": 1, "hausdorff95": 0}


@pytest.mark.parametrize(
    ("shift", "spacing", "distance"),
    [
        ((0, 0, 2), (4, 1, 1), 8),
        ((0, 2, 0), (1, 3, 1), 6),
        ((2, 0, 0), (1, 1, 5), 10),
        ((0, 0, 2), (1, 1, 5), 2),
    ],
)
def test_spacing_is_in_ijk_order_and_respected(
    shift: tuple[int, int, int], spacing: tuple[float, float, float], distance: float
) -> None:
    scores = score(_cube(shift), _cube(), spacing)
    assert scores.dice == pytest.approx(0.8)
    assert scores.hausdorff95 == pytest.approx(distance)
    # Two of six faces are moved away, beyond the tolerance where the step is large.
    assert (scores.surface_dice < 1) == (distance > 2)


def test_tolerance_is_in_mm() -> None:
    moved = _cube((0, 0, 2))
    assert score(moved, _cube(), ISOTROPIC, tolerance=2).surface_dice == pytest.approx(1)
    assert score(moved, _cube(), ISOTROPIC, tolerance=1).surface_dice < 0.9


def test_labels_of_any_type_are_masks() -> None:
    assert score(_cube().astype(np.uint8) * 5, _cube().astype(float), ISOTROPIC).dice == 1


def test_two_empty_masks_say_nothing() -> None:
    empty = np.zeros((4, 4, 4))
    scores = score(empty, empty, ISOTROPIC)
    assert scores.both_empty
    assert scores.to_dict() == {"dice": None, "surface_dice": None, "hausdorff95": None}


def test_the_mean_is_of_what_is_there() -> None:
    labels = np.zeros((30, 30, 30), int)
    labels[_cube()] = 1
    empty = np.zeros(labels.shape, bool)
    names = {1: "brain", 2: "liver", 3: "spleen"}
    result = evaluate({"brain": _cube(), "liver": empty, "spleen": _cube()}, labels, names, ISOTROPIC)
    assert [scores.both_empty for scores in result.scores.values()] == [False, True, False]
    assert result.mean is not None
    assert (result.mean.dice, result.mean.hausdorff95) == (0.5, 0)
    assert evaluate({"liver": empty}, labels, names, ISOTROPIC).mean is None


@pytest.mark.parametrize("swap", [False, True])
def test_an_empty_mask_agrees_with_nothing(swap: bool) -> None:
    empty = np.zeros((30, 30, 30))
    scores = score(_cube(), empty, ISOTROPIC) if swap else score(empty, _cube(), ISOTROPIC)
    assert (scores.dice, scores.surface_dice) == (0, 0)
    assert json.loads(json.dumps(scores.to_dict(), allow_nan=False))["hausdorff95"] is None


def test_masks_at_the_border_and_on_one_slice() -> None:
    assert score(np.ones((3, 3, 3)), np.ones((3, 3, 3)), ISOTROPIC).surface_dice == 1
    flat = np.zeros((1, 20, 20), bool)
    flat[0, 5:10, 5:10] = True
    assert score(flat, np.roll(flat, 1, 2), ISOTROPIC).dice == pytest.approx(0.8)


def test_grids_must_be_the_same() -> None:
    with pytest.raises(InputError, match="one grid"):
        score(np.ones((3, 3, 3)), np.ones((3, 3, 4)), ISOTROPIC)


def test_segments_find_their_label_by_name() -> None:
    labels = np.zeros((30, 30, 30), np.uint8)
    labels[_cube()] = 3
    labels[:4] = 7
    labels[5:6] = 9
    names = {3: "kidney_right", 7: "lung_left", 9: "Lung left", 11: "brain"}
    segments = {"Kidney Right": _cube(), "lung left": np.isin(labels, (7, 9)), "dragon": _cube()}
    result = evaluate(segments, labels, names, ISOTROPIC)
    assert result.unmatched == ("dragon",)
    assert list(result.scores) == ["Kidney Right", "lung left"]
    assert all(scores.dice == 1 for scores in result.scores.values())


def test_a_label_which_is_nowhere_is_an_empty_reference() -> None:
    result = evaluate({"brain": _cube()}, np.zeros((30, 30, 30), np.int16), {4: "brain"}, ISOTROPIC)
    assert result.scores["brain"].dice == 0


@pytest.mark.parametrize("segments", [{}, {"dragon": _cube()}])
def test_nothing_to_compare_is_refused(segments: dict[str, np.ndarray]) -> None:
    with pytest.raises(InputError, match="name of a label"):
        evaluate(segments, np.zeros((30, 30, 30)), {1: "liver"}, ISOTROPIC)


def test_label_names() -> None:
    assert label_names('{"1": "spleen", "5": "liver"}') == {1: "spleen", 5: "liver"}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"a": "liver"}', '{"1": 2}', '{"1": ""}', b"\xff"])
def test_unusable_label_names_are_refused(text: str | bytes) -> None:
    with pytest.raises(InputError, match="label names"):
        label_names(text)
