"""A run over the volume, with an engine that says what the test lets it say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from MedCLIPSAMLib.engine.prompt.prompt import Prompt
from MedCLIPSAMLib.engine.session.evidence import Progress, SegmentEvidence
from MedCLIPSAMLib.engine.session.session import Session
from MedCLIPSAMLib.engine.session.settings import Settings
from MedCLIPSAMLib.engine.volume import Window
from MedCLIPSAMLib.engine.worker.messages import Drawn, Failure

from ..engine.fakes import GreyClip, GreySegmenter

RED = (1.0, 0.0, 0.0)


class Engine:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, Any]] = []
        self.cancelled: list[int] = []

    def ask(self, request: Any, heard: Any) -> int:
        self.asked.append((request, heard))
        return len(self.asked) - 1

    def cancel(self, number: int) -> None:
        self.cancelled.append(number)

    def say(self, *answers: Any) -> None:
        for answer in answers:
            self.asked[-1][1](answer)


class Stage:
    """A volume with two bars, "bright" and "white", a session on it, and a run that is listened to."""

    def __init__(self) -> None:
        import slicer

        from MedCLIPSAMLib.panel.volume_run import Job, Listener, VolumeRun
        from MedCLIPSAMLib.scene.segmentation.results import Chain, Target
        from MedCLIPSAMLib.scene.segmentation.segments import create_segmentation
        from MedCLIPSAMLib.scene.volumes import volume_from_node

        array = np.zeros((12, 64, 64), np.int16)
        array[:, 6:58, 6:58] = 80
        array[3:9, 20:40, 16:28] = 200
        array[3:9, 20:40, 40:52] = 250
        self.node = slicer.util.addVolumeFromArray(array, np.diag([-2.0, -2, 3, 1]), "bars")
        self.session = Session(
            volume_from_node(self.node, "other"), GreyClip(), GreySegmenter(), Settings(window=Window(0, 255))
        )
        self.segmentation_node = create_segmentation(self.node)
        self.target = Target(self.segmentation_node, self.node, self.session.stack)
        self.engine, self.heard = Engine(), []
        jobs = [
            Job("first", Prompt("bright bar", ("bright",)), RED),
            Job("second", Prompt("white bar", ("white",)), RED),
        ]
        listener = Listener(
            lambda: self.heard.append("before writing"),
            lambda progress, left: self.heard.append((progress.number, progress.step.done, left is not None)),
            lambda key, evidence, edited: self.heard.append((key, evidence.found, edited)),
            lambda sentence: self.heard.append(sentence),
        )
        engine: Any = self.engine
        chain = Chain.of(self.session)
        self.run = VolumeRun(engine, self.target, jobs, range(12), None, lambda: chain, listener)

    def evidence(self, text: str) -> SegmentEvidence:
        return self.session.segment(Prompt(f"{text} bar", (text,)))

    def voxels(self, segment_id: str) -> np.ndarray:
        from MedCLIPSAMLib.scene.segmentation.segments import read_segment

        return read_segment(self.segmentation_node, self.node, segment_id)

    @property
    def ids(self) -> list[str]:
        return list(self.segmentation_node.GetSegmentation().GetSegmentIDs())

    @property
    def live(self) -> list[Any]:
        import slicer

        nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
        return [node for node in nodes if node is not self.segmentation_node]


@pytest.fixture
def stage(app) -> Stage:
    return Stage()


def test_prompts_are_run_one_after_the_other_and_each_is_written(stage):
    run, engine = stage.run, stage.engine
    run.start()
    assert [request.prompt.name for request, _ in engine.asked] == ["bright bar"]
    assert (engine.asked[0][0].first, engine.asked[0][0].last) == (0, 11)
    assert [prompt.name for prompt in engine.asked[0][0].later] == ["white bar"], "so that its texts are read first"
    evidence = stage.evidence("bright")
    engine.say(Progress("bright bar", "mask", 3, 6), Drawn(3, evidence.mask[3]), evidence)
    assert [request.prompt.name for request, _ in engine.asked] == ["bright bar", "white bar"]
    assert run.running
    first = stage.ids[0]
    assert np.array_equal(stage.voxels(first), evidence.mask)
    engine.say(stage.evidence("white"))
    assert not run.running
    assert stage.heard == [
        (1, 3, True),
        "before writing",
        ("first", True, ()),
        ("second", True, ()),
        None,
    ]
    assert not stage.live, "nothing stays of the preview"


def test_the_mask_is_seen_while_it_grows(stage):
    import slicer

    stage.run.start()
    mask = np.zeros((64, 64), bool)
    mask[10:20, 10:20] = True
    stage.engine.say(Drawn(4, mask))
    (live,) = stage.live
    shown = slicer.util.arrayFromSegmentBinaryLabelmap(live, "live", stage.node)
    assert shown[4].sum() == 100
    assert not stage.ids, "the user's segmentation is not touched yet"
    stage.run.stop()
    assert not stage.live


@pytest.mark.parametrize("kept", [True, False])
def test_a_cancelled_run_keeps_its_part_or_not(stage, kept):
    run, engine = stage.run, stage.engine
    run.start()
    engine.say(stage.evidence("bright"))
    evidence = stage.evidence("white")
    engine.say(*(Drawn(index, evidence.mask[index]) for index in (3, 4, 5)))
    run.cancel()
    assert engine.cancelled == [1]
    assert not run.running
    assert run.partial == 3
    assert run.job.key == "second"
    if kept:
        run.keep_part()
        voxels = stage.voxels(stage.ids[1])
        assert np.array_equal(np.flatnonzero(voxels.any((1, 2))), [3, 4, 5])
    else:
        run.discard_part()
        assert len(stage.ids) == 1, "what was finished before stays"
    assert not stage.live
    assert stage.heard.count("before writing") == 1, "one step of undo for the whole run"


def test_a_failure_ends_the_run_with_its_sentence(stage):
    stage.run.start()
    stage.engine.say(Drawn(4, np.ones((64, 64), bool)), Failure("The engine was ended.", dead=True))
    assert stage.heard == ["The engine was ended."]
    assert not stage.ids
    assert not stage.live
    assert not stage.run.running


@pytest.mark.parametrize("which", ["node", "segmentation_node"])
def test_a_node_that_goes_meanwhile_ends_the_run(stage, which):
    import slicer

    stage.run.start()
    evidence = stage.evidence("bright")
    slicer.mrmlScene.RemoveNode(getattr(stage, which))
    stage.engine.say(evidence)
    (sentence,) = stage.heard
    assert "was removed from the scene" in sentence
    assert len(stage.engine.asked) == 1


def test_a_run_outlives_the_scene(stage):
    import slicer

    stage.run.start()
    slicer.mrmlScene.Clear()
    stage.engine.say(Drawn(4, np.ones((64, 64), bool)))
    stage.run.stop()
    assert stage.engine.cancelled == [0]
