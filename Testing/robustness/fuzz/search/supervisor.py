"""Runs the reading of damaged files in processes of their own, so that a crash is found and does not end the search."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from ..damaged.images import Case
from .targets import make_case, target_of

ROOT = Path(__file__).resolve().parents[4]
IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # where files are written and read fastest
_HANG = 60.0  # seconds for one file; on a busy computer a process has to wait for its turn
_START = 120.0  # seconds for a process to begin
_AT_ONCE = 4000  # files of one process: native readers leak


@dataclass
class Found:
    """What a search came to.

    Attributes:
        outcomes: how many files were read, refused, or found a fault.
        faults: what was found, and how often; the input of the first of a kind is kept.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    @property
    def tried(self) -> int:
        return self.outcomes.total()


def environment() -> dict[str, str]:
    """For processes that read: the package and the tests can be imported."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "MedCLIPSAM"), str(ROOT)])}


def enough(targets: str) -> int:
    """Bytes of address space that a file of some kilobytes may take."""
    # pydicom asks for as much as an element claims, 4 GiB at most, and takes what there is.
    return (5 if "dicom" in targets else 1) << 30


def address_space() -> int:
    """Bytes of address space that this process had at most; 0 where that is not told."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmPeak")), 0)


def search(targets: str, seed: int, *, seconds: float, inputs: int = sys.maxsize, kept: Path | None = None) -> Found:
    """Reads damaged files until the time or their number is over; inputs of faults go to ``kept``."""
    found, first = Found(), 0
    end = time.monotonic() + seconds
    while first < inputs and time.monotonic() < end:
        with TemporaryDirectory(dir=IN_MEMORY) as room:
            last = min(inputs, first + _AT_ONCE)
            for number, outcome, said in _process(targets, seed, first, last, end - time.monotonic(), Path(room)):
                first = number + 1
                found.outcomes[outcome] += 1
                if outcome == "fault":
                    if said not in found.faults and kept is not None:
                        _keep(
                            kept / f"{target_of(targets, number)}-{seed}-{number}",
                            make_case(targets, seed, number),
                            said,
                        )
                    found.faults[said] += 1
    return found


def _process(
    targets: str, seed: int, first: int, last: int, seconds: float, room: Path
) -> Iterator[tuple[int, str, str]]:
    """Number, outcome and what is said of each file that one process reads, its death included."""
    reading, writing = os.pipe()
    arguments = (targets, seed, first, last, seconds, room / "files", writing)
    with (room / "errors").open("w+b") as errors, open(reading, "rb", buffering=0) as told:  # noqa: PTH123
        process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.worker", *map(str, arguments)],
            cwd=ROOT,
            env=environment(),
            pass_fds=(writing,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
        os.close(writing)
        waiting, begun, lines = _START, first, b""
        try:
            while True:
                ready, _, _ = select.select([told], [], [], waiting)
                if not ready:
                    yield begun, "fault", f"hang: no answer in {waiting:.0f} s"
                    return
                chunk = told.read(1 << 16)
                if not chunk:
                    break
                *whole, lines = (lines + chunk).split(b"\n")
                for line in whole:
                    begun, outcome, said = json.loads(line)
                    waiting = _HANG
                    if outcome != "begun":
                        yield begun, outcome, said
            if process.wait():
                errors.seek(0)
                yield begun, "fault", _death(process.returncode, errors.read().decode("utf-8", "replace"))
        finally:
            process.kill()
            process.wait()


def _death(code: int, errors: str) -> str:
    """The end of a process in a few words that are the same for the same fault."""
    places = re.findall(r'(\w+\.py)", line (\d+) in (\w+)', errors)
    return f"the process died ({code}): {' < '.join(':'.join(place) for place in places[:3]) or errors[-300:]}"


def _keep(place: Path, case: Case, said: str) -> None:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    case.write(place)
    (place / "fault.txt").write_text(f"{said}\n", "utf-8")
