from __future__ import annotations

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.engine.volume import Volume, guess_modality

IDENTITY = np.eye(4)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint16, np.int32, np.float16, np.float32, np.float64])
def test_any_real_array_is_taken_without_a_copy(dtype: type) -> None:
    array = np.ones((2, 3, 4), dtype)
    assert np.shares_memory(Volume(array, IDENTITY, "MR").array, array)


def test_not_finite_voxels_are_taken() -> None:
    array = np.full((2, 3, 4), np.nan)
    array[0, 0, 0] = np.inf
    assert Volume(array, IDENTITY, "other").array is array


@pytest.mark.parametrize(
    "array",
    [np.zeros((4, 4)), np.zeros((2, 3, 4, 3)), np.zeros((0, 3, 4)), np.zeros((2, 3, 4), complex)],
    ids=["flat", "colour", "empty", "complex"],
)
def test_what_is_no_scalar_volume_is_refused_by_name(array: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"^head "):
        Volume(array, IDENTITY, "MR", "head")


@pytest.mark.parametrize(
    "matrix",
    [
        np.eye(3),
        np.diag([1.0, 1, 0, 1]),
        np.array([[1.0, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
        np.diag([1.0, np.nan, 1, 1]),
        np.ones((4, 4)),
        "matrix",
    ],
    ids=["3x3", "no slice spacing", "parallel axes", "nan", "projective", "text"],
)
def test_a_matrix_without_inverse_is_refused(matrix: np.ndarray) -> None:
    with pytest.raises(InputError, match="IJK-to-RAS"):
        Volume(np.zeros((2, 3, 4)), matrix, "CT")


def test_microscopic_voxels_are_no_singular_matrix() -> None:
    volume = Volume(np.zeros((2, 3, 4)), np.diag([1e-4, 1e-4, 1e-4, 1]), "other")
    assert volume.spacing == pytest.approx([1e-4] * 3)


def test_an_unknown_modality_is_refused() -> None:
    with pytest.raises(InputError, match="'PET'"):
        Volume(np.zeros((2, 3, 4)), IDENTITY, "PET")  # pyright: ignore[reportArgumentType]


def test_spacing_is_in_ijk_order_whatever_the_direction() -> None:
    angle = np.deg2rad(30)
    direction = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, -1]])
    matrix = np.eye(4)
    matrix[:3, :3] = direction * (0.7, 0.8, 5)
    assert Volume(np.zeros((2, 3, 4)), matrix, "CT").spacing == pytest.approx([0.7, 0.8, 5])


def test_the_matrix_cannot_be_changed_behind_the_volume() -> None:
    matrix = np.eye(4)
    volume = Volume(np.zeros((2, 3, 4)), matrix, "CT")
    matrix[0, 0] = 7
    assert volume.spacing[0] == 1
    with pytest.raises(ValueError, match="read-only"):
        volume.ijk_to_ras[0, 0] = 7


@pytest.mark.parametrize(("file", "expected"), [("CT_small.dcm", "CT"), ("MR_small.dcm", "MR")])
def test_modality_of_scanner_images(file: str, expected: str) -> None:
    image = pydicom.dcmread(str(get_testdata_file(file)))
    values = image.pixel_array * float(image.get("RescaleSlope", 1)) + float(image.get("RescaleIntercept", 0))
    assert guess_modality(values[None]) == expected


def _ct() -> np.ndarray:
    array = np.random.default_rng(0).normal(-1000, 30, (6, 40, 40))
    array[:, 10:30, 10:30] = np.random.default_rng(1).normal(40, 30, (6, 20, 20))
    return array


def test_padding_and_metal_hide_no_ct() -> None:
    array = _ct()
    array[:, :6] = -3024
    array[:, 20, 20] = 30000
    assert guess_modality(array.astype(np.int16)) == "CT"


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.full((3, 4, 5), np.nan), "other"),
        (np.zeros((3, 4, 5), np.int16), "other"),
        (np.arange(60).reshape(3, 4, 5) % 2 == 0, "other"),
        (np.linspace(-4096, 4096, 6000).reshape(6, 10, 100), "other"),
        (np.linspace(0, 800, 6000).reshape(6, 10, 100), "MR"),
        (np.linspace(-5, 800, 6000).reshape(6, 10, 100), "MR"),
        (np.arange(200, dtype=np.uint8).reshape(1, 10, 20), "other"),
    ],
    ids=["nan", "constant", "mask", "phase", "magnitude", "ringing", "picture"],
)
def test_modality_of_other_arrays(array: np.ndarray, expected: str) -> None:
    assert guess_modality(array) == expected
