"""Writes a volume as a folder of DICOM slices."""

from __future__ import annotations

import random
from inspect import signature
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid


def write_series(
    folder: Path,
    array: np.ndarray,
    ijk_to_ras: np.ndarray,
    *,
    description: str = "abdomen",
    number: int = 3,
    modality: str = "CT",
    skip: tuple[int, ...] = (),
) -> None:
    """Write `array` (K, J, I) int16 as one file a slice, in an order that tells nothing about positions."""
    lps = np.diag([-1, -1, 1, 1]) @ ijk_to_ras
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    axes = lps[:3, :3] / spacing
    series, study, frame = generate_uid(), generate_uid(), generate_uid()
    order = list(range(len(array)))
    random.Random(1).shuffle(order)
    folder.mkdir(exist_ok=True)
    for place, k in enumerate(order):
        if k in skip:
            continue
        image = Dataset()
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = CTImageStorage
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        image.SeriesInstanceUID, image.StudyInstanceUID, image.FrameOfReferenceUID = series, study, frame
        image.PatientName, image.PatientID, image.Modality = "Doe^Jane", "4711", modality
        image.SeriesDescription, image.SeriesNumber, image.InstanceNumber = description, number, place + 1
        image.ImageOrientationPatient = [f"{value:.10f}" for value in (*axes[:, 0], *axes[:, 1])]
        image.ImagePositionPatient = [f"{value:.8f}" for value in lps[:3, :3] @ (0, 0, k) + lps[:3, 3]]
        image.PixelSpacing = [f"{spacing[1]:.8f}", f"{spacing[0]:.8f}"]
        image.SliceThickness = f"{spacing[2]:.8f}"
        image.Rows, image.Columns = array.shape[1:]
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.BitsAllocated = image.BitsStored = 16
        image.HighBit, image.PixelRepresentation = 15, 1
        image.RescaleSlope, image.RescaleIntercept = 1, 0
        image.PixelData = np.ascontiguousarray(array[k]).tobytes()
        write_dataset(image, folder / f"{number}-{place:03}.dcm")


def write_dataset(made: Dataset, file: Path) -> None:
    """Write a dataset that was made here as a DICOM file, by pydicom 2.4 or 3."""
    if "enforce_file_format" in signature(dcmwrite).parameters:
        dcmwrite(file, made, enforce_file_format=True)
    else:
        syntax = made.file_meta.TransferSyntaxUID
        made.is_little_endian, made.is_implicit_VR = syntax.is_little_endian, syntax.is_implicit_VR
        dcmwrite(file, made, write_like_original=False)
