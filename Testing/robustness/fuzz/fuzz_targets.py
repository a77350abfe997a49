"""What the search can be pointed at, by name: readers in native code, and what makes files for them."""

from __future__ import annotations

from random import Random

from . import fuzz_cases, fuzz_checkpoint_cases, fuzz_dicom_cases, fuzz_segmentation_cases

_MAKERS = {
    "nrrd": fuzz_cases.nrrd,
    "metaimage": fuzz_cases.metaimage,
    "nifti": fuzz_cases.nifti,
    "dicom": fuzz_dicom_cases.dicom,
    "segmentation": fuzz_segmentation_cases.segmentation,
    "labels": fuzz_cases.nifti,
    "checkpoints": fuzz_checkpoint_cases.checkpoints,
}
NATIVE = tuple(_MAKERS)


def target_of(targets: str, number: int) -> str:
    """Which of several targets, named with commas between them, a number is for: they take turns."""
    names = targets.split(",")
    return names[number % len(names)]


def make_case(targets: str, seed: int, number: int) -> fuzz_cases.Case:
    """The files of a number, always the same."""
    target = target_of(targets, number)
    return _MAKERS[target](Random(f"{target} {seed} {number}"))
