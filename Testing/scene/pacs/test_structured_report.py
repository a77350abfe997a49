"""Structured reports: measurements of segments of a DICOM SEG, or of frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from MedCLIPSAMLib.scene.files.saving import save
from MedCLIPSAMLib.scene.pacs.source import source_of
from MedCLIPSAMLib.scene.pacs.structured_report import Measured, write_sr
from MedCLIPSAMLib.scene.volumes import read_volume

from .. import grids
from .sources import PICTURES, VOLUMES, faults, masks_for, segmented

highdicom = pytest.importorskip("highdicom", exc_type=ImportError, reason="the extra dicom is not installed")


def written(kind: str, folder: Path, ending: str | None, *, separate: bool = False) -> tuple[Any, list[Path], Path]:
    """A report of two segments, the segmentations that it may refer to, and its file."""
    given = (VOLUMES | PICTURES)[kind](folder / "in")
    node = read_volume(given.path, frame=given.frame)
    first, second = masks_for(node)
    segmentation = segmented(node, {"spleen": first & False, "liver": first, "left kidney": second})
    files = [] if ending is None else [*save(segmentation, node, folder / f"out{ending}", separate=separate).files]
    file, ids = folder / "out.sr.dcm", segmentation.GetSegmentation().GetSegmentIDs()
    is_picture = kind in PICTURES
    measured = [Measured(ids[1], *((None, 12.5) if is_picture else (1234.567, None))), Measured(ids[2], 0.001)]
    write_sr(segmentation, node, source_of(file, node), file, measured, files)
    return highdicom.sr.srread(file), files, file


@pytest.mark.parametrize("separate", [False, True])
def test_measurements_refer_to_segments(separate: bool, tmp_path: Path):
    report, files, file = written("tilted", tmp_path, ".seg.dcm", separate=separate)
    groups = report.content.get_volumetric_roi_measurement_groups()
    values = [
        [(part.name.meaning, part.value, part.unit.value) for part in group.get_measurements()] for group in groups
    ]
    assert values == [[("Volume", 1234.567, "ml")], [("Volume", 0.001, "ml")]]
    liver, kidney = groups
    assert (liver.finding_type.value, kidney.finding_type.value) == ("10200004", "64033007")
    assert kidney.finding_sites[0].laterality.value == "7771000"
    segments = {
        item.TrackingUID: (seg.SOPInstanceUID, item.SegmentNumber, item.SegmentLabel)
        for seg in map(dcmread, files)
        for item in seg.SegmentSequence
    }
    for name, group in (("liver", liver), ("left kidney", kidney)):
        reference = group.reference_type, group.referenced_segment
        assert segments[group.tracking_uid] == (
            reference[1].referenced_sop_instance_uid,
            reference[1].referenced_segment_numbers[0],
            name,
        )
    image = dcmread(next((tmp_path / "in").iterdir()))
    for keyword in ("StudyInstanceUID", "PatientName", "PatientID"):
        assert report[keyword].value == image[keyword].value
    assert faults(file) == []


@pytest.mark.parametrize("kind", ["oblique", "b-values", "uneven"])
def test_without_a_segmentation_they_refer_to_frames(kind: str, tmp_path: Path):
    report, _, file = written(kind, tmp_path, ".rtstruct.dcm")
    liver, kidney = report.content.get_image_measurement_groups()
    assert [part.value for part in kidney.get_measurements()] == [0.001]
    assert len(liver.source_images) == grids.SHAPE[0]
    numbers = [image.referenced_frame_numbers for image in liver.source_images]
    assert all(number is not None for number in numbers) == (kind == "b-values")
    assert faults(file) == []


@pytest.mark.parametrize("kind", PICTURES)
def test_of_a_picture_it_is_the_area(kind: str, tmp_path: Path):
    report, _, file = written(kind, tmp_path, ".seg.dcm")
    liver, _ = report.content.get_volumetric_roi_measurement_groups()
    (area,) = liver.get_measurements()
    assert (area.name.meaning, area.value, area.unit.value) == ("Area", 12.5, "mm2")
    assert faults(file) == []
