"""Pictures in two dimensions, grey or in colour, as people see them: PNG, JPEG, TIFF and BMP."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from PIL import ExifTags, Image, ImageOps

from ..engine.errors import InputError
from ..engine.volume import Volume
from .host import quiet

CHANNELS = (3, 4)  # of colours: red, green, blue, and opacity
SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
UNKNOWN_SIZE = "Nothing says how large its pixels are: they count as 1 mm, so lengths and volumes mean nothing."
LUMINANCE = "Its colours are taken as their luminance."

_FORMATS = ("PNG", "JPEG", "TIFF", "BMP")
_INCH = 25.4  # mm
_SIZES = (0.001, 10.0)  # mm; a pixel beyond is none of a patient
# Dots per inch of screens, printers and scanners, which programs write where nobody said how large a pixel is.
_UNMEANT = (72, 75, 90, 96, 100, 120, 144, 150, 180, 192, 200, 220, 240, 300, 350, 360, 400, 600, 720, 1200, 2400)
_ROUNDING = 0.1  # dots per inch: PNG and BMP hold whole dots per metre
_DEEP = ("F", "I", "I;16", "I;16B", "I;16L", "I;16N")  # Pillow's modes of more than 8 bits
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0  # of TIFF
_QUARTER_TURNS = (5, 6, 7, 8)  # EXIF orientations that exchange rows and columns
_LUMA = (0.299, 0.587, 0.114)  # of red, green and blue: ITU-R BT.601, the Y of JPEG and DICOM


@dataclass(frozen=True)
class Picture:
    """A picture as people see it.

    Attributes:
        pixels: (H, W) grey of any real type, the upper row first; those of 8 bits are to be shown as they are.
        spacing: (row, column) mm; 1 mm where nothing says it.
        remarks: sentences on what was assumed and chosen.
    """

    pixels: np.ndarray
    spacing: tuple[float, float]
    remarks: tuple[str, ...] = ()

    def as_volume(self, name: str) -> Volume:
        """A single axial slice, as it is seen; ``name`` is what messages call it."""
        row, column = self.spacing
        return Volume(self.pixels[None], np.diag([-column, -row, 1.0, 1.0]), "other", name)


def read_picture(path: Path, frame: int | None = None) -> Picture:
    """A picture in grey: colours as their luminance, transparent parts black, turned as its EXIF data say.

    Args:
        frame: page of a TIFF file, from 1; None is the first.

    Raises:
        InputError: no picture, a damaged one, or there is no such page.
    """
    with _opened(path) as image:
        pages = getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
        number, page = choose_one(path, frame, pages, "page")
        if pages > 1:
            image.seek(number)
        turn = image.getexif().get(ExifTags.Base.Orientation, 1)
        pixels, said = _grey(ImageOps.exif_transpose(image))
        if _white_is_zero(image):
            pixels = pixels.max() - pixels
        spacing = _spacing(path, image)
    if turn in _QUARTER_TURNS and spacing is not None:
        spacing = (spacing[1], spacing[0])
    if turn != 1:
        said.append("It is turned as its EXIF data say, and so are the results.")
    said.append(UNKNOWN_SIZE if spacing is None else f"Its file says that a pixel is {spacing[1]:.3g} mm wide.")
    return Picture(pixels, spacing or (1.0, 1.0), (*page, *said))


def read_numbers(path: Path) -> np.ndarray:
    """The numbers of a picture of labels, (H, W): those of a palette, not its colours.

    Raises:
        InputError: no picture, a damaged one, one in colours, or a JPEG.
    """
    with _opened(path) as image:
        if image.format in ("JPEG", "MPO"):
            raise InputError(f"{path} is a JPEG, which does not keep numbers as they are; give the labels as PNG.")
        upright = ImageOps.exif_transpose(image)
        if upright.mode in ("P", "PA"):
            return np.array(upright.getchannel(0))
        pixels, said = _grey(upright)
    if LUMINANCE in said:
        raise InputError(f"{path} has colours; give a picture whose grey values, or palette, number the labels.")
    return pixels


def choose_one(path: Path, frame: int | None, count: int, noun: str) -> tuple[int, list[str]]:
    """Which of several pictures in one file is meant, from 0, and what is to be said of it.

    Args:
        frame: from 1; None is the first.
        noun: what the file calls them, such as "page".

    Raises:
        InputError: there is no such picture.
    """
    number = 1 if frame is None else frame
    if not 1 <= number <= count:
        has = f"1 {noun}" if count == 1 else f"{count} {noun}s"
        raise InputError(f"{path} has {has}; there is no frame {number}.")
    if count == 1:
        return 0, []
    other = "" if frame else "; --frame chooses another"
    return number - 1, [f"{noun.capitalize()} {number} of {count} is taken{other}."]


def are_colours(array: np.ndarray) -> bool:
    """Whether an array (K, J, I, channels) holds colours, not vectors, which have signs or fractions."""
    return array.ndim == 4 and array.shape[-1] in CHANNELS and array.dtype.name in ("uint8", "uint16")


def is_grey(colours: np.ndarray) -> bool:
    """Whether red, green and blue, (..., 3 or 4), are the same everywhere."""
    return all(np.array_equal(colours[..., 0], colours[..., channel]) for channel in (1, 2))


def luminance(colours: np.ndarray) -> np.ndarray:
    """(..., 3 or 4) red, green, blue and what else there is to (...) of the same type; grey stays as it is."""
    if colours.ndim > 3:  # slice by slice, so that no float copy of a whole volume is made
        return np.stack([luminance(plane) for plane in colours])
    if is_grey(colours):
        return np.ascontiguousarray(colours[..., 0])
    return np.rint(colours[..., :3] @ np.array(_LUMA)).astype(colours.dtype)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """A file as an image; whatever fails in reading it is told in a sentence."""
    Image.init()  # else only the reader of the file's ending is there, and to ask for others fails
    try:
        with path.open("rb") as stream, warnings.catch_warnings(), quiet():
            warnings.simplefilter("ignore")  # of metadata that do not count
            # Of a stream: in a file that it maps into memory, Pillow 13 mixes up rows of a turned TIFF.
            with Image.open(stream, formats=_FORMATS) as image:
                yield image
    except Image.DecompressionBombError:
        raise InputError(f"{path} has far more pixels than any picture of a patient; make it smaller.") from None
    except (InputError, MemoryError):
        raise
    except Exception as error:  # a damaged file can fail anywhere inside Pillow, with any exception
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise InputError(f"{path} is damaged, or a picture of a rare kind; save it as an 8-bit PNG.") from None


def _grey(image: Image.Image) -> tuple[np.ndarray, list[str]]:
    """(H, W), and what was done to make it grey."""
    if image.mode in _DEEP:
        pixels = np.asarray(image)
        return pixels.astype(pixels.dtype.newbyteorder("=")), []
    said = []
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema() != (255, 255):
            said.append("Its transparent parts are black.")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image)
    if image.mode in ("1", "L"):
        return np.array(image.convert("L")), said
    colours = np.asarray(image.convert("RGB"))
    return luminance(colours), said if is_grey(colours) else [*said, LUMINANCE]


def _white_is_zero(image: Any) -> bool:
    """Whether a TIFF file is stored as a negative: Pillow turns only those of 8 bits and less."""
    is_deep = image.format == "TIFF" and image.mode in _DEEP
    return is_deep and image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO


def _spacing(path: Path, image: Image.Image) -> tuple[float, float] | None:
    """(row, column) mm, where a file says it and means it."""
    if "dpi" in image.info:
        across, down = (float(number) for number in image.info["dpi"])
        is_meant = all(min(abs(dots - usual) for usual in _UNMEANT) > _ROUNDING for dots in (across, down))
        spacing = (_INCH / down, _INCH / across) if is_meant and across > 0 and down > 0 else None
    else:
        spacing = _spacing_by_itk(path) if image.format == "PNG" else None
    return spacing if spacing and all(_SIZES[0] <= mm <= _SIZES[1] for mm in spacing) else None


def _spacing_by_itk(path: Path) -> tuple[float, float] | None:
    """(row, column) mm, as ITK, and with it 3D Slicer, writes it into PNG files, where Pillow does not look."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError:  # of pixels that it does not read
        return None
    column, row = reader.GetSpacing()
    return (row, column) if (row, column) != (1, 1) else None
