"""Masks into a segmentation node, exactly on the voxels of the volume they were made from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import slicer

from ...engine.errors import InputError
from ..geometry import ijk_to_ras, same_place, to_engine
from .labelmap import fingerprint, labelmap_array, make_labelmap
from .provenance import Provenance, read_provenance, read_tag, write_provenance
from .terminology import find_term

_WRITTEN = "MedCLIPSAM.written"  # tag: the name of a segment and the checksum of its voxels as this package wrote them


def create_segmentation(volume_node: Any, name: str | None = None) -> Any:
    """A new, empty vtkMRMLSegmentationNode on the grid of `volume_node` and under the same transform."""
    name = name or f"{volume_node.GetName()} segmentation"
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", slicer.mrmlScene.GenerateUniqueName(name))
    node.CreateDefaultDisplayNodes()
    place_segmentation(node, volume_node)
    return node


def belongs_to(segmentation_node: Any, volume_node: Any) -> bool:
    """Whether a segmentation takes segments of a volume: it is empty, or has no other volume as its geometry."""
    role = segmentation_node.GetReferenceImageGeometryReferenceRole()
    is_empty = segmentation_node.GetSegmentation().GetNumberOfSegments() == 0
    return is_empty or segmentation_node.GetNodeReferenceID(role) in (None, volume_node.GetID())


def segmentation_for(volume_node: Any, chosen: Any = None) -> Any:
    """The segmentation node ``chosen`` if it can take segments of the volume, else a new one on the volume's grid."""
    usable = chosen is not None and belongs_to(chosen, volume_node) and _is_reachable(chosen, volume_node)
    return chosen if usable else create_segmentation(volume_node)


def check_target(segmentation_node: Any, volume_node: Any) -> None:
    """Refuse a segmentation that no segment of a volume can be written into.

    Raises:
        InputError: it is of another volume, holds surfaces, or one of two different transforms is not linear.
    """
    name = segmentation_node.GetName()
    if not belongs_to(segmentation_node, volume_node):
        raise InputError(f"{name} is not of {volume_node.GetName()}; choose another segmentation or make a new one.")
    segmentation = segmentation_node.GetSegmentation()
    if segmentation.GetNumberOfSegments():
        if segmentation.GetSourceRepresentationName() != _binary():
            raise InputError(f"{name} holds surfaces; choose another segmentation.")
        if not _is_reachable(segmentation_node, volume_node):
            raise InputError(
                f"{name} and {volume_node.GetName()} are not under the same transform, and not all are linear; choose "
                "another segmentation or make a new one."
            )


def place_segmentation(segmentation_node: Any, volume_node: Any) -> np.ndarray:
    """Move an empty segmentation node to the grid and under the transform of a volume; one with segments stays.

    Returns:
        (4, 4) float64, IJK of the volume to the segmentation's own RAS.

    Raises:
        InputError: what `check_target` refuses.
    """
    check_target(segmentation_node, volume_node)  # before anything changes
    segmentation = segmentation_node.GetSegmentation()
    if segmentation.GetNumberOfSegments() == 0:
        segmentation_node.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())
        segmentation_node.SetReferenceImageGeometryParameterFromVolumeNode(volume_node)
        segmentation.SetSourceRepresentationName(_binary())
    if segmentation_node.GetTransformNodeID() == volume_node.GetTransformNodeID():
        return ijk_to_ras(volume_node)  # exact: no product with an inverse
    return np.linalg.solve(to_engine(segmentation_node), to_engine(volume_node) @ ijk_to_ras(volume_node))


def write_segment(
    segmentation_node: Any,
    volume_node: Any,
    mask: np.ndarray,
    name: str,
    *,
    segment_id: str | None = None,
    colour: Sequence[float] | None = None,
    provenance: Provenance | None = None,
) -> str:
    """Add a segment, or replace the voxels of one; the other segments are not touched.

    A new segment gets the coded meaning and colour of 3D Slicer's terminology where `name` is in it. A
    replaced one keeps its name, colour and meaning, which the user may have changed.

    Args:
        segmentation_node: vtkMRMLSegmentationNode. While it has no segments, it is moved to the grid and
            under the transform of the volume; afterwards it stays where it is.
        volume_node: the volume that `mask` belongs to.
        mask: (K, J, I) bool; all False makes an empty segment.
        name: of a new segment; a number is appended where another segment has that name.
        segment_id: of the segment to replace, None to add one.
        colour: r, g, b in 0..1 of a new segment; None leaves it to the terminology.
        provenance: put into the tags of the segment.

    Returns:
        The ID of the segment.

    Raises:
        InputError: the mask has not the volume's shape, there is no such segment, or what `check_target` refuses.
    """
    shape = volume_node.GetImageData().GetDimensions()[::-1]
    if mask.shape != shape:
        raise InputError(
            f"The mask has the shape {mask.shape} and {volume_node.GetName()} {shape}; make it of that volume."
        )
    labelmap = make_labelmap(place_segmentation(segmentation_node, volume_node), mask)
    untouched = True
    segmentation = segmentation_node.GetSegmentation()
    if segment_id is None:
        segment = _new_segment(segmentation, name)
        segment.AddRepresentation(_binary(), labelmap)
        if colour is not None:
            _paint(segment, colour)
    else:
        segment = _segment(segmentation_node, segment_id)
        untouched = is_as_written(segment)
        had_surfaces = segmentation.ContainsRepresentation(_surface())
        _replace_labelmap(segmentation, segment_id, labelmap)
        if had_surfaces:
            segmentation.CreateRepresentation(_surface(), True)
    if provenance is not None:
        write_provenance(segment, provenance)
        if untouched:  # else it stays the user's, whom no run may overwrite
            segment.SetTag(_WRITTEN, _state(segment))
    if segment_id is None:
        segmentation.AddSegment(segment)
    return str(segmentation.GetSegmentIdBySegment(segment))


def colour_segment(segmentation_node: Any, name: str, colour: Sequence[float]) -> None:
    """Gives the segment that a result of the name ``name`` made, if there is one, a colour: r, g, b in 0..1."""
    segment_id = find_segment(segmentation_node, name)
    if segment_id is not None:
        _paint(_segment(segmentation_node, segment_id), colour)


def read_segment(segmentation_node: Any, volume_node: Any, segment_id: str) -> np.ndarray:
    """(K, J, I) bool: the voxels of `volume_node` that a segment covers, resampled where grids differ.

    Raises:
        InputError: there is no such segment.
    """
    segment = _segment(segmentation_node, segment_id)
    labelmap = segment.GetRepresentation(_binary())
    if labelmap is not None and not (labelmap_array(labelmap) == segment.GetLabelValue()).any():
        # 3D Slicer fails to resample what has no voxels, where it is away from the corner of its image.
        return np.zeros(volume_node.GetImageData().GetDimensions()[::-1], bool)
    array = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation_node, segment_id, volume_node)
    return array.astype(bool)


def find_segment(segmentation_node: Any, name: str, *, changed_too: bool = False) -> str | None:
    """ID of the segment which this package made for the prompt `name` and nobody changed since; else None.

    A segment which the user drew, painted on, renamed or copied is never found, so that a run cannot replace it.

    Args:
        changed_too: find one that was painted on, too, for a slice that the user adds to it.
    """
    segmentation = segmentation_node.GetSegmentation()
    painted = None
    for index in range(segmentation.GetNumberOfSegments()):
        segment, segment_id = segmentation.GetNthSegment(index), str(segmentation.GetNthSegmentID(index))
        provenance = read_provenance(segment)
        if provenance is None or provenance.prompt.name.casefold() != name.casefold():
            continue
        if is_as_written(segment):
            return segment_id
        if segment.GetName().casefold() == name.casefold():
            painted = painted or segment_id
    return painted if changed_too else None


def is_as_written(segment: Any) -> bool:
    """Whether nobody has painted on a segment, renamed or copied it since this package wrote it."""
    return read_tag(segment, _WRITTEN) == _state(segment)


def _is_reachable(segmentation_node: Any, volume_node: Any) -> bool:
    """Whether the voxels of a volume are those of a segmentation but for a matrix; an empty one is moved to them."""
    return segmentation_node.GetSegmentation().GetNumberOfSegments() == 0 or same_place(segmentation_node, volume_node)


def _state(segment: Any) -> str:
    """What a user may change of a segment, as a text for its tag: in ASCII, without the "|" that separates tags."""
    voxels = fingerprint(segment.GetRepresentation(_binary()), segment.GetLabelValue())
    return json.dumps([segment.GetName(), voxels]).replace("|", "\\u007c")


def _binary() -> str:
    return slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName()


def _segment(segmentation_node: Any, segment_id: str) -> Any:
    segment = segmentation_node.GetSegmentation().GetSegment(segment_id)
    if segment is None:
        raise InputError(f"{segmentation_node.GetName()} has no segment {segment_id}; choose another.")
    return segment


def _new_segment(segmentation: Any, name: str) -> Any:
    taken = {segmentation.GetNthSegment(i).GetName() for i in range(segmentation.GetNumberOfSegments())}
    names = (name if number == 1 else f"{name} {number}" for number in range(1, len(taken) + 2))
    segment = slicer.vtkSegment()
    segment.SetName(next(free for free in names if free not in taken))
    segment.SetNameAutoGenerated(False)
    term = find_term(name)
    if term is not None:
        segment.SetTag(segment.GetTerminologyEntryTagName(), term.entry)
        if term.colour is not None:
            _paint(segment, term.colour)
    return segment


def _paint(segment: Any, colour: Sequence[float]) -> None:
    segment.SetColor(*colour)
    segment.SetColorAutoGenerated(False)


def _replace_labelmap(segmentation: Any, segment_id: str, labelmap: Any) -> None:
    """Give a segment a label map of its own; 3D surfaces, which it makes out of date, are lost."""
    segment = segmentation.GetSegment(segment_id)
    segmentation.SeparateSegmentLabelmap(segment_id)
    segment.SetLabelValue(1)
    segment.AddRepresentation(_binary(), labelmap)
    segment.Modified()


def _surface() -> str:
    return slicer.vtkSegmentationConverter.GetClosedSurfaceRepresentationName()
