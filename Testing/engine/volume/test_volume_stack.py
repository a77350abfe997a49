from __future__ import annotations

import numpy as np
import pytest

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.engine.volume import AXES, Axis, SliceStack, Volume

from ..storing import ORDERS, stored

SHAPE = (5, 7, 9)
RIGHT, ANTERIOR, SUPERIOR = np.eye(3)


def _affine(directions: np.ndarray, spacing: tuple[float, float, float] = (0.7, 1.1, 4.0)) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = directions * spacing
    matrix[:3, 3] = (-31, 12, 57)
    return matrix


def _rotation(degrees: tuple[float, float, float]) -> np.ndarray:
    rotation = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(degrees)):
        turn = np.eye(3)
        a, b = (axis + 1) % 3, (axis + 2) % 3
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        rotation = turn @ rotation
    return rotation


def _directions() -> list[np.ndarray]:
    """All 48 axis-parallel orientations (half of them left-handed), oblique ones, and a sheared one."""
    oblique = [_rotation(angles) for angles in ((20, -15, 30), (90, 40, 5), (-44, 10, 170))]
    mirrored = [rotation * (-1, 1, 1) for rotation in oblique]
    gantry_tilt = np.array([[1, 0, 0], [0, 1, -0.3], [0, 0, np.sqrt(1 - 0.09)]])
    return [*ORDERS, *oblique, *mirrored, gantry_tilt]


@pytest.fixture(params=range(len(_directions())), scope="module")
def volume(request: pytest.FixtureRequest) -> Volume:
    array = np.arange(np.prod(SHAPE), dtype=np.int32).reshape(SHAPE)
    return Volume(array, _affine(_directions()[request.param]), "other")


def _steps(stack: SliceStack) -> np.ndarray:
    """RAS unit vectors of one step in slice, row and column."""
    origin, *ends = stack.slice_to_ras(np.vstack([np.zeros(3), np.eye(3)]))
    steps = np.array(ends) - origin
    return steps / np.linalg.norm(steps, axis=1, keepdims=True)


@pytest.mark.parametrize("axis", AXES)
def test_each_pixel_is_the_voxel_at_its_ras_position(volume: Volume, axis: Axis) -> None:
    stack = SliceStack(volume, axis)
    index = np.argwhere(np.ones(stack.array.shape, bool))
    ras = stack.slice_to_ras(index)
    ijk = (np.c_[ras, np.ones(len(ras))] @ np.linalg.inv(volume.ijk_to_ras).T)[:, :3]
    assert np.allclose(ijk, ijk.round(), atol=1e-9)
    i, j, k = ijk.round().astype(int).T
    assert (volume.array[k, j, i] == stack.array[tuple(index.T)]).all()


@pytest.mark.parametrize("axis", AXES)
def test_display_is_radiological(volume: Volume, axis: Axis) -> None:
    stack = SliceStack(volume, axis)
    _, row, column = _steps(stack)
    down, right = {
        "axial": (-ANTERIOR, -RIGHT),
        "coronal": (-SUPERIOR, -RIGHT),
        "sagittal": (-SUPERIOR, -ANTERIOR),
    }[stack.plane]
    assert row @ down > 0.5
    assert column @ right > 0.5


@pytest.mark.parametrize("axis", AXES)
def test_slices_are_views_and_restore_undoes_them(volume: Volume, axis: Axis) -> None:
    stack = SliceStack(volume, axis)
    assert np.shares_memory(stack.array, volume.array)
    restored = stack.restore(stack.array)
    assert restored.shape == SHAPE
    assert (restored == volume.array).all()
    assert np.shares_memory(restored, volume.array)


@pytest.mark.parametrize("axis", AXES)
def test_positions_go_there_and_back(volume: Volume, axis: Axis) -> None:
    stack = SliceStack(volume, axis)
    points = np.random.default_rng(0).uniform(-3, 9, (20, 3))
    assert np.allclose(stack.ras_to_slice(stack.slice_to_ras(points)), points)


@pytest.mark.parametrize("axis", AXES)
def test_spacing_is_the_length_of_the_steps(volume: Volume, axis: Axis) -> None:
    stack = SliceStack(volume, axis)
    origin, *ends = stack.slice_to_ras(np.vstack([np.zeros(3), np.eye(3)]))
    assert stack.spacing == pytest.approx(np.linalg.norm(np.array(ends) - origin, axis=1))


def test_acquisition_slices_are_those_of_the_first_array_axis(volume: Volume) -> None:
    stack = SliceStack(volume, "acquisition")
    assert len(stack) == SHAPE[0]
    assert [set(plane.ravel()) for plane in stack.array] == [set(plane.ravel()) for plane in volume.array]


def test_slice_numbers_are_those_of_the_array() -> None:
    downwards = Volume(np.arange(4)[:, None, None] * np.ones((4, 2, 2)), np.diag([1.0, 1, -2, 1]), "CT")
    assert SliceStack(downwards, "axial").array[:, 0, 0].tolist() == [0, 1, 2, 3]


def test_no_points_give_no_points() -> None:
    stack = SliceStack(Volume(np.zeros(SHAPE), np.eye(4), "CT"), "axial")
    assert stack.ras_to_slice(np.empty((0, 3))).shape == (0, 3)


def test_an_unknown_axis_is_refused() -> None:
    with pytest.raises(InputError, match="'frontal'"):
        SliceStack(Volume(np.zeros(SHAPE), np.eye(4), "CT"), "frontal")  # pyright: ignore[reportArgumentType]


@pytest.mark.row("orientation")
@pytest.mark.parametrize(
    ("spacing", "plane", "reason"),
    [
        ((1, 1, 1), "axial", "trained"),
        ((0.8, 0.8, 1.5), "axial", "trained"),
        ((0.9, 1.8, 1), "axial", "trained"),
        ((0.8, 0.9, 5), "axial", "thick"),
        ((4, 0.6, 0.6), "sagittal", "thick"),
        ((1, 3, 1), "coronal", "thick"),
    ],
)
def test_slices_are_the_same_however_the_voxels_are_stored(spacing, plane, reason) -> None:
    voxels = np.random.default_rng(0).integers(0, 1000, (4, 5, 6))
    volumes = [Volume(*stored(voxels, order, _affine(np.eye(3), spacing)), "other") for order in ORDERS]
    stacks = [SliceStack(volume) for volume in volumes]
    assert {(stack.plane, stack.reason) for stack in stacks} == {(plane, reason)}
    for stack in stacks:
        assert stack.spacing == stacks[0].spacing
        np.testing.assert_array_equal(_rising(stack), _rising(stacks[0]))


def _rising(stack: SliceStack) -> np.ndarray:
    """The slices from low to high RAS: their numbers are those of the file, either way."""
    return stack.array if stack.slice_to_ras_matrix[:3, 0].sum() > 0 else stack.array[::-1]


def test_a_single_slice_is_looked_at_as_it_lies() -> None:
    stack = SliceStack(Volume(np.zeros((6, 1, 7)), _affine(np.eye(3), (1, 1, 1)), "other"))
    assert (stack.plane, stack.reason, len(stack)) == ("coronal", "single", 1)
