"""`python -m Testing.robustness.ended_at STAGE FAULT ARGUMENTS...`: a command that something happens to at a stage.

The fault is the name of a signal, and the models are stand-ins; or it is "MEMORY": then there is hardly any more.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable
from typing import Any

import psutil

STAGES = (
    "importing",
    "starting",
    "reading",
    "loading models",
    "preparing",
    "saliency",
    "mask",
    "saving",
    "moving",
    "pictures",
)


MEMORY = "MEMORY"
_LEFT = 32 << 20  # bytes


def _happens(fault: str) -> None:
    if fault == MEMORY:
        limit = psutil.Process().memory_info().vms + _LEFT
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    else:
        os.kill(os.getpid(), signal.Signals[fault])


def _then(stage: str, wanted: str, fault: str, call: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(*arguments: Any, **named: Any) -> Any:
        if stage == wanted:
            _happens(fault)
        return call(*arguments, **named)

    return wrapped


def main() -> None:
    stage, fault, *arguments = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in what a shell has put in the background
    if stage == "importing":
        sys.meta_path.insert(0, _Importing(fault))

    from MedCLIPSAMLib import __main__

    if stage != "importing":
        _patch(stage, fault)
    sys.argv = ["medclipsam", *arguments]
    __main__.main()


def _patch(wanted: str, fault: str) -> None:
    from MedCLIPSAMLib.cli import progress
    from MedCLIPSAMLib.engine.clip import registry as clips
    from MedCLIPSAMLib.engine.sam import registry as segmenters
    from MedCLIPSAMLib.engine.session import run
    from MedCLIPSAMLib.scene.files import saving as files

    from ..engine.fakes import GreyClip, GreySegmenter

    if fault != MEMORY:
        clips.load_clip = lambda name, device: GreyClip()  # type: ignore[assignment]
        segmenters.load_segmenter = lambda name, device: GreySegmenter()  # type: ignore[assignment]
    enter, count, batches = progress.Stopwatch.stage, progress.Stopwatch.counted, run.Run.batches

    def stage(self: Any, name: str, announcement: str) -> Any:
        return _then(name, wanted, fault, enter)(self, name, announcement)

    def counted(self: Any, name: str, announcement: str, total: int) -> Any:
        return _then(name, wanted, fault, count)(self, name, announcement, total)

    def in_batches(self: Any, name: str, *others: Any) -> Any:
        return _then(name, wanted, fault, batches)(self, name, *others)

    progress.Stopwatch.stage = stage  # type: ignore[method-assign]
    progress.Stopwatch.counted = counted  # type: ignore[method-assign]
    run.Run.batches = in_batches  # type: ignore[method-assign]
    files.move_into_place = _then("moving", wanted, fault, files.move_into_place)


class _Importing:
    """Lets it happen when the command line is about to be imported."""

    def __init__(self, fault: str) -> None:
        self._fault = fault

    def find_spec(self, name: str, *_: Any) -> None:
        if name == "typer":
            sys.meta_path.remove(self)  # type: ignore[arg-type]
            _happens(self._fault)


if __name__ == "__main__":
    main()
