"""Slices that a person accepted survive the next run; parts of a cancelled run are kept; all of it can be undone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import slicer

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.engine.prompt.prompt import Prompt
from MedCLIPSAMLib.engine.session.evidence import SegmentEvidence, SliceEvidence
from MedCLIPSAMLib.engine.session.session import Session
from MedCLIPSAMLib.engine.session.settings import Settings
from MedCLIPSAMLib.engine.volume import Window
from MedCLIPSAMLib.scene.segmentation.provenance import read_provenance
from MedCLIPSAMLib.scene.segmentation.results import Chain, Target
from MedCLIPSAMLib.scene.segmentation.segments import create_segmentation, read_segment
from MedCLIPSAMLib.scene.volumes import volume_from_node

from ...engine.fakes import GreyClip, GreySegmenter

BRIGHT = Prompt("bar", ("bright",))
BOX = np.array([[18.0, 22, 30, 36]])


@pytest.fixture(params=["acquisition", "coronal"])
def session(request) -> Session:
    array = np.zeros((24, 64, 64), np.int16)
    array[:, 6:58, 6:58] = 80
    array[6:18, 20:40, 16:36] = 200
    node = slicer.util.addVolumeFromArray(array, np.diag([-2.0, -2, 3, 1]), "bar")
    settings = Settings(window=Window(0, 255), axis=request.param)
    return Session(volume_from_node(node, "other"), GreyClip(), GreySegmenter(), settings)


@pytest.fixture
def target(session) -> Target:
    (node,) = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    return Target(create_segmentation(node), node, session.stack)


def voxels(target: Target, segment_id: str) -> np.ndarray:
    """In the order of the stack."""
    return target.stack.arrange(read_segment(target.segmentation_node, target.volume_node, segment_id))


def provenance(target: Target, segment_id: str) -> Any:
    return read_provenance(target.segmentation_node.GetSegmentation().GetSegment(segment_id))


def found(session: Session) -> tuple[SegmentEvidence, int]:
    """A run, and a slice in the middle of what it found."""
    evidence = session.segment(BRIGHT)
    numbers = [part.index for part in evidence.slices if part.found]
    return evidence, numbers[len(numbers) // 2]


def corrected(session: Session, index: int) -> SliceEvidence:
    evidence = session.edit(index, BRIGHT, BOX)
    session.forget_edits(BRIGHT)
    return evidence


def test_an_accepted_slice_survives_the_next_run(session, target):
    evidence, index = found(session)
    chain = Chain.of(session)
    first = target.write_run(BRIGHT, evidence, chain)
    correction = corrected(session, index)
    assert target.accept(BRIGHT, correction, chain) == first
    changed = voxels(target, first)
    assert np.array_equal(changed[index], correction.mask)
    assert not np.array_equal(changed[index], target.stack.arrange(evidence.mask)[index])
    assert provenance(target, first).edited == (index,)
    assert target.write_run(BRIGHT, evidence, chain, kept=(index,)) == first
    again = voxels(target, first)
    assert np.array_equal(again[index], correction.mask)
    others = np.arange(len(again)) != index
    assert np.array_equal(again[others], target.stack.arrange(evidence.mask)[others])
    told = provenance(target, first)
    assert (told.edited, told.slices_found, told.found) == ((index,), sum(p.found for p in evidence.slices), True)


def test_a_slice_can_be_accepted_before_any_run(session, target):
    _, index = found(session)
    correction = corrected(session, index)
    segment_id = target.accept(BRIGHT, correction, Chain.of(session))
    assert voxels(target, segment_id).sum() == correction.mask.sum()
    told = provenance(target, segment_id)
    assert (told.found, told.edited, told.slices_searched) == (correction.found, (index,), 0)
    assert [model.name for model in told.models] == ["grey", "grey"]


def test_a_part_of_a_cancelled_run_replaces_no_other_slices(session, target):
    evidence, index = found(session)
    chain = Chain.of(session)
    segment_id = target.write_run(BRIGHT, evidence, chain)
    part = np.zeros(evidence.mask.shape, bool)
    target.stack.arrange(part)[index] = True
    assert target.write_part(BRIGHT, part, [index], chain) == segment_id
    after, before = voxels(target, segment_id), target.stack.arrange(evidence.mask)
    assert after[index].all()
    others = np.arange(len(after)) != index
    assert np.array_equal(after[others], before[others])
    told = provenance(target, segment_id)
    assert told.settings["cancelled"] is True
    assert told.searched == (index, index)
    assert told.slices_kept == sum(part.found for part in evidence.slices) - 1


def test_what_a_user_painted_is_not_replaced(session, target):
    evidence, index = found(session)
    chain = Chain.of(session)
    first = target.write_run(BRIGHT, evidence, chain)
    painted = np.ones(evidence.mask.shape, np.uint8)
    slicer.util.updateSegmentBinaryLabelmapFromArray(painted, target.segmentation_node, first, target.volume_node)
    second = target.write_run(BRIGHT, evidence, chain)
    assert second != first
    assert voxels(target, first).all()
    assert target.accept(BRIGHT, corrected(session, index), chain) == second


def test_every_result_is_one_step_of_the_history(session, target):
    evidence, index = found(session)
    chain = Chain.of(session)
    history = slicer.vtkSegmentationHistory()
    history.SetSegmentation(target.segmentation_node.GetSegmentation())
    history.SaveState()
    segment_id = target.write_run(BRIGHT, evidence, chain)
    history.SaveState()
    target.accept(BRIGHT, corrected(session, index), chain)
    edited = voxels(target, segment_id).copy()
    history.RestorePreviousState()
    assert np.array_equal(voxels(target, segment_id), target.stack.arrange(evidence.mask))
    history.RestorePreviousState()
    assert target.segmentation_node.GetSegmentation().GetNumberOfSegments() == 0
    history.RestoreNextState()
    history.RestoreNextState()
    assert np.array_equal(voxels(target, segment_id), edited)
    assert target.write_run(BRIGHT, evidence, chain) == segment_id, "what came back is still known as ours"


@pytest.mark.parametrize("which", ["volume_node", "segmentation_node"])
def test_a_node_that_is_gone_is_told(session, target, which):
    evidence, _ = found(session)
    slicer.mrmlScene.RemoveNode(getattr(target, which))
    with pytest.raises(InputError, match="removed from the scene"):
        target.write_run(BRIGHT, evidence, Chain.of(session))
