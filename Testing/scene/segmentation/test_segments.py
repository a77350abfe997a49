"""What a segment is besides its voxels, and what happens to the other segments: nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import slicer
import vtk

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.engine.prompt.prompt import Prompt
from MedCLIPSAMLib.scene.segmentation.provenance import Provenance
from MedCLIPSAMLib.scene.segmentation.segments import (
    create_segmentation,
    find_segment,
    read_segment,
    segmentation_for,
    write_segment,
)

from .. import grids


def tag(segment: Any, name: str) -> str:
    value = vtk.reference("")
    assert segment.GetTag(name, value), name
    return str(value)


@pytest.fixture
def node() -> Any:
    return grids.volume_node("oblique")


@pytest.fixture
def drawn(node: Any) -> tuple[Any, str]:
    """A segmentation in which the user has drawn a segment that overlaps the blob."""
    segmentation_node = create_segmentation(node)
    segment_id = segmentation_node.GetSegmentation().AddEmptySegment("drawn", "liver", (0.1, 0.2, 0.3))
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        grids.blob(5).astype(np.uint8), segmentation_node, segment_id, node
    )
    return segmentation_node, segment_id


def unchanged(segmentation_node: Any, volume_node: Any, segment_id: str) -> None:
    segment = segmentation_node.GetSegmentation().GetSegment(segment_id)
    assert (segment.GetName(), segment.GetColor()) == ("liver", (0.1, 0.2, 0.3))
    np.testing.assert_array_equal(read_segment(segmentation_node, volume_node, segment_id), grids.blob(5))


def test_grid_of_the_segmentation_is_the_volumes(node):
    segmentation_node = create_segmentation(node)
    role = segmentation_node.GetReferenceImageGeometryReferenceRole()
    assert segmentation_node.GetNodeReferenceID(role) == node.GetID()
    assert segmentation_node.GetName() == "oblique segmentation"


@pytest.mark.parametrize(
    ("name", "code", "colour"),
    [
        ("liver", "SCT^10200004^Liver~^^~", (221, 130, 101)),
        ("Kidneys", "SCT^64033007^Kidney~^^~", (185, 102, 83)),
        ("left kidney", "SCT^64033007^Kidney~SCT^7771000^Left~", (185, 102, 83)),
        ("kidney_left", "SCT^64033007^Kidney~SCT^7771000^Left~", (185, 102, 83)),
        ("breast", "SCT^76752008^Breast~^^~", None),
        ("something else", "SCT^85756007^Tissue~", None),
    ],
)
def test_meaning_and_colour_from_the_terminology(node, name, code, colour):
    segmentation_node = create_segmentation(node)
    segment_id = write_segment(segmentation_node, node, grids.blob(), name)
    segment = segmentation_node.GetSegmentation().GetSegment(segment_id)
    assert segment.GetName() == name
    assert code in tag(segment, segment.GetTerminologyEntryTagName())
    if colour is not None:
        np.testing.assert_allclose(segment.GetColor(), np.array(colour) / 255)


def test_adding_leaves_other_segments_alone(node, drawn):
    segmentation_node, drawn_id = drawn
    segment_id = write_segment(segmentation_node, node, grids.blob(), "liver")
    segmentation = segmentation_node.GetSegmentation()
    assert segmentation.GetNumberOfSegments() == 2
    assert segmentation.GetSegment(segment_id).GetName() == "liver 2"
    np.testing.assert_array_equal(read_segment(segmentation_node, node, segment_id), grids.blob())
    unchanged(segmentation_node, node, drawn_id)


def test_replacing_keeps_identity_and_other_segments(node, drawn):
    segmentation_node, drawn_id = drawn
    segmentation = segmentation_node.GetSegmentation()
    segment_id = write_segment(segmentation_node, node, np.roll(grids.blob(), 5, axis=0), "spleen")
    segmentation.CollapseBinaryLabelmaps(False)  # as saving does
    assert segmentation.GetNumberOfLayers() == 1
    segmentation.GetSegment(segment_id).SetColor(0.5, 0.6, 0.7)
    assert write_segment(segmentation_node, node, grids.blob(), "spleen", segment_id=segment_id) == segment_id
    assert segmentation.GetNumberOfSegments() == 2
    assert segmentation.GetSegment(segment_id).GetColor() == (0.5, 0.6, 0.7)
    np.testing.assert_array_equal(read_segment(segmentation_node, node, segment_id), grids.blob())
    unchanged(segmentation_node, node, drawn_id)
    shared = slicer.util.arrayFromSegmentInternalBinaryLabelmap(segmentation_node, drawn_id)
    assert set(np.unique(shared)) == {0, segmentation.GetSegment(drawn_id).GetLabelValue()}


def test_surfaces_follow(node, drawn):
    segmentation_node, drawn_id = drawn
    segment_id = write_segment(segmentation_node, node, grids.blob(), "spleen")
    segmentation_node.CreateClosedSurfaceRepresentation()

    def height() -> float:
        return segmentation_node.GetClosedSurfaceInternalRepresentation(segment_id).GetLength()

    before = height()
    small = np.zeros(grids.SHAPE, bool)
    small[4, 5:7, 5:7] = True
    write_segment(segmentation_node, node, small, "spleen", segment_id=segment_id)
    assert height() < before / 2
    write_segment(segmentation_node, node, grids.blob(), "spleen", segment_id=segment_id)
    assert height() == pytest.approx(before)
    assert segmentation_node.GetClosedSurfaceInternalRepresentation(drawn_id) is not None


def test_empty_segment_with_its_tags(node):
    segmentation_node = create_segmentation(node)
    empty = np.zeros(grids.SHAPE, bool)
    provenance = Provenance(Prompt.parse("gall stone"), found=False, slices_searched=9)
    segment_id = write_segment(segmentation_node, node, empty, "gall stone", provenance=provenance)
    assert not read_segment(segmentation_node, node, segment_id).any()
    segment = segmentation_node.GetSegmentation().GetSegment(segment_id)
    assert tag(segment, "MedCLIPSAM.found") == "false"


def test_only_own_segments_are_found_by_name(node, drawn):
    segmentation_node, _ = drawn
    assert find_segment(segmentation_node, "liver") is None
    provenance = Provenance(Prompt.parse("liver"), found=True)
    segment_id = write_segment(segmentation_node, node, grids.blob(), "liver", provenance=provenance)
    assert find_segment(segmentation_node, "Liver") == segment_id
    assert find_segment(segmentation_node, "spleen") is None
    segmentation_node.GetSegmentation().GetSegment(segment_id).SetColor(1, 0, 0)
    assert find_segment(segmentation_node, "Liver") == segment_id, "a colour is not what a run makes"
    segmentation_node.GetSegmentation().GetSegment(segment_id).SetName("renamed by the user")
    assert find_segment(segmentation_node, "Liver") is None


def test_segment_moves_with_its_volume(node):
    transform = grids.transform_node(grids.TRANSFORMS["rigid"])
    node.SetAndObserveTransformNodeID(transform.GetID())
    segmentation_node = create_segmentation(node)
    segment_id = write_segment(segmentation_node, node, grids.blob(), "liver")
    moved = grids.TRANSFORMS["scaled"]
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(moved))
    expected = grids.positions(grids.blob(), moved @ grids.GRIDS["oblique"])
    np.testing.assert_allclose(grids.segment_positions(segmentation_node, segment_id), expected, atol=1e-9)


def test_segment_of_a_volume_that_was_moved_lies_where_the_volume_is(node, drawn):
    """The segmentation stays under the transform it has, and the segments in it where they are."""
    segmentation_node, drawn_id = drawn
    segmentation_node.SetAndObserveTransformNodeID(grids.transform_node(grids.TRANSFORMS["rigid"]).GetID())
    before = grids.segment_positions(segmentation_node, drawn_id)
    node.SetAndObserveTransformNodeID(grids.transform_node(grids.TRANSFORMS["sheared"]).GetID())
    segment_id = write_segment(segmentation_node, node, grids.blob(), "spleen")
    expected = grids.positions(grids.blob(), grids.TRANSFORMS["sheared"] @ grids.GRIDS["oblique"])
    np.testing.assert_allclose(grids.segment_positions(segmentation_node, segment_id), expected, atol=1e-9)
    np.testing.assert_array_equal(grids.segment_positions(segmentation_node, drawn_id), before)


def test_what_cannot_be_written_is_refused_and_changes_nothing(node, drawn):
    segmentation_node, drawn_id = drawn
    with pytest.raises(InputError, match=r"shape \(1, 2, 3\)"):
        write_segment(segmentation_node, node, np.zeros((1, 2, 3), bool), "liver")
    with pytest.raises(InputError, match="has no segment gone"):
        write_segment(segmentation_node, node, grids.blob(), "liver", segment_id="gone")
    with pytest.raises(InputError, match="oblique segmentation is not of sagittal"):
        write_segment(segmentation_node, grids.volume_node("sagittal"), grids.blob(), "liver")
    with pytest.raises(InputError, match="has no segment gone"):
        read_segment(segmentation_node, node, "gone")
    warped = grids.volume_node("axial")
    warped.SetAndObserveTransformNodeID(grids.warp_node().GetID())
    with pytest.raises(InputError, match="is not of axial"):
        write_segment(segmentation_node, warped, grids.blob(), "liver")
    node.SetAndObserveTransformNodeID(warped.GetTransformNodeID())
    with pytest.raises(InputError, match="are not under the same transform, and not all are linear"):
        write_segment(segmentation_node, node, grids.blob(), "liver")
    node.SetAndObserveTransformNodeID(None)
    assert segmentation_node.GetSegmentation().GetNumberOfSegments() == 1
    unchanged(segmentation_node, node, drawn_id)


def test_a_bent_volume_takes_segments_on_its_own_voxels(node, drawn):
    segmentation_node, _ = drawn
    node.SetAndObserveTransformNodeID(grids.warp_node().GetID())
    another = segmentation_for(node, segmentation_node)
    assert another is not segmentation_node, "its segments are where the voxels were"
    assert another.GetTransformNodeID() == node.GetTransformNodeID()
    segment_id = write_segment(another, node, grids.blob(), "liver")
    assert np.array_equal(read_segment(another, node, segment_id), grids.blob())
    own = grids.positions(grids.blob(), grids.GRIDS["oblique"])
    bent = [node.TransformPointToWorld(place, world := [0.0, 0.0, 0.0]) or world for place in own]
    np.testing.assert_allclose(grids.segment_positions(another, segment_id), grids.in_order(np.array(bent)), atol=1e-6)
    assert segmentation_for(node, another) is another
    assert write_segment(another, node, grids.blob(1), "spleen") != segment_id


def test_segmentation_of_surfaces_is_refused(node, drawn):
    segmentation_node, _ = drawn
    segmentation_node.CreateClosedSurfaceRepresentation()
    segmentation_node.GetSegmentation().SetSourceRepresentationName("Closed surface")
    with pytest.raises(InputError, match="holds surfaces"):
        write_segment(segmentation_node, node, grids.blob(), "liver")
