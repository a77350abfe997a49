"""A long day: 1,000 previews and edits, after which nothing has grown."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import psutil
import pytest

from MedCLIPSAMLib.engine.clip.registry import load_clip
from MedCLIPSAMLib.engine.prompt.prompt import Prompt
from MedCLIPSAMLib.engine.sam.registry import load_segmenter
from MedCLIPSAMLib.engine.session.session import Session
from MedCLIPSAMLib.engine.volume import Volume

from ..engine.bars import BRIGHT, session, two_bars
from ..samples import ABDOMEN_MM, abdomen_slice

TIMES = [200, pytest.param(1000, marks=pytest.mark.slow)]
GROWTH = 24 << 20  # bytes that Python's and PyTorch's allocators may keep for later


def grown(once: Callable[[int], Any], times: int) -> tuple[int, int]:
    """Bytes of memory and open files that were added by ``once``, after a fifth of the times to get warm."""
    this = psutil.Process()
    for number in range(times // 5):
        once(number)
    gc.collect()
    memory, files = this.memory_info().rss, this.num_fds()
    for number in range(times):
        once(number)
    gc.collect()
    return this.memory_info().rss - memory, this.num_fds() - files


def look_and_drag(chain: Session, prompt: Prompt, number: int) -> None:
    index = number % len(chain.stack)
    seen = chain.preview(index, prompt)
    box = np.array([[20.0 + number % 7, 30, 42, 60]])
    edited = chain.edit(index, prompt, boxes=box, points=[(30, 40, True)])
    assert edited.edited
    assert np.array_equal(chain.preview(index, prompt).mask, seen.mask), "the same answers"
    if number % 50 == 49:
        chain.forget_edits(prompt)


@pytest.mark.row("soak")
@pytest.mark.parametrize("times", TIMES)
def test_previews_and_edits(times: int) -> None:
    chain = session(two_bars()[0])
    memory, files = grown(lambda number: look_and_drag(chain, BRIGHT, number), times)
    assert memory < GROWTH
    assert files <= 0


@pytest.mark.row("soak")
def test_sessions_opened_one_after_another() -> None:
    volume = two_bars()[0]
    memory, files = grown(lambda number: look_and_drag(session(volume), BRIGHT, number), 50)
    assert memory < GROWTH
    assert files <= 0


@pytest.mark.row("soak")
@pytest.mark.slow
def test_the_built_in_models() -> None:
    array = np.stack([abdomen_slice()] * 8)
    volume = Volume(array, np.diag([-ABDOMEN_MM, -ABDOMEN_MM, 5.0, 1.0]), "CT", "abdomen")
    chain = Session(volume, load_clip("quickstart"), load_segmenter("lite-medsam"))
    memory, files = grown(lambda number: look_and_drag(chain, Prompt("liver", ("liver",)), number), 1000)
    assert memory < GROWTH
    assert files <= 0
