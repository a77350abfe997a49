"""Peak memory of one prompt on a volume of N slices in a precision, told as JSON; in a process of its own."""

from __future__ import annotations

import json
import sys

from MedCLIPSAMLib.cli.comparison.judging import PeakMemory
from MedCLIPSAMLib.engine.clip.registry import load_clip
from MedCLIPSAMLib.engine.machine.allocation import keep_freed_memory
from MedCLIPSAMLib.engine.prompt.prompt import Prompt
from MedCLIPSAMLib.engine.sam.registry import load_segmenter
from MedCLIPSAMLib.engine.session.session import Session
from MedCLIPSAMLib.engine.session.settings import Settings

from .materials import large_volume


def main() -> None:
    keep_freed_memory()  # as the command line does
    clip, segmenter = load_clip("quickstart", "cpu"), load_segmenter("lite-medsam", "cpu")
    settings = Settings(precision=sys.argv[2])
    Session(large_volume(2)[0], clip, segmenter, settings).segment(Prompt("brain", ("brain",)))
    memory = PeakMemory()
    volume, text = large_volume(int(sys.argv[1]))
    with memory.watched():
        Session(volume, clip, segmenter, settings).segment(Prompt(text, (text,)))
    print(json.dumps({"gigabytes": memory.mebibytes * 2**20 / 1e9, "volume": volume.array.nbytes / 1e9}))


if __name__ == "__main__":
    main()
