"""DICOM folders of every kind that people have, by the row of the table that they belong to."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    UID,
    BasicTextSRStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    RLELossless,
    RTStructureSetStorage,
    XRayRadiationDoseSRStorage,
    generate_uid,
)

from ..scene.dicom.dicom_files import write_dataset, write_multi_frame, write_series
from .inputs import AFFINE, Given, body, given


def series(folder: Path, *skipped: int) -> Path:
    folder.mkdir(exist_ok=True)
    write_series(folder, body()[0], AFFINE, skip=skipped)
    return folder


def no_image(path: Path, kind: str, modality: str) -> None:
    """A DICOM file that holds no image."""
    report = Dataset()
    report.file_meta = FileMetaDataset()
    report.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = UID(kind)
    report.SOPInstanceUID = report.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    report.SeriesInstanceUID, report.Modality, report.PatientName = generate_uid(), modality, "Doe^Jane"
    write_dataset(report, path)


@given("dicom-missing-slice")
def _(folder: Path) -> Given:
    return Given(series(folder / "dicom", 7), body()[1])


@given("dicom-uneven")
def _(folder: Path) -> Given:
    return Given(series(folder / "dicom", 11, 13, 17), body()[1])


@given("dicom-shifted")
def _(folder: Path) -> Given:
    def shift(image: Dataset, k: int) -> None:
        across, *others = map(float, image.ImagePositionPatient)
        image.ImagePositionPatient = [across + 5 * (k % 2), *others]

    write_series(folder / "dicom", body()[0], AFFINE, change=shift)
    return Given(folder / "dicom")


@given("dicom-study")
def _(folder: Path) -> Given:
    array, mask = body()
    write_series(folder / "dicom", array[:2], AFFINE, description="scout", number=1, change=_localizer)
    write_series(folder / "dicom", array, AFFINE, number=2)
    write_series(folder / "dicom", array[:1], AFFINE, description="dose", number=999)
    no_image(folder / "dicom" / "report.dcm", XRayRadiationDoseSRStorage, "SR")
    return Given(folder / "dicom", mask)


def _localizer(image: Dataset, k: int) -> None:
    image.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]


@given("dicom-frames")
def _(folder: Path) -> Given:
    array, mask = body()
    uid = generate_uid()

    def phase(number: int) -> Callable[[Dataset, int], None]:
        return lambda image, k: setattr(image, "TemporalPositionIdentifier", number)

    write_series(folder / "dicom", array, AFFINE, uid=uid, change=phase(1))
    write_series(folder / "dicom", np.zeros_like(array), AFFINE, uid=uid, first=len(array), change=phase(2))
    return Given(folder / "dicom", mask)


@given("dicom-multi-frame")
def _(folder: Path) -> Given:
    array, mask = body()
    write_multi_frame(folder / "scan.dcm", array[None], AFFINE)
    return Given(folder / "scan.dcm", mask)


def _colours(factors: tuple[float, float, float]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        array = body()[0]

        def colour(image: Dataset, k: int) -> None:
            pixels = np.stack([array[k] * factor for factor in factors], axis=-1).astype(np.uint8)
            image.SamplesPerPixel, image.PhotometricInterpretation, image.PlanarConfiguration = 3, "RGB", 0
            image.BitsAllocated = image.BitsStored = 8
            image.HighBit, image.PixelRepresentation, image.PixelData = 7, 0, pixels.tobytes()

        write_series(folder / "dicom", array, AFFINE, change=colour)
        return folder / "dicom"

    return write


@given("dicom-grey-colours")
def _(folder: Path) -> Given:
    return Given(_colours((1, 1, 1))(folder), body()[1])


@given("dicom-colours")
def _(folder: Path) -> Given:
    return Given(_colours((1, 0.5, 0))(folder))


@given("dicom-mosaic")
def _(folder: Path) -> Given:
    def mosaic(image: Dataset, k: int) -> None:
        image.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]

    write_series(folder / "dicom", body()[0], AFFINE, change=mosaic)
    return Given(folder / "dicom")


@given("dicom-mixed")
def _(folder: Path) -> Given:
    file = next(series(folder / "dicom").iterdir())
    changed = dcmread(file)
    changed.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    changed.save_as(file)
    return Given(folder / "dicom")


@given("dicom-mixed")
def _(folder: Path) -> Given:
    file = next(series(folder / "dicom").iterdir())
    changed = dcmread(file)
    changed.Rows, changed.PixelData = changed.Rows - 1, changed.PixelData[: -2 * changed.Columns]
    changed.save_as(file)
    return Given(folder / "dicom")


@given("dicom-two-series")
def _(folder: Path) -> Given:
    series(folder / "dicom")
    write_series(folder / "dicom", body()[0], AFFINE, description="arterial", number=4)
    return Given(folder / "dicom")


@given("dicom-scout")
def _(folder: Path) -> Given:
    file = next(series(folder / "dicom").iterdir())
    scout = dcmread(file)
    scout.SOPInstanceUID = scout.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    scout.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    scout.Rows, scout.PixelData = 24, scout.PixelData[: 24 * scout.Columns * 2]
    scout.save_as(file.with_name("scout.dcm"))
    return Given(folder / "dicom", body()[1])


@given("dicom-compressed")
def _(folder: Path) -> Given:
    for file in series(folder / "dicom").iterdir():
        plain = dcmread(file)
        plain.compress(RLELossless)
        plain.save_as(file)
    return Given(folder / "dicom", body()[1])


@given("dicom-compressed")
def _(folder: Path) -> Given:
    for file in series(folder / "dicom").iterdir():
        plain = dcmread(file)
        plain.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        plain.save_as(file)
    return Given(folder / "dicom", body()[1])


def _compressed(compressor: str) -> None:
    @given("dicom-compressed")
    def _(folder: Path) -> Given:
        for file in series(folder / "dicom").iterdir():
            reader = sitk.ImageFileReader()
            reader.SetFileName(str(file))
            reader.LoadPrivateTagsOn()
            slice_ = reader.Execute()
            for key in reader.GetMetaDataKeys():
                slice_.SetMetaData(key, reader.GetMetaData(key))
            writer = sitk.ImageFileWriter()
            writer.KeepOriginalImageUIDOn()
            writer.SetFileName(str(file))
            writer.UseCompressionOn()
            writer.SetCompressor(compressor)
            writer.Execute(slice_)
        return Given(folder / "dicom", body()[1])


for each in ("JPEG", "JPEG2000"):
    _compressed(each)


@given("dicom-no-image")
def _(folder: Path) -> Given:
    no_image(folder / "report.dcm", BasicTextSRStorage, "SR")
    no_image(folder / "structures.dcm", RTStructureSetStorage, "RTSTRUCT")
    return Given(folder)


@given("dicom-text")
def _(folder: Path) -> Given:
    (folder / "slice.dcm").write_text("no image")
    return Given(folder)


def beside_images(folder: Path) -> Given:
    """A series with files that are no images of it."""
    series(folder / "dicom")
    no_image(folder / "dicom" / "report.dcm", BasicTextSRStorage, "SR")
    no_image(folder / "dicom" / "structures.dcm", RTStructureSetStorage, "RTSTRUCT")
    (folder / "dicom" / "notes.dcm").write_text("no image")
    shutil.copyfile(__file__, folder / "dicom" / "DICOMDIR")
    return Given(folder / "dicom", body()[1])
