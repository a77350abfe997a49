"""Several volumes at one place in a series: which slices belong together, and which volume is read."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import slicer
from pydicom import Dataset
from pydicom.uid import generate_uid

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.scene.remarks import remarks
from MedCLIPSAMLib.scene.volumes import read_volume

from .. import grids
from .dicom_files import write_series

AFFINE = grids.GRIDS["axial"]
COUNT = grids.SHAPE[0]
Mark = Callable[[Dataset, int, int], None]  # of an image, for its volume and slice


def write(folder: Path, volumes: int, mark: Mark, *, skip: dict[int, tuple[int, ...]] | None = None) -> None:
    """Volumes of one series; instance numbers count through them one after the other."""
    uid = generate_uid()
    for volume in range(volumes):
        write_series(
            folder,
            grids.voxels(volume),
            AFFINE,
            uid=uid,
            first=volume * COUNT,
            change=lambda image, k, volume=volume: mark(image, volume, k),
            skip=(skip or {}).get(volume, ()),
        )


def check(folder: Path, volumes: int, said: str = "") -> None:
    """Each volume is whole, and the remark of the second one has some words."""
    for volume in range(volumes):
        node = read_volume(folder, frame=volume + 1)
        np.testing.assert_array_equal(slicer.util.arrayFromVolume(node), grids.voxels(volume))
        assert node.GetName().startswith(f"3: abdomen, frame {volume + 1}")
    assert remarks(read_volume(folder, frame=2)) == (f"Frame 2 of {volumes} of 3: abdomen is read{said}.",)


def one_by_one(image: Dataset, volume: int, k: int) -> None:
    """Numbers count through the volumes at each place, and tell which is which only there."""
    image.InstanceNumber = k * 10 + volume


def b_values(image: Dataset, volume: int, k: int) -> None:
    image.DiffusionBValue = (0.0, 500.0, 1000.0)[volume]


def siemens(image: Dataset, volume: int, k: int) -> None:
    block = image.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    block.add_new(0x0C, "IS", str((0, 500, 1000)[volume]))


def ge(image: Dataset, volume: int, k: int) -> None:
    block = image.private_block(0x0043, "GEMS_PARM_01", create=True)
    block.add_new(0x39, "IS", [1_000_000_000 + (0, 500, 1000)[volume], 8, 0, 0])


def echoes(image: Dataset, volume: int, k: int) -> None:
    image.EchoNumbers, image.EchoTime = volume + 1, f"{4.5 * (volume + 1)}"


def phases(image: Dataset, volume: int, k: int) -> None:
    image.TemporalPositionIdentifier = volume + 1


def acquisitions(image: Dataset, volume: int, k: int) -> None:
    image.AcquisitionNumber = volume + 3


def heart(image: Dataset, volume: int, k: int) -> None:
    image.NominalPercentageOfCardiacPhase, image.AcquisitionTime = 10.0 * volume, f"1200{k:02}.{volume}"


@pytest.mark.row("dicom-frames")
@pytest.mark.parametrize(
    ("mark", "said"),
    [
        (b_values, " (b = 500 s/mm²)"),
        (siemens, " (b = 500 s/mm²)"),
        (ge, " (b = 500 s/mm²)"),
        (echoes, " (echo 2, echo time 9 ms)"),
        (phases, " (time 2)"),
        (acquisitions, " (acquisition 4)"),
        (heart, " (10 % of the heartbeat)"),
        (one_by_one, ""),
    ],
)
def test_what_differs_tells_the_volumes_apart(mark: Mark, said: str, tmp_path: Path) -> None:
    write(tmp_path, 3, mark)
    check(tmp_path, 3, said)


@pytest.mark.row("dicom-frames")
def test_two_marks_together(tmp_path: Path) -> None:
    """Magnitude and phase of two echoes: neither mark alone tells all four."""
    kinds = list(product((1, 2), ("M", "P")))

    def mark(image: Dataset, volume: int, k: int) -> None:
        echo, part = kinds[volume]
        image.EchoNumbers, image.ImageType = echo, ["ORIGINAL", "PRIMARY", part]

    write(tmp_path, 4, mark)
    check(tmp_path, 4, " (echo 1, ORIGINAL/PRIMARY/P)")


@pytest.mark.row("dicom-frames")
def test_directions_of_one_b_value_are_told_apart(tmp_path: Path) -> None:
    """b = 0 twice and three directions: only the order in which all are numbered tells the two b = 0 apart."""
    directions = [None, None, [1, 0, 0], [0, 1, 0], [0, 0, 1]]

    def mark(image: Dataset, volume: int, k: int) -> None:
        image.DiffusionBValue = 0.0 if directions[volume] is None else 1000.0
        if directions[volume] is not None:
            image.DiffusionGradientOrientation = directions[volume]

    write(tmp_path, 5, mark)
    check(tmp_path, 5, " (b = 0 s/mm²)")


@pytest.mark.row("dicom-frames")
def test_the_first_is_the_default_and_said(tmp_path: Path) -> None:
    write(tmp_path, 3, phases)
    node = read_volume(tmp_path)
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(node), grids.voxels())
    assert remarks(node) == ("Frame 1 of 3 of 3: abdomen is read (time 1); --frame chooses another.",)
    with pytest.raises(InputError, match="has volumes 1 to 3; there is no frame 4"):
        read_volume(tmp_path, frame=4)


@pytest.mark.row("dicom-frames")
def test_acquisitions_of_different_length(tmp_path: Path) -> None:
    """Arterial of the whole, venous of a part; with a mark that is enough."""
    write(tmp_path, 2, acquisitions, skip={1: (0, 1, 7, 8)})
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(read_volume(tmp_path)), grids.voxels())
    second = slicer.util.arrayFromVolume(read_volume(tmp_path, frame=2))
    np.testing.assert_array_equal(second, grids.voxels(1)[2:7])


@pytest.mark.row("dicom-frames")
def test_what_nothing_tells_apart_is_refused(tmp_path: Path) -> None:
    write(tmp_path, 2, lambda image, volume, k: None, skip={1: (0, 1, 7, 8)})
    with pytest.raises(InputError, match="several images at one position, and nothing tells which belong together"):
        read_volume(tmp_path)


@pytest.mark.row("dicom-frames")
def test_phases_whose_slices_lie_between_each_other(tmp_path: Path) -> None:
    """The table moved by a third of a slice: no place repeats, yet there are two even volumes."""
    uid = generate_uid()
    for volume, moved in enumerate((0.0, 1 / 3)):
        write_series(
            tmp_path,
            grids.voxels(volume),
            AFFINE,
            uid=uid,
            first=volume * COUNT,
            depths=[k + moved for k in range(COUNT)],
            change=lambda image, k, volume=volume: phases(image, volume, k),
        )
    check(tmp_path, 2, " (time 2)")


@pytest.mark.row("dicom-uneven")
def test_parts_that_follow_each_other_are_one_volume(tmp_path: Path) -> None:
    """Thin slices of one acquisition, thick ones of the next above them: no phases."""

    def mark(image: Dataset, k: int) -> None:
        image.AcquisitionNumber = 1 if k < 5 else 2

    write_series(tmp_path, grids.voxels(), AFFINE, depths=[0, 1, 2, 3, 4, 6, 8, 10, 12], change=mark)
    assert slicer.util.arrayFromVolume(read_volume(tmp_path)).shape[0] == 13
