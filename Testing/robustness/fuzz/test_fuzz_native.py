"""Damaged files of every kind, made by their numbers, in processes of their own."""

from __future__ import annotations

import pytest

from .search.supervisor import search
from .search.targets import NATIVE, make_case


@pytest.mark.parametrize(
    ("targets", "inputs", "read"),
    [
        pytest.param("nrrd,metaimage,nifti,labels,segmentation", 500, 100, marks=pytest.mark.row("fuzz-readers")),
        pytest.param("dicom", 300, 60, marks=pytest.mark.row("fuzz-dicom")),
        pytest.param("checkpoints", 500, 30, marks=pytest.mark.row("fuzz-checkpoints")),
    ],
)
def test_damaged_files_in_a_process_of_their_own(targets: str, inputs: int, read: int) -> None:
    found = search(targets, 0, seconds=300, inputs=inputs)
    assert not found.faults
    assert found.tried == inputs
    assert found.outcomes["read"] > read, "or nothing but the headers was tried"


@pytest.mark.parametrize("target", NATIVE)
def test_the_same_number_gives_the_same_files(target: str) -> None:
    assert all(make_case(target, 0, number) == make_case(target, 0, number) for number in range(10))
