"""X-rays and ultrasound in DICOM, as a viewer shows them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.scene.dicom.picture import read_dicom_picture
from MedCLIPSAMLib.scene.pictures import LUMINANCE, UNKNOWN_SIZE

from ...samples import pydicom_data
from .dicom_files import write_dataset

STORED = (np.add.outer(np.arange(24) * 9, np.arange(30) * 80) + 100).astype(np.uint16)  # 100 to 2627


def x_ray(path: Path, stored: np.ndarray = STORED, **elements: Any) -> Path:
    """A radiograph of 12 bits, with the elements that are given."""
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    image.SeriesInstanceUID, image.StudyInstanceUID = generate_uid(), generate_uid()
    image.PatientName, image.Modality, image.SeriesDescription = "Doe^Jane", "DX", "chest pa"
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.Rows, image.Columns = stored.shape[-2:]
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 12, 11
    image.PixelRepresentation = int(stored.dtype.kind == "i")
    image.PixelData = stored.tobytes()
    for name, value in elements.items():
        setattr(image, name, value)
    write_dataset(image, path)
    return path


def linear(values: np.ndarray, centre: float, width: float) -> np.ndarray:
    """8 bits by DICOM PS3.3 C.11.2.1.2.1."""
    return np.rint(255 * np.clip((values - (centre - 0.5)) / (width - 1) + 0.5, 0, 1))


def table(data: list[int], first: int, bits: int = 16) -> Sequence:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(data), first, bits])
    item.add_new("LUTData", "US", data)
    return Sequence([item])


def signed() -> np.ndarray:
    return STORED.astype(np.int16) - 1500


@pytest.mark.row("picture-x-ray")
@pytest.mark.parametrize(
    ("stored", "elements", "shown"),
    [
        (STORED, {"WindowCenter": 1200, "WindowWidth": 1000}, linear(STORED, 1200, 1000)),
        (STORED, {"WindowCenter": [1200, 5], "WindowWidth": [1000, 9]}, linear(STORED, 1200, 1000)),
        (
            STORED,
            {"WindowCenter": 2300, "WindowWidth": 2000, "RescaleSlope": 2, "RescaleIntercept": -100},
            linear(2.0 * STORED - 100, 2300, 2000),
        ),
        (signed(), {"WindowCenter": 0, "WindowWidth": 1000}, linear(signed(), 0, 1000)),
        (
            STORED,
            {"VOILUTSequence": table([0, 100, 500, 4000], 1000), "WindowCenter": 5, "WindowWidth": 9},
            np.rint(np.array([0, 100, 500, 4000])[np.clip(STORED.astype(int) - 1000, 0, 3)] * 255 / 4000),
        ),
        (
            STORED,
            {"VOILUTSequence": table(list(range(256)) * 2, 900, bits=8)},
            (np.clip(STORED.astype(int) - 900, 0, 511) % 256),
        ),
        (
            STORED,
            {"VOILUTFunction": "SIGMOID", "WindowCenter": 1200, "WindowWidth": 1000},
            np.rint(255 / (1 + np.exp(-4 * (STORED - 1200.0) / 1000))),
        ),
        (
            STORED,
            {
                "ModalityLUTSequence": table(list(range(4096))[::-1], 0),
                "WindowCenter": 2800,
                "WindowWidth": 1000,
            },
            linear(4095 - STORED.astype(int), 2800, 1000),
        ),
    ],
)
@pytest.mark.parametrize("kind", ["MONOCHROME1", "MONOCHROME2"])
def test_shown_as_the_header_says(
    stored: np.ndarray, elements: dict[str, Any], shown: np.ndarray, kind: str, tmp_path: Path
):
    file = x_ray(tmp_path / "a.dcm", stored, PhotometricInterpretation=kind, **elements)
    pixels = read_dicom_picture(file).pixels
    assert pixels.dtype == np.uint8
    np.testing.assert_allclose(pixels.astype(int), shown if kind == "MONOCHROME2" else 255 - shown, atol=1)


@pytest.mark.row("picture-x-ray")
@pytest.mark.parametrize(
    "elements",
    [
        {},
        {"WindowCenter": 1200, "WindowWidth": 0},
        {"WindowCenter": 1200},
        {"VOILUTSequence": table([1, 2], 0, bits=99)},
        {"VOILUTFunction": "ODD", "WindowCenter": 1200, "WindowWidth": 1000},
    ],
)
@pytest.mark.parametrize("kind", ["MONOCHROME1", "MONOCHROME2"])
def test_without_a_window_values_are_kept(elements: dict[str, Any], kind: str, tmp_path: Path):
    file = x_ray(tmp_path / "a.dcm", PhotometricInterpretation=kind, **elements)
    expected = STORED if kind == "MONOCHROME2" else STORED.max() - STORED
    np.testing.assert_array_equal(read_dicom_picture(file).pixels, expected)


@pytest.mark.row("picture-size")
@pytest.mark.parametrize(
    ("elements", "spacing", "said"),
    [
        ({"PixelSpacing": [0.2, 0.3], "ImagerPixelSpacing": [0.4, 0.5]}, (0.2, 0.3), ""),
        ({"ImagerPixelSpacing": [0.14, 0.15]}, (0.14, 0.15), "at the detector"),
        ({"NominalScannedPixelSpacing": [0.4, 0.5]}, (0.4, 0.5), ""),
        ({"PixelAspectRatio": [3, 2]}, (1.5, 1), UNKNOWN_SIZE),
        ({"PixelSpacing": [0, 0]}, (1, 1), UNKNOWN_SIZE),
        ({}, (1, 1), UNKNOWN_SIZE),
    ],
)
def test_size_of_a_pixel(elements: dict[str, Any], spacing: tuple[float, float], said: str, tmp_path: Path):
    picture = read_dicom_picture(x_ray(tmp_path / "a.dcm", **elements))
    assert picture.spacing == spacing
    assert [remark for remark in picture.remarks if said in remark] == list(picture.remarks)
    assert bool(picture.remarks) == bool(said)


@pytest.mark.row("picture-ultrasound")
@pytest.mark.parametrize(
    ("name", "mean", "white"),
    [
        ("US1_UNCR.dcm", (40.37, 34.50, 28.71), 255),
        ("US1_J2KI.dcm", (40.45, 34.62, 29.01), 255),
        ("color-pl.dcm", (40.75, 38.53, 48.70), 255),
        ("SC_ybr_full_uncompressed.dcm", (127.72, 127.65, 127.83), 255),
        ("OBXXXX1A_rle.dcm", (2504.01, 3128.80, 3923.67), 65535),
        ("OBXXXX1A_2frame.dcm", (2504.01, 3128.80, 3923.67), 65535),
        ("gdcm-US-ALOKA-16.dcm", (7312.45, 7596.45, 8016.11), 65535),
    ],
)
def test_luminance_of_colours(name: str, mean: tuple[float, float, float], white: int):
    """RGB, YBR and palettes, compressed or not: the means of red, green and blue are those that pydicom 3 decodes."""
    picture = read_dicom_picture(pydicom_data(name))
    seen = picture.pixels / np.iinfo(picture.pixels.dtype).max
    assert seen.mean() == pytest.approx(np.dot(mean, (0.299, 0.587, 0.114)) / white, abs=0.003)
    assert LUMINANCE in picture.remarks


@pytest.mark.row("picture-ultrasound")
def test_frames_of_ultrasound():
    """A cine loop of 120 frames with the size of its pixels among its regions."""
    file = pydicom_data("color3d_jpeg_baseline.dcm")
    first, last = read_dicom_picture(file), read_dicom_picture(file, 120)
    assert first.pixels.shape == last.pixels.shape == (480, 640)
    assert (first.pixels != last.pixels).mean() > 0.05
    assert "Frame 1 of 120 is taken; --frame chooses another." in first.remarks
    assert "Frame 120 of 120 is taken." in last.remarks
    assert first.spacing == pytest.approx((0.5105, 0.5105), abs=1e-4)
    for wrong in (0, 121):
        with pytest.raises(InputError, match=f"has 120 frames; there is no frame {wrong}"):
            read_dicom_picture(file, wrong)


@pytest.mark.row("picture-x-ray")
def test_a_radiograph_is_light_where_the_patient_is():
    """A real one of the chest, MONOCHROME1, with a window: the mediastinum is lighter than the lungs beside it."""
    pixels = read_dicom_picture(pydicom_data("RG1_UNCR.dcm")).pixels
    assert pixels.dtype == np.uint8
    lungs, mediastinum = pixels[500:700, 350:600], pixels[500:700, 820:960]
    assert mediastinum.mean() > lungs.mean() + 30


@pytest.mark.row("picture-x-ray")
def test_frames_of_grey(tmp_path: Path):
    both = np.stack([STORED, STORED[::-1]])
    file = x_ray(tmp_path / "a.dcm", both, NumberOfFrames=2)
    np.testing.assert_array_equal(read_dicom_picture(file, 2).pixels, STORED[::-1])


@pytest.mark.row("picture-ultrasound")
def test_only_images_in_space_have_a_size(tmp_path: Path):
    def region(width: int, unit: int, delta: float) -> Dataset:
        made = Dataset()
        made.RegionSpatialFormat, made.PhysicalUnitsXDirection, made.PhysicalUnitsYDirection = 1, unit, unit
        made.RegionLocationMinX0, made.RegionLocationMinY0 = 0, 0
        made.RegionLocationMaxX1, made.RegionLocationMaxY1 = width, 10
        made.PhysicalDeltaX, made.PhysicalDeltaY = delta, -delta
        return made

    regions = [region(10, 3, 0.01), region(20, 3, 0.02), region(30, 4, 0.03)]  # 4: seconds, as of an M-mode
    file = x_ray(tmp_path / "a.dcm", SequenceOfUltrasoundRegions=Sequence(regions))
    assert read_dicom_picture(file).spacing == pytest.approx((0.2, 0.2))


@pytest.mark.row("picture-damaged")
@pytest.mark.parametrize("spoil", [lambda content: b"hello", lambda content: content[:200]])
def test_what_is_no_image(spoil: Callable[[bytes], bytes], tmp_path: Path):
    file = x_ray(tmp_path / "a.dcm")
    file.write_bytes(spoil(file.read_bytes()))
    with pytest.raises(InputError, match=r"a\.dcm (is no DICOM image|is a damaged DICOM file)"):
        read_dicom_picture(file)
