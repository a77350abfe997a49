"""Peak memory of one prompt on a volume of N slices in a precision, told as JSON; in a process of its own."""

from __future__ import annotations

import json
import sys
import threading

import psutil

from MedCLIPSAMLib.engine.clip.registry import load_clip
from MedCLIPSAMLib.engine.machine.allocation import keep_freed_memory
from MedCLIPSAMLib.engine.prompt.prompt import Prompt
from MedCLIPSAMLib.engine.sam.registry import load_segmenter
from MedCLIPSAMLib.engine.session.session import Session
from MedCLIPSAMLib.engine.session.settings import Settings

from .materials import large_volume


def main() -> None:
    keep_freed_memory()  # as the command line does
    process, done, peak = psutil.Process(), threading.Event(), 0
    clip, segmenter = load_clip("quickstart", "cpu"), load_segmenter("lite-medsam", "cpu")
    settings = Settings(precision=sys.argv[2])
    Session(large_volume(2)[0], clip, segmenter, settings).segment(Prompt("brain", ("brain",)))
    models = process.memory_info().rss
    volume, text = large_volume(int(sys.argv[1]))

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.02):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    Session(volume, clip, segmenter, settings).segment(Prompt(text, (text,)))
    done.set()
    watcher.join()
    print(json.dumps({"gigabytes": (peak - models) / 1e9, "volume": volume.array.nbytes / 1e9}))


if __name__ == "__main__":
    main()
