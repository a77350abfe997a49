"""X-rays, ultrasound and other DICOM images that are no slices: as a viewer shows them."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pydicom import DataElement, Dataset
from pydicom.tag import Tag

from ...engine.errors import InputError
from ...engine.machine.temporary import temporary_folder
from ...engine.volume import Window
from ..host import quiet
from ..names import check_name
from ..pictures import LUMINANCE, UNKNOWN_SIZE, Picture, choose_one, is_grey, luminance
from .compat import apply_modality_lut, apply_voi_lut
from .headers import number_of, numbers_of, value_of
from .images import Damaged, Image, read_header
from .single import PIXELS, write_frames
from .slices import Slice

_TURNED = "MONOCHROME1"  # white is the least value
_GREY = (_TURNED, "MONOCHROME2")
_FAR = 1e9  # beyond every value of a window
_PLANE, _CENTIMETRES = 1, 3  # RegionSpatialFormat and PhysicalUnits of ultrasound (DICOM PS3.3 C.8.5.5)
_LARGEST = 1000.0  # mm; a pixel of more is none of a patient


def read_dicom_picture(file: Path, frame: int | None = None) -> Picture:
    """An image of a DICOM file as a viewer shows it; the file is whole, see `images.is_whole`.

    Grey ones are shown by the first VOI look-up table or window of the header, where there is one, in 8 bits; else the
    values are kept. MONOCHROME1 is turned, of colours the luminance taken.

    Args:
        frame: of several, from 1; None is the first.

    Raises:
        InputError: there is no such frame, or GDCM cannot read it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's and NumPy's, of headers that hold what they should not
        try:
            image = read_header(file)
        except Damaged:
            raise InputError(f"{file} is a damaged DICOM file; copy it again.") from None
        if image is None:
            raise InputError(f"{file} is no DICOM image; give a file of an image series.")
        number, remarks = choose_one(image.file, frame, image.frames, "frame")
        pixels = _pixels(image, number)
        if pixels.ndim == 2:
            pixels = _as_shown(pixels, image.header)
        else:
            remarks += [] if is_grey(pixels) else [LUMINANCE]
            pixels = luminance(pixels)
        spacing, said = _spacing(image.header)
    return Picture(pixels, spacing, (*remarks, *said))


def _pixels(image: Image, index: int) -> np.ndarray:
    """(H, W) as stored, or (H, W, 3) red, green and blue, of one frame.

    GDCM would turn MONOCHROME1 before the window, which is meant for what is stored, or fail at signed values, and it
    rescales some kinds of images only: of grey it is given a file that says nothing of it.
    """
    if image.frames == 1 and value_of(image.header, "PhotometricInterpretation") not in (None, *_GREY):
        check_name(image.file)
        return _read(image.file, image)
    header = Dataset()
    for name in (*PIXELS, "NumberOfFrames"):
        if name in image.header:
            header.add(image.header[name])
    if value_of(header, "PhotometricInterpretation") in (None, *_GREY):
        header.add(DataElement(Tag("PhotometricInterpretation"), "CS", "MONOCHROME2"))
    frame = Slice.of(replace(image, header=header), index, Dataset())
    with temporary_folder() as folder:
        (file,) = write_frames([frame], folder)
        return _read(file, image)


def _read(file: Path, image: Image) -> np.ndarray:
    try:
        with quiet():
            return sitk.GetArrayFromImage(sitk.ReadImage(str(file)))[0]
    except RuntimeError:
        raise InputError(
            f"{image.file} cannot be read; it may be damaged, cut off or compressed in a rare way."
        ) from None


def _as_shown(stored: np.ndarray, header: Dataset) -> np.ndarray:
    try:
        values = apply_modality_lut(stored, header)
    except Exception:  # whatever stands there
        values = stored
    shown = _by_table(values, header)
    if shown is None:
        shown = _by_window(values, header)
    if value_of(header, "PhotometricInterpretation") != _TURNED:
        return values if shown is None else shown
    return values.max() - values if shown is None else 255 - shown


def _by_table(values: np.ndarray, header: Dataset) -> np.ndarray | None:
    """(H, W) uint8 by the first VOI look-up table, black and white its least and greatest; None without one."""
    try:
        entries, first, depth = header.VOILUTSequence[0].LUTDescriptor
        if depth < 16:  # pydicom would count the entries, too, in as few bits
            header.VOILUTSequence[0].LUTDescriptor = [entries, first, 16]
        table = apply_voi_lut(np.arange(first, first + (entries or 1 << 16)), header)
        shown = apply_voi_lut(np.clip(np.rint(values), first, first + len(table) - 1).astype(np.int64), header)
        return Window(float(table.min()), float(table.max())).to_uint8(shown)
    except Exception:  # there is none, or none that can be applied
        return None


def _by_window(values: np.ndarray, header: Dataset) -> np.ndarray | None:
    """(H, W) uint8 by the first window; None without one."""
    try:
        black, white = apply_voi_lut(np.array([-_FAR, _FAR]), header, prefer_lut=False).tolist()
        shown = apply_voi_lut(values, header, prefer_lut=False)
        return None if abs(black) == _FAR else Window(black, white).to_uint8(shown)
    except Exception:  # none that can be applied
        return None


def _spacing(header: Dataset) -> tuple[tuple[float, float], list[str]]:
    """(row, column) mm, and what is to be said of it."""
    at_detector = "Its pixels are measured at the detector; what lies before it is smaller than they say."
    for name, said in (
        ("PixelSpacing", []),
        ("ImagerPixelSpacing", [at_detector]),
        ("NominalScannedPixelSpacing", []),
    ):
        row, column = numbers_of(header, name, 2).tolist()
        if _is_size(row, column):
            return (row, column), said
    row, column = _of_ultrasound(header)
    if _is_size(row, column):
        return (row, column), []
    row, column = numbers_of(header, "PixelAspectRatio", 2).tolist()
    return (row / column if _is_size(row, column) else 1.0, 1.0), [UNKNOWN_SIZE]


def _of_ultrasound(header: Dataset) -> tuple[float, float]:
    """(row, column) mm of the largest region that is an image in space; NaN where there is none."""
    areas = {}
    for region in value_of(header, "SequenceOfUltrasoundRegions") or ():
        units = [value_of(region, f"PhysicalUnits{axis}Direction") for axis in "YX"]
        if value_of(region, "RegionSpatialFormat") == _PLANE and units == [_CENTIMETRES] * 2:
            edges = [number_of(region, f"RegionLocation{edge}") for edge in ("MinX0", "MinY0", "MaxX1", "MaxY1")]
            area = (edges[2] - edges[0]) * (edges[3] - edges[1])
            row, column = (10 * abs(number_of(region, f"PhysicalDelta{axis}")) for axis in "YX")
            areas[area] = (row, column)
    return areas[max(areas)] if areas else (np.nan, np.nan)


def _is_size(row: float, column: float) -> bool:
    return 0 < row < _LARGEST and 0 < column < _LARGEST
