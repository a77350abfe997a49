from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from nibabel.nifti1 import Nifti1Image
from PIL import Image

from MedCLIPSAMLib.engine.volume import Frame, SliceStack, Volume, Window, automatic_window, guess_modality

from ...samples import ABDOMEN_MM, abdomen_organs, abdomen_slice

SPACINGS = [(1.0, 1.0), (0.7, 1.4), (3.0, 0.9)]


def _blob(shape: tuple[int, int], spacing: tuple[float, float], centre: tuple[float, float], mm: float) -> np.ndarray:
    """A round Gaussian of `mm` standard deviation at `centre` (row, column)."""
    rows, columns = np.indices(shape)
    squared = ((rows - centre[0]) * spacing[0]) ** 2 + ((columns - centre[1]) * spacing[1]) ** 2
    return np.exp(-squared / (2 * mm**2)).astype(np.float32)


def _moments(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre (x, y) and standard deviations (x, y) of the intensities."""
    rows, columns = np.indices(image.shape)
    weights = image / image.sum()
    centre = np.array([(columns * weights).sum(), (rows * weights).sum()])
    variance = [(((columns - centre[0]) ** 2) * weights).sum(), (((rows - centre[1]) ** 2) * weights).sum()]
    return centre, np.sqrt(variance)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_whole_holds_the_slice_and_is_the_smallest_square_to_do_so(spacing: tuple[float, float]) -> None:
    frame = Frame.whole((80, 120), spacing)
    corners = frame.points_to_frame(np.array([[-0.5, -0.5], [119.5, 79.5]]), 64)
    assert corners.min() >= -0.5 - 1e-9
    assert corners.max() <= 63.5 + 1e-9
    assert np.ptp(corners, axis=0).max() == pytest.approx(64)
    assert corners.mean(axis=0) == pytest.approx([31.5, 31.5])


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("size", [96, 224, 301])
def test_a_round_blob_stays_round_and_lands_where_its_point_does(spacing: tuple[float, float], size: int) -> None:
    centre = (41.3, 57.8)
    side = 100 * min(spacing)
    frame = Frame((43.2, 55.1), side, spacing)
    picture = frame.crop(_blob((90, 110), spacing, centre, side / 12), size)
    place, spread = _moments(picture)
    expected = frame.points_to_frame(np.array([centre[::-1]]), size)[0]
    assert place == pytest.approx(expected, abs=0.05)
    # Interpolation widens the blob a little, the more so the larger the pixels.
    assert spread == pytest.approx([size / 12] * 2, rel=0.06)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_points_go_there_and_back(spacing: tuple[float, float]) -> None:
    frame = Frame((12.3, 45.6), 78.9, spacing)
    points = np.random.default_rng(0).uniform(-20, 150, (50, 2))
    assert np.allclose(frame.points_to_slice(frame.points_to_frame(points, 224), 224), points)
    assert np.allclose(frame.points_to_frame(np.array([[45.6, 12.3]]), 224), 111.5)


@pytest.mark.parametrize("size", [128, 256, 1024])
@pytest.mark.parametrize("shape", [(100, 100), (64, 120), (130, 77)])
def test_crop_then_restore_is_the_identity_on_a_smooth_slice(shape: tuple[int, int], size: int) -> None:
    spacing = (0.8, 0.9)
    image = _blob(shape, spacing, (shape[0] * 0.4, shape[1] * 0.6), 12)
    frame = Frame.whole(shape, spacing)
    difference = np.abs(frame.restore(frame.crop(image, size), shape) - image)
    assert difference[2:-2, 2:-2].max() < 0.01  # at the very edge, pixels mix with what lies outside


def test_a_ramp_is_kept_exactly_away_from_the_border() -> None:
    rows, columns = np.indices((50, 60)).astype(np.float32)
    frame = Frame((24.2, 30.7), 20.0, (1.0, 0.5))
    for ramp, axis in ((columns, 0), (rows, 1)):
        picture = frame.crop(ramp, 57)
        x, y = np.meshgrid(np.arange(57), np.arange(57))
        expected = frame.points_to_slice(np.c_[x.ravel(), y.ravel()], 57)[:, axis]
        assert np.allclose(picture.ravel(), expected, atol=1e-3)


@pytest.mark.parametrize("size", [100, 224, 700])
def test_resampling_is_that_of_an_established_library(size: int) -> None:
    image = np.random.default_rng(0).random((512, 512)).astype(np.float32)
    expected = np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR))
    assert np.allclose(Frame.whole(image.shape, (1, 1)).crop(image, size), expected, atol=1e-3)


def test_fine_texture_is_averaged_when_shrinking() -> None:
    checkerboard = (np.indices((512, 512)).sum(axis=0) % 2 * 200).astype(np.uint8)
    picture = Frame.whole(checkerboard.shape, (1, 1)).crop(checkerboard, 150)
    assert np.abs(picture.astype(int) - 100).max() <= 10


def test_colour_channels_are_cropped_as_grey_ones() -> None:
    colour = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    frame = Frame((18.5, 26.5), 44, (1.0, 1.2))
    picture = frame.crop(colour, 64)
    assert picture.dtype == np.uint8
    assert picture.shape == (64, 64, 3)
    for channel in range(3):
        assert (picture[..., channel] == frame.crop(colour[..., channel], 64)).all()


@pytest.mark.parametrize("dtype", [bool, np.int16, np.float64])
def test_other_types_become_float(dtype: type) -> None:
    picture = Frame.whole((10, 10), (1, 1)).crop(np.ones((10, 10), dtype), 20)
    assert picture.dtype == np.float32
    assert np.allclose(picture, 1)


def test_outside_of_slice_and_frame_have_the_value_asked_for() -> None:
    wide = Frame.whole((10, 30), (1, 1)).crop(np.ones((10, 30), np.float32), 30, outside=-7)
    assert (wide[:10] == -7).all()
    assert np.allclose(wide[10:20], 1)
    assert (wide[20:] == -7).all()
    back = Frame((9.5, 9.5), 10, (1.0, 1.0)).restore(np.ones((5, 5)), (20, 20), outside=0.25)
    assert np.allclose(back[5:15, 5:15], 1)
    assert (back[:5] == 0.25).all()
    assert (back[:, 15:] == 0.25).all()


def _patient(arms: bool = True, table: bool = True) -> np.ndarray:
    """CT-like slices: an ellipse of tissue with lungs, two arms and a table apart from it."""
    array = np.full((6, 120, 200), -1000, np.int16)
    rows, columns = np.indices(array.shape[1:])
    array[:, ((rows - 60) / 40) ** 2 + ((columns - 100) / 55) ** 2 < 1] = 50
    array[:, ((rows - 60) / 20) ** 2 + ((columns - 75) / 15) ** 2 < 1] = -850
    if arms:
        array[:, (rows - 60) ** 2 + (columns - 20) ** 2 < 100] = 50
        array[:, (rows - 60) ** 2 + (columns - 180) ** 2 < 100] = 50
    if table:
        array[:, 108:112, 30:170] = 300
    return array


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_around_is_the_body_without_air_arms_and_table(modality: str) -> None:
    array = _patient() if modality == "CT" else _patient() + 1000
    volume = Volume(array, np.diag([-2.0, -2, 5, 1]), modality)  # pyright: ignore[reportArgumentType]
    stack = SliceStack(volume, "axial")
    frame = Frame.around(stack, automatic_window(volume))
    assert frame.centre == pytest.approx((60, 100), abs=2)
    assert frame.side == pytest.approx(110 * 2 * 1.1, rel=0.04)


def test_around_holds_both_legs() -> None:
    array = np.zeros((4, 100, 200), np.int16)
    rows, columns = np.indices(array.shape[1:])
    for centre in (50, 150):
        array[:, (rows - 50) ** 2 + (columns - centre) ** 2 < 30**2] = 400
    stack = SliceStack(Volume(array, np.diag([-1.0, -1, 5, 1]), "MR"), "axial")
    assert Frame.around(stack, Window(0, 500)).side == pytest.approx(160 * 1.1, rel=0.04)


def test_around_stays_inside_the_whole_square() -> None:
    array = np.zeros((4, 100, 100), np.int16)
    array[:, 40:, 5:65] = 400
    stack = SliceStack(Volume(array, np.diag([-1.0, -1, 5, 1]), "MR"), "axial")
    frame = Frame.around(stack, Window(0, 500))
    assert frame.side < 70
    corners = frame.points_to_slice(np.array([[-0.5, -0.5], [63.5, 63.5]]), 64)
    assert corners.min() >= -0.5 - 1e-9
    assert corners.max() <= 99.5 + 1e-9


@pytest.mark.parametrize("value", [0, 300, np.nan])
def test_around_nothing_is_the_whole_slice(value: float) -> None:
    stack = SliceStack(Volume(np.full((3, 40, 50), value), np.diag([-1.0, -2, 5, 1]), "other"), "axial")
    assert Frame.around(stack, Window(0, 500)) == Frame.whole((40, 50), (2, 1))


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 2, 3), (1, 64, 64), (40, 3, 3)])
def test_around_takes_volumes_of_any_size(shape: tuple[int, int, int]) -> None:
    volume = Volume(np.random.default_rng(0).integers(0, 500, shape), np.eye(4), "MR")
    for axis in ("axial", "coronal", "sagittal"):
        stack = SliceStack(volume, axis)
        frame = Frame.around(stack, automatic_window(volume))
        assert 0 < frame.side <= Frame.whole(stack.array.shape[1:], stack.spacing[1:]).side


def test_around_a_real_abdomen_loses_no_part_of_an_organ(shared: Path | None) -> None:
    """On a slice that a package carries and, where the clinical volumes are present, on a whole CT."""
    organs = np.any(list(abdomen_organs().values()), axis=0)
    cases = [(abdomen_slice()[None], organs[None], np.diag([-ABDOMEN_MM, -ABDOMEN_MM, 5, 1]))]
    if shared is not None and (shared / "clinical").is_dir():
        image = Nifti1Image.from_filename(shared / "clinical" / "abdomen_ct.nii.gz")
        labels = Nifti1Image.from_filename(shared / "clinical" / "abdomen_ct_labels.nii.gz")
        ct, whole = (np.asanyarray(part.dataobj).transpose(2, 1, 0) for part in (image, labels))
        cases.append((ct, whole > 0, np.asarray(image.affine)))
    for ct, shown, affine in cases:
        volume = Volume(ct, affine, guess_modality(ct))
        assert volume.modality == "CT"
        stack = SliceStack(volume, "axial")
        frame = Frame.around(stack, automatic_window(volume))
        _, rows, columns = np.nonzero(SliceStack(Volume(shown, affine, "other"), "axial").array)
        places = frame.points_to_frame(np.c_[columns, rows], 224)
        assert places.min() > -0.5
        assert places.max() < 223.5
