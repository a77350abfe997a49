"""Pictures as people see them, whatever way they are stored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.scene.pictures import LUMINANCE, UNKNOWN_SIZE, luminance, read_numbers, read_picture

# Nothing of it is alike turned or mirrored, and no two rows or columns are.
SEEN = (np.add.outer(np.arange(24), np.arange(30) * 4) + 20).astype(np.uint8)
COLOURS = np.stack([SEEN, 255 - SEEN, SEEN // 2], axis=-1)
LUMA = np.rint(COLOURS @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)


def pixels(path: Path, frame: int | None = None) -> np.ndarray:
    return read_picture(path, frame).pixels


@pytest.mark.row("picture-kinds")
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.TIFF", "a.bmp", "a.jpg", "a.jpeg"])
def test_grey_pictures_are_as_seen(name: str, tmp_path: Path):
    Image.fromarray(SEEN).save(tmp_path / name, quality=100)
    picture = read_picture(tmp_path / name)
    assert picture.pixels.dtype == np.uint8
    np.testing.assert_allclose(picture.pixels.astype(int), SEEN, atol=3 if "jp" in name else 0)
    assert picture.spacing == (1, 1)
    assert picture.remarks == (UNKNOWN_SIZE,)


@pytest.mark.row("picture-colour")
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp"])
def test_colours_are_seen_by_their_luminance(name: str, tmp_path: Path):
    Image.fromarray(COLOURS).save(tmp_path / name)
    picture = read_picture(tmp_path / name)
    np.testing.assert_array_equal(picture.pixels, LUMA)
    assert LUMINANCE in picture.remarks


@pytest.mark.row("picture-colour")
def test_grey_in_three_channels_is_grey(tmp_path: Path):
    Image.fromarray(np.repeat(SEEN[..., None], 3, axis=-1)).save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png")
    np.testing.assert_array_equal(picture.pixels, SEEN)
    assert LUMINANCE not in picture.remarks


@pytest.mark.row("picture-kinds")
@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bits_are_kept(name: str, tmp_path: Path):
    deep = SEEN.astype(np.uint16) * 200
    Image.fromarray(deep).save(tmp_path / name)
    np.testing.assert_array_equal(pixels(tmp_path / name), deep)


@pytest.mark.row("picture-kinds")
@pytest.mark.parametrize("deep", [False, True])
def test_negatives_in_tiff_are_turned(deep: bool, tmp_path: Path):
    stored = SEEN.astype(np.uint16) * 200 if deep else SEEN
    Image.fromarray(stored).save(tmp_path / "a.tif", tiffinfo={262: 0})
    # Pillow writes the negative of 8 bits, and 16 bits as they are.
    np.testing.assert_array_equal(pixels(tmp_path / "a.tif"), stored.max() - stored if deep else stored)


def with_palette(path: Path) -> np.ndarray:
    image = Image.fromarray(SEEN // 64, "P")
    image.putpalette([10, 20, 30, 200, 100, 0, 0, 0, 0, 90, 90, 90])
    image.save(path)
    return luminance(np.asarray(image.convert("RGB")))


def transparent(path: Path) -> np.ndarray:
    alpha = np.where(np.arange(30) < 15, 0, 255).astype(np.uint8)
    Image.fromarray(np.dstack([COLOURS, np.broadcast_to(alpha, SEEN.shape)])).save(path)
    return np.where(alpha, LUMA, 0)


def grey_with_alpha(path: Path) -> np.ndarray:
    Image.fromarray(np.dstack([SEEN, np.full_like(SEEN, 255)])).save(path)
    return SEEN


def two_values(path: Path) -> np.ndarray:
    Image.fromarray(SEEN > 90).save(path)
    return np.where(SEEN > 90, 255, 0)


@pytest.mark.row("picture-kinds")
@pytest.mark.parametrize("make", [with_palette, transparent, grey_with_alpha, two_values])
def test_rarer_kinds_are_as_seen(make: Callable[[Path], np.ndarray], tmp_path: Path):
    expected = make(tmp_path / "a.png")
    np.testing.assert_array_equal(pixels(tmp_path / "a.png"), expected)


@pytest.mark.row("picture-kinds")
def test_printers_colours(tmp_path: Path):
    image = Image.fromarray(COLOURS).convert("CMYK")
    image.save(tmp_path / "a.tif")
    np.testing.assert_allclose(pixels(tmp_path / "a.tif"), LUMA, atol=1)


@pytest.mark.row("picture-turned")
@pytest.mark.parametrize("name", ["a.jpg", "a.tif", "a.png"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_as_exif_says(orientation: int, name: str, tmp_path: Path):
    """Each of the eight ways of holding a camera, stored so that it looks the same."""
    turns = [
        SEEN,
        SEEN[:, ::-1],
        SEEN[::-1, ::-1],
        SEEN[::-1],
        SEEN.T,
        np.rot90(SEEN),
        SEEN[::-1, ::-1].T,
        np.rot90(SEEN, 3),
    ]
    exif = Image.Exif()
    exif[274] = orientation
    stored = np.ascontiguousarray(turns[orientation - 1])
    Image.fromarray(stored).save(tmp_path / name, exif=exif, dpi=(63.5, 50.8))
    picture = read_picture(tmp_path / name)
    np.testing.assert_allclose(picture.pixels.astype(int), SEEN, atol=0 if name != "a.jpg" else 12)
    assert ("turned" in " ".join(picture.remarks)) == (orientation > 1)
    if name != "a.jpg":  # which holds whole numbers of dots
        expected = (0.4, 0.5) if orientation > 4 else (0.5, 0.4)
        np.testing.assert_allclose(picture.spacing, expected, rtol=1e-3)


@pytest.mark.row("picture-pages")
def test_pages_of_tiff(tmp_path: Path):
    first, *others = [Image.fromarray(SEEN + 10 * number) for number in range(3)]
    first.save(tmp_path / "a.tif", save_all=True, append_images=others)
    np.testing.assert_array_equal(pixels(tmp_path / "a.tif"), SEEN)
    np.testing.assert_array_equal(pixels(tmp_path / "a.tif", 3), SEEN + 20)
    assert "Page 1 of 3 is taken; --frame chooses another." in read_picture(tmp_path / "a.tif").remarks
    for wrong in (0, 4):
        with pytest.raises(InputError, match=f"a.tif has 3 pages; there is no frame {wrong}"):
            read_picture(tmp_path / "a.tif", wrong)


@pytest.mark.row("picture-size")
@pytest.mark.parametrize(("dots", "spacing"), [(72, (1, 1)), (96, (1, 1)), (300, (1, 1)), (63.5, (0.4, 0.4))])
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp"])
def test_only_sizes_that_were_meant_count(name: str, dots: float, spacing: tuple[float, float], tmp_path: Path):
    Image.fromarray(SEEN).save(tmp_path / name, dpi=(dots, dots))
    picture = read_picture(tmp_path / name)
    np.testing.assert_allclose(picture.spacing, spacing, rtol=1e-3)
    assert (UNKNOWN_SIZE in picture.remarks) == (spacing == (1, 1))


@pytest.mark.row("picture-size")
@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sizes_as_itk_writes_them(name: str, tmp_path: Path):
    image = sitk.GetImageFromArray(SEEN)
    image.SetSpacing((0.35, 0.5))
    sitk.WriteImage(image, str(tmp_path / name))
    np.testing.assert_allclose(read_picture(tmp_path / name).spacing, (0.5, 0.35), rtol=1e-3)


@pytest.mark.row("picture-damaged")
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp", "a.jpg"])
@pytest.mark.parametrize("kept", [0, 0.01, 0.5, 0.9])
def test_files_that_are_cut_off_are_refused(name: str, kept: float, tmp_path: Path):
    noise = np.random.default_rng(0).integers(0, 255, (60, 80), np.uint8)
    Image.fromarray(noise).save(tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(InputError, match=r"damaged, or a picture of a rare kind; save it as an 8-bit PNG\.") as error:
        read_picture(tmp_path / name)
    assert str(tmp_path / name) in str(error.value)


@pytest.mark.row("picture-damaged")
def test_text_and_what_claims_to_be_huge_are_refused(tmp_path: Path):
    (tmp_path / "a.png").write_text("hello")
    with pytest.raises(InputError, match="damaged"):
        read_picture(tmp_path / "a.png")
    Image.fromarray(SEEN).save(tmp_path / "b.bmp")
    content = bytearray((tmp_path / "b.bmp").read_bytes())
    content[18:26] = (30_000).to_bytes(4, "little") * 2
    (tmp_path / "b.bmp").write_bytes(content)
    with pytest.raises(InputError, match=r"b\.bmp has far more pixels"):
        read_picture(tmp_path / "b.bmp")


@pytest.mark.row("picture-labels")
def test_labels_are_the_numbers_of_a_palette(tmp_path: Path):
    with_palette(tmp_path / "a.png")
    np.testing.assert_array_equal(read_numbers(tmp_path / "a.png"), SEEN // 64)
    Image.fromarray(SEEN // 64).save(tmp_path / "b.png")
    np.testing.assert_array_equal(read_numbers(tmp_path / "b.png"), SEEN // 64)
    Image.fromarray(SEEN // 64).save(tmp_path / "d.jpg")
    with pytest.raises(InputError, match=r"d\.jpg is a JPEG, which does not keep numbers as they are; give .* PNG"):
        read_numbers(tmp_path / "d.jpg")
    Image.fromarray(COLOURS).save(tmp_path / "c.png")
    with pytest.raises(InputError, match=r"c\.png has colours; give a picture whose grey values, or palette"):
        read_numbers(tmp_path / "c.png")


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_luminance_keeps_the_type_and_what_is_grey(dtype: str):
    grey = np.repeat(SEEN[..., None], 4, axis=-1).astype(dtype)
    assert luminance(grey).dtype == dtype
    np.testing.assert_array_equal(luminance(grey), SEEN)
    np.testing.assert_allclose(luminance(COLOURS.astype(dtype)), COLOURS @ np.array([0.299, 0.587, 0.114]), atol=0.51)
