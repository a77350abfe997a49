"""`python -m MedCLIPSAMLib.engine.worker FOLDER`: answers the requests on standard input; see `EngineProcess`."""

from __future__ import annotations

import faulthandler
import logging
import os
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from .messages import ALIVE, IDENTITY

_HEARTBEAT_S = 0.5
_NICE = 10


def main(folder: str) -> None:
    """Serves until standard input ends, then removes the folder: whoever made it may be gone."""
    faulthandler.enable()  # a crash is told in the log; who is killed from outside has no time to
    identity = Path(folder) / IDENTITY
    unfinished = identity.with_suffix(".tmp")
    unfinished.write_text(str(os.getpid()))
    unfinished.replace(identity)
    try:
        _serve(folder)
    finally:
        identity.unlink(missing_ok=True)


def _serve(folder: str) -> None:
    beat = threading.Thread(target=_show_life, args=(Path(folder) / ALIVE,), daemon=True)
    beat.start()  # before PyTorch is imported, which may take ten seconds
    logging.basicConfig(level=logging.WARNING)
    # The window comes first, where there are no more cores than the models use.
    psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS if sys.platform == "win32" else _NICE)
    from ..machine.allocation import keep_freed_memory
    from .serving import Server

    keep_freed_memory()
    try:
        Server(Path(folder), sys.stdin.buffer, _load).run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _load(clip: str, segmenter: str, device: str) -> tuple[Any, Any]:
    from ..clip.registry import load_clip
    from ..sam.registry import load_segmenter

    return load_clip(clip, device), load_segmenter(segmenter, device)


def _show_life(path: Path) -> None:
    while path.parent.exists():
        path.touch()
        time.sleep(_HEARTBEAT_S)


if __name__ == "__main__":
    main(sys.argv[1])
