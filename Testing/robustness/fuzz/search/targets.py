"""What the search can be pointed at, by name: readers in native code, and what makes files for them."""

from __future__ import annotations

from random import Random

from ..damaged import checkpoints, dicom, images, segmentations

_MAKERS = {
    "nrrd": images.nrrd,
    "metaimage": images.metaimage,
    "nifti": images.nifti,
    "dicom": dicom.dicom,
    "segmentation": segmentations.segmentation,
    "labels": images.nifti,
    "checkpoints": checkpoints.checkpoints,
}
NATIVE = tuple(_MAKERS)


def target_of(targets: str, number: int) -> str:
    """Which of several targets, named with commas between them, a number is for: they take turns."""
    names = targets.split(",")
    return names[number % len(names)]


def make_case(targets: str, seed: int, number: int) -> images.Case:
    """The files of a number, always the same."""
    target = target_of(targets, number)
    return _MAKERS[target](Random(f"{target} {seed} {number}"))
