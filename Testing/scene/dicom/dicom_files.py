"""Writes volumes as DICOM files: a slice in each, or all in one."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import UID, CTImageStorage, EnhancedMRImageStorage, ExplicitVRLittleEndian, generate_uid

from MedCLIPSAMLib.scene.dicom.compat import write as write_dataset

__all__ = ["write_dataset", "write_multi_frame", "write_series"]


def write_series(
    folder: Path,
    array: np.ndarray,
    ijk_to_ras: np.ndarray,
    *,
    description: str = "abdomen",
    number: int = 3,
    modality: str = "CT",
    skip: tuple[int, ...] = (),
    depths: Sequence[float] | None = None,
    change: Callable[[Dataset, int], None] | None = None,
    uid: str | None = None,
    first: int = 0,
) -> None:
    """Write `array` (K, J, I) int16 as one file a slice, in an order that tells nothing about positions.

    Args:
        skip: slices that are not written.
        depths: k of each slice, where they do not lie evenly.
        change: what else a slice k shall say.
        uid: of the series, where it has more than this volume.
        first: number of files that the series has already.
    """
    lps = np.diag([-1, -1, 1, 1]) @ ijk_to_ras
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    series, study, frame = uid or generate_uid(), generate_uid(), generate_uid()
    order = list(range(len(array)))
    random.Random(1).shuffle(order)
    folder.mkdir(exist_ok=True)
    for place, k in enumerate(order, start=first):
        if k in skip:
            continue
        image = _image(array[k], CTImageStorage)
        image.SeriesInstanceUID, image.StudyInstanceUID, image.FrameOfReferenceUID = series, study, frame
        image.Modality, image.SeriesDescription, image.SeriesNumber = modality, description, number
        image.InstanceNumber = place + 1
        image.ImageOrientationPatient = _orientation(lps)
        image.ImagePositionPatient = _position(lps, k if depths is None else depths[k])
        image.PixelSpacing = [f"{spacing[1]:.8f}", f"{spacing[0]:.8f}"]
        image.SliceThickness = f"{spacing[2]:.8f}"
        image.RescaleSlope, image.RescaleIntercept = 1, 0
        if change is not None:
            change(image, k)
        write_dataset(image, folder / f"{number}-{place:03}.dcm")


def write_multi_frame(
    file: Path,
    arrays: np.ndarray,
    ijk_to_ras: np.ndarray,
    *,
    change: Callable[[Dataset, int, int], None] | None = None,
    slope: Callable[[int, int], float] = lambda volume, k: 1,
) -> Dataset:
    """Write `arrays` (V, K, J, I) int16, V volumes at one place, as one enhanced MR file, in a mixed order of frames.

    Args:
        change: what else the functional groups of the frame of slice k of a volume shall say.
        slope: by which the stored values of that frame are multiplied.
    """
    lps = np.diag([-1, -1, 1, 1]) @ ijk_to_ras
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    order = [(volume, k) for volume in range(len(arrays)) for k in range(len(arrays[0]))]
    random.Random(1).shuffle(order)
    image = _image(np.stack([arrays[place] for place in order]), EnhancedMRImageStorage)
    image.SeriesInstanceUID, image.Modality, image.SeriesDescription, image.SeriesNumber = (
        generate_uid(),
        "MR",
        "scan",
        5,
    )
    image.NumberOfFrames, image.InstanceNumber, image.ImageType = len(order), 1, ["ORIGINAL", "PRIMARY", "M", "NONE"]
    image.SharedFunctionalGroupsSequence = Items(
        [
            _groups(
                PlaneOrientationSequence={"ImageOrientationPatient": _orientation(lps)},
                PixelMeasuresSequence={
                    "PixelSpacing": [f"{spacing[1]:.8f}", f"{spacing[0]:.8f}"],
                    "SliceThickness": f"{spacing[2]:.8f}",
                },
            )
        ]
    )
    frames = []
    for volume, k in order:
        groups = _groups(
            PlanePositionSequence={"ImagePositionPatient": _position(lps, k)},
            FrameContentSequence={"FrameAcquisitionNumber": 1},
            PixelValueTransformationSequence={"RescaleSlope": slope(volume, k), "RescaleIntercept": 0},
        )
        if change is not None:
            change(groups, volume, k)
        frames.append(groups)
    image.PerFrameFunctionalGroupsSequence = Items(frames)
    write_dataset(image, file)
    return image


def _groups(**groups: dict[str, object]) -> Dataset:
    made = Dataset()
    for name, values in groups.items():
        group = Dataset()
        for tag, value in values.items():
            setattr(group, tag, value)
        setattr(made, name, Items([group]))
    return made


def _image(pixels: np.ndarray, kind: UID) -> Dataset:
    """With int16 pixels (..., J, I), and without a place."""
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = kind
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    image.PatientName, image.PatientID = "Doe^Jane", "4711"
    image.Rows, image.Columns = pixels.shape[-2:]
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit, image.PixelRepresentation = 15, 1
    image.PixelData = np.ascontiguousarray(pixels).tobytes()
    return image


def _orientation(lps: np.ndarray) -> list[str]:
    axes = lps[:3, :3] / np.linalg.norm(lps[:3, :3], axis=0)
    return [f"{value:.10f}" for value in (*axes[:, 0], *axes[:, 1])]


def _position(lps: np.ndarray, k: float) -> list[str]:
    return [f"{value:.8f}" for value in lps[:3, :3] @ (0, 0, k) + lps[:3, 3]]
