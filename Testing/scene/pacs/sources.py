"""Every kind of DICOM that volumes are read from, and what a validator says of what was written onto them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import (
    UID,
    DigitalXRayImageStorageForPresentation,
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    UltrasoundMultiFrameImageStorage,
    generate_uid,
)

from MedCLIPSAMLib.scene.segmentation.segments import create_segmentation, write_segment

from .. import grids
from ..dicom.dicom_files import write_dataset, write_multi_frame, write_series
from ..dicom.test_picture import STORED, x_ray
from ..dicom.test_stacks import tilted


@dataclass(frozen=True)
class Given:
    """A file or folder to read, and which frame of it."""

    path: Path
    frame: int | None = None


def straight(kind: str) -> Callable[[Path], Given]:
    def write(folder: Path) -> Given:
        write_series(folder, grids.voxels(), grids.GRIDS[kind])
        return Given(folder)

    return write


def leaning(folder: Path) -> Given:
    write_series(folder, grids.voxels(), tilted("oblique"))
    return Given(folder)


def uneven(folder: Path) -> Given:
    write_series(folder, grids.voxels(), grids.GRIDS["axial"], depths=[0, 1, 2, 3, 4, 6, 8, 10, 12.5])
    return Given(folder)


def with_a_gap(folder: Path) -> Given:
    write_series(folder, grids.voxels(), grids.GRIDS["axial"], skip=(4,))
    return Given(folder)


def phases(folder: Path) -> Given:
    """Three volumes at one place, in files of their own."""
    uid = generate_uid()
    for volume in range(3):

        def phase(image: Dataset, k: int, volume: int = volume) -> None:
            image.TemporalPositionIdentifier, image.StudyInstanceUID, image.FrameOfReferenceUID = (
                volume + 1,
                "1.2",
                "1.3",
            )

        write_series(folder, grids.voxels(volume), grids.GRIDS["oblique"], uid=uid, first=volume * 9, change=phase)
    return Given(folder, 2)


def multi_frame(kind: UID, volumes: int = 1) -> Callable[[Path], Given]:
    """One file, whose frames are in a mixed order; of several volumes the last is read."""

    def diffusion(groups: Dataset, volume: int, k: int) -> None:
        item = Dataset()
        item.DiffusionBValue = 400.0 * volume
        groups.MRDiffusionSequence = [item]

    def write(folder: Path) -> Given:
        folder.mkdir()
        arrays = np.stack([grids.voxels(number) for number in range(volumes)])
        made = write_multi_frame(folder / "scan.dcm", arrays, grids.GRIDS["oblique"], change=diffusion)
        made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = kind
        made.StudyInstanceUID, made.FrameOfReferenceUID = generate_uid(), generate_uid()
        write_dataset(made, folder / "scan.dcm")
        return Given(folder, volumes)

    return write


def picture(kind: UID, frames: int = 1) -> Callable[[Path], Given]:
    def write(folder: Path) -> Given:
        folder.mkdir()
        stored = np.stack([STORED] * frames) if frames > 1 else STORED
        file = x_ray(folder / "picture.dcm", stored, **({"NumberOfFrames": frames} if frames > 1 else {}))
        image = dcmread(file)
        image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = kind
        write_dataset(image, file)
        return Given(file, frames)

    return write


VOLUMES: dict[str, Callable[[Path], Given]] = {
    **{kind: straight(kind) for kind in grids.GRIDS},
    "tilted": leaning,
    "uneven": uneven,
    "a slice is missing": with_a_gap,
    "phases": phases,
    "enhanced CT": multi_frame(EnhancedCTImageStorage),
    "enhanced MR": multi_frame(EnhancedMRImageStorage),
    "b-values": multi_frame(EnhancedMRImageStorage, 3),
}
PICTURES: dict[str, Callable[[Path], Given]] = {
    "X-ray": picture(DigitalXRayImageStorageForPresentation),
    "ultrasound": picture(UltrasoundMultiFrameImageStorage, 4),
}


def faults(path: Path) -> list[str]:
    """What dciodvfy of Debian's package dicom3tools finds wrong; the test ends where there is none."""
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy is not installed; it is in Debian's package dicom3tools")
    said = subprocess.run(["dciodvfy", "-new", path], capture_output=True, text=True, check=False)
    return [line for line in (said.stdout + said.stderr).splitlines() if line.startswith("Error")]


def corners(position: np.ndarray, orientation: np.ndarray, spacing: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """(4, 3) RAS of the centres of the corner pixels of a frame (DICOM PS3.3 C.7.6.2.1.1)."""
    rows, columns = (count - 1 for count in shape)
    across, along = orientation[:3] * spacing[1], orientation[3:] * spacing[0]
    places = [position + i * across + j * along for i in (0, columns) for j in (0, rows)]
    return np.array(places) * (-1, -1, 1)


def masks_for(volume_node: Any, count: int = 2) -> list[np.ndarray]:
    """Random masks that overlap, with voxels on every slice."""
    random = np.random.default_rng(3)
    return [random.random(volume_node.GetImageData().GetDimensions()[::-1]) > 0.6 for _ in range(count)]


def segmented(volume_node: Any, masks: dict[str, np.ndarray], **options: Any) -> Any:
    node = create_segmentation(volume_node)
    for name, mask in masks.items():
        write_segment(node, volume_node, mask, name, **options)
    return node


def frames_in(folder: Path) -> dict[tuple[str, int | None], Dataset]:
    """The header of each frame, by the UID of its file and its number there."""
    found: dict[tuple[str, int | None], Dataset] = {}
    for file in folder.rglob("*.dcm") if folder.is_dir() else [folder]:
        image = dcmread(file)
        groups = image.get("PerFrameFunctionalGroupsSequence")
        if groups is None:
            for number in range(1, int(image.NumberOfFrames) + 1) if "NumberOfFrames" in image else [None]:
                found[image.SOPInstanceUID, number] = image
        for number, group in enumerate(groups or (), start=1):
            found[image.SOPInstanceUID, number] = group.PlanePositionSequence[0]
    return found
