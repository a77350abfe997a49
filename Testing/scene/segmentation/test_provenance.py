"""Provenance survives its tags and its file, whatever the user typed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import slicer

from MedCLIPSAMLib import __version__
from MedCLIPSAMLib.engine.prompt.prompt import Point, Prompt
from MedCLIPSAMLib.scene.files.saving import save
from MedCLIPSAMLib.scene.segmentation.provenance import ModelUse, Provenance, read_provenance, write_provenance
from MedCLIPSAMLib.scene.segmentation.segments import create_segmentation, write_segment

from .. import grids

PROVENANCE = Provenance(
    Prompt(
        'a "liver" | left: 100%~^\\n',
        ("the liver|lobe", "肝脏 \N{HOT BEVERAGE}"),
        contrast=("spleen",),
        instances=2,
        points=(Point((1.5, -2, 3)), Point((0, 0, 0), positive=False)),
    ),
    found=True,
    slices_found=23,
    slices_searched=30,
    slices_kept=2,
    searched=(10, 39),
    edited=(3, 27),
    models=(ModelUse("clip", "quickstart", "ab" * 32), ModelUse("segmenter", "lite-medsam", "cd" * 32)),
    settings={"axis": "axial", "window": {"low": -160.0, "high": 240.0}, "slicewise": False},
)


def test_defaults_say_when_and_by_which_version():
    assert PROVENANCE.version == __version__
    assert PROVENANCE.created.endswith("+00:00")


def test_tags_are_plain_enough_for_any_file():
    for name, value in PROVENANCE.to_tags().items():
        assert name.startswith("MedCLIPSAM.")
        assert value.isascii()
        assert "|" not in value
        assert "\n" not in value
    assert Provenance.from_tags(PROVENANCE.to_tags()) == PROVENANCE


@pytest.mark.parametrize("name", ["prompt", "found", "models", "searched", "created"])
@pytest.mark.parametrize("damaged", [None, "", "{"])
def test_missing_or_damaged_tags_are_no_provenance(name: str, damaged: str | None):
    tags = PROVENANCE.to_tags()
    del tags[f"MedCLIPSAM.{name}"]
    if damaged is not None:
        tags[f"MedCLIPSAM.{name}"] = damaged
    with pytest.raises(ValueError, match="incomplete or damaged"):
        Provenance.from_tags(tags)


@pytest.mark.parametrize("damaged", ["3", "[1]", '{"version": 1, "prompts": []}'])
def test_tags_of_another_kind_are_no_provenance(damaged: str):
    for name in ("prompt", "models"):
        with pytest.raises(ValueError, match="incomplete or damaged"):
            Provenance.from_tags(PROVENANCE.to_tags() | {f"MedCLIPSAM.{name}": damaged})


def test_a_segment_of_somebody_else_has_none():
    segment = slicer.vtkSegment()
    segment.SetTag("MedCLIPSAM.prompt", "?")
    assert read_provenance(segment) is None
    write_provenance(segment, PROVENANCE)
    assert read_provenance(segment) == PROVENANCE


def test_provenance_travels_with_a_seg_nrrd_file(tmp_path: Path):
    node = grids.volume_node()
    segmentation_node = create_segmentation(node)
    write_segment(segmentation_node, node, grids.blob(), "liver", provenance=PROVENANCE)
    empty = np.zeros(grids.SHAPE, bool)
    absent = Provenance(Prompt.parse("spleen"), found=False)
    write_segment(segmentation_node, node, empty, "spleen", provenance=absent)
    path, *_ = save(segmentation_node, node, tmp_path / "liver.seg.nrrd").files
    loaded = slicer.modules.segmentations.logic().LoadSegmentationFromFile(str(path), True, "loaded")
    segments = [loaded.GetSegmentation().GetNthSegment(index) for index in range(2)]
    assert [segment.GetName() for segment in segments] == ["liver", "spleen"]
    assert [read_provenance(segment) for segment in segments] == [PROVENANCE, absent]
