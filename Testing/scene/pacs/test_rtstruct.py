"""RT structure sets: contours on the frames of every kind of source, and rasterised again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from matplotlib.path import Path as Polygon
from pydicom import Dataset, dcmread
from scipy.ndimage import binary_fill_holes, gaussian_filter

from MedCLIPSAMLib.scene.dicom.origin import origin_of
from MedCLIPSAMLib.scene.files.saving import save
from MedCLIPSAMLib.scene.pacs.contours import outlines
from MedCLIPSAMLib.scene.volumes import read_volume

from ...samples import abdomen_organs
from .. import grids
from ..dicom.dicom_files import write_series
from .sources import VOLUMES, faults, frames_in, segmented

MM = 1e-3


def centres(shape: tuple[int, int]) -> np.ndarray:
    """(n, 2) of pixels, beside them by less than any contour is written."""
    return np.argwhere(np.ones(shape, bool)) + np.array([1e-7, 3e-7])


def even_odd(polygons: list[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """By counting crossings of a ray, all polygons together, as readers of XOR do."""
    places, odd = centres(shape), np.zeros(shape[0] * shape[1], bool)
    for polygon in polygons:
        (y0, x0), (y1, x1) = polygon.T, np.roll(polygon, -1, axis=0).T
        for ay, ax, by, bx in zip(y0, x0, y1, x1, strict=True):
            if ay != by:
                crossed = ((ay > places[:, 0]) != (by > places[:, 0])) & (
                    places[:, 1] < (bx - ax) * (places[:, 0] - ay) / (by - ay) + ax
                )
                odd ^= crossed
    return odd.reshape(shape)


def united(polygons: list[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Each polygon by itself by matplotlib, and what is in any of them, as readers of plain contours do."""
    inside = np.zeros(shape, bool)
    for polygon in polygons:
        closed = Polygon(np.concatenate([polygon, polygon[:1]]), closed=True)
        inside |= closed.contains_points(centres(shape)).reshape(shape)
    return inside


def drawn(name: str) -> np.ndarray:
    mask = np.zeros((24, 30), bool)
    if name == "one pixel":
        mask[4, 5] = True
    elif name == "the whole slice":
        mask[:] = True
    elif name == "a hole":
        mask[3:20, 4:25] = True
        mask[8:12, 9:15] = False
    elif name == "holes, and an island in one":
        mask[2:22, 2:28] = True
        mask[4:20, 4:16] = mask[5:8, 20:24] = mask[12:14, 19:26] = False
        mask[7:15, 7:12] = True
        mask[9:12, 9:10] = False
    elif name == "several parts that meet at corners":
        mask[2:6, 2:6] = mask[6:10, 6:10] = mask[2:6, 10:14] = mask[15:20, 1:20] = True
    else:
        mask[:] = gaussian_filter(np.random.default_rng(int(name)).random(mask.shape), 1.2) > 0.5
    return mask


SHAPES = ("one pixel", "the whole slice", "a hole", "holes, and an island in one", "several parts that meet at corners")


@pytest.mark.parametrize("name", [*SHAPES, *map(str, range(8))])
def test_outlines_hold_exactly_the_pixels(name: str):
    """Whether a reader unites polygons or counts crossings: holes stay holes, parts stay parts."""
    mask = drawn(name)
    polygons = outlines(mask)
    np.testing.assert_array_equal(even_odd(polygons, mask.shape), mask)
    np.testing.assert_array_equal(united(polygons, mask.shape), mask)


def test_a_hole_makes_no_contour_of_its_own():
    mask = drawn("a hole")
    (polygon,) = outlines(mask)
    assert binary_fill_holes(mask).sum() > mask.sum()
    assert len({tuple(corner) for corner in polygon.tolist()}) == len(polygon) - 2, "there and back"


def test_a_contour_of_more_than_64_kib(tmp_path: Path):
    """A sieve: 900 holes in one outline."""
    mask = np.zeros((2, 64, 64), bool)
    mask[:, 1:-1, 1:-1] = True
    mask[:, 2:-2:2, 2:-2:2] = False
    write_series(tmp_path / "in", mask.astype(np.int16), grids.GRIDS["axial"])
    node = read_volume(tmp_path / "in")
    (file,) = save(segmented(node, {"sieve": mask}), node, tmp_path / "out.rtstruct.dcm").files
    (item,) = dcmread(file).ROIContourSequence
    (_, points), _ = contours(item)
    assert len("\\".join(map(str, item.ContourSequence[0].ContourData))) > 1 << 16
    polygon = (points / (0.7, 0.7, 1))[:, 1::-1]
    polygon -= polygon.min(axis=0) - 0.5
    places = centres(mask.shape[1:])[28 * 64 : 32 * 64]  # four rows
    np.testing.assert_array_equal(Polygon(polygon).contains_points(places), mask[0, 28:32].ravel())
    assert faults(file) == []


def test_outlines_of_organs():
    """Ordinary structures, outlined by hand on a CT."""
    for name, mask in abdomen_organs("CT").items():
        found = united(outlines(mask), mask.shape)
        assert 2 * (found & mask).sum() / (found.sum() + mask.sum()) >= 0.98, name


def contours(item: Dataset) -> Iterator[tuple[Dataset, np.ndarray]]:
    """Reference to an image, and (n, 3) mm, of each contour."""
    for contour in item.ContourSequence:
        assert contour.ContourGeometricType == "CLOSED_PLANAR"
        points = np.array(contour.ContourData, float).reshape(-1, 3)
        assert len(points) == contour.NumberOfContourPoints
        (reference,) = contour.ContourImageSequence
        yield reference, points


@pytest.mark.row("dicom-result-overlap")
@pytest.mark.parametrize("kind", VOLUMES)
def test_contours_lie_on_the_frames(kind: str, tmp_path: Path):
    """In their planes to a thousandth of a millimetre; rasterised again, they are the voxels."""
    given = VOLUMES[kind](tmp_path / "in")
    node, images = read_volume(given.path, frame=given.frame), frames_in(given.path)
    origin = origin_of(node)
    assert origin is not None
    shape = node.GetImageData().GetDimensions()[::-1]
    masks = {
        name: gaussian_filter(np.random.default_rng(seed).random(shape), (0.5, 1, 1)) > 0.5
        for seed, name in enumerate(("liver", "spleen"))
    }
    (file,) = save(segmented(node, masks), node, tmp_path / "out.rtstruct.dcm").files
    made = dcmread(file)
    assert [region.ROIName for region in made.StructureSetROISequence] == ["liver", "spleen"]
    frames = {(frame.sop_instance, frame.number): frame for frame in origin.frames}
    across, along = origin.orientation[:3] * origin.spacing[1], origin.orientation[3:] * origin.spacing[0]
    for item, mask in zip(made.ROIContourSequence, masks.values(), strict=True):
        polygons: dict[tuple[str, int | None], list[np.ndarray]] = {key: [] for key in frames}
        for reference, points in contours(item):
            key = reference.ReferencedSOPInstanceUID, reference.get("ReferencedFrameNumber")
            moved = points - np.array(images[key].ImagePositionPatient, float)
            assert np.abs(moved @ np.cross(origin.orientation[:3], origin.orientation[3:])).max() < MM
            polygons[key].append(np.column_stack([moved @ along / (along @ along), moved @ across / (across @ across)]))
        for key, frame in frames.items():
            k = min(round(frame.place), len(mask) - 1)
            np.testing.assert_array_equal(even_odd(polygons[key], mask.shape[1:]), mask[k])
    assert faults(file) == []


def test_it_belongs_to_the_study(tmp_path: Path):
    given = VOLUMES["oblique"](tmp_path / "in")
    node = read_volume(given.path)
    (file,) = save(segmented(node, {"left kidney": grids.blob()}), node, tmp_path / "out.rtstruct.dcm").files
    made, image = dcmread(file), dcmread(next(given.path.iterdir()))
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientName", "PatientID"):
        assert made[keyword].value == image[keyword].value
    (reference,) = made.ReferencedFrameOfReferenceSequence
    (series,) = reference.RTReferencedStudySequence[0].RTReferencedSeriesSequence
    assert series.SeriesInstanceUID == image.SeriesInstanceUID != made.SeriesInstanceUID
    assert len(series.ContourImageSequence) == grids.SHAPE[0]
    (kind,) = made.RTROIObservationsSequence[0].RTROIIdentificationCodeSequence
    assert (kind.CodeValue, kind.SegmentedPropertyTypeModifierCodeSequence[0].CodeValue) == ("64033007", "7771000")
