"""A measurement, with an engine that says what the test lets it say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from MedCLIPSAMLib.engine.prompt.prompt import Prompt
from MedCLIPSAMLib.engine.session.evidence import Progress
from MedCLIPSAMLib.engine.volume.block import Block
from MedCLIPSAMLib.engine.worker.messages import Doubt, Doubted, Failure

from ..test_volume_run import Engine

BLOCK = Block.of(np.ones((2, 3, 4), np.uint8))


class Case:
    """A measurement that has just begun, and what it has told."""

    def __init__(self) -> None:
        from MedCLIPSAMLib.panel.review.measuring import Listener, Measurement

        self.engine, self.told = Engine(), []
        listener = Listener(lambda progress, left: self.told.append((progress.done, left)), self.told.append)
        engine: Any = self.engine
        self.measurement = Measurement(engine, Doubt(Prompt("bar", ("bright",)), BLOCK, ()), listener)


@pytest.fixture
def case(app) -> Case:
    return Case()


def test_it_tells_how_far_it_is_and_what_came(case):
    answer = Doubted(BLOCK, ((1, 0.5),))
    case.engine.say(Progress("bar", "uncertainty", 0, 4), Progress("bar", "uncertainty", 2, 4))
    assert case.measurement.running
    assert case.told[0] == (0, None)
    assert case.told[1][1] > 0
    case.engine.say(answer)
    assert case.told[2:] == [answer]
    assert not case.measurement.running
    case.measurement.cancel()
    assert not case.engine.cancelled, "there is nothing to cancel"


def test_a_failure_ends_it_with_its_sentence(case):
    case.engine.say(Failure("The engine was ended.", dead=True))
    assert case.told == ["The engine was ended."]
    assert not case.measurement.running


def test_the_engine_is_told_of_a_cancellation_once(case):
    case.measurement.cancel()
    case.measurement.cancel()
    assert case.engine.cancelled == [0]
    assert not case.measurement.running
