"""A process that reads damaged files, one after the other, and tells of each before and after: it may die of one."""

from __future__ import annotations

import faulthandler
import json
import os
import shutil
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

from ..checks import check_checkpoint
from .supervisor import address_space, enough
from .targets import make_case, target_of


def _check(target: str) -> Callable[[Path], bool]:
    """What must hold for the files of a target."""
    if target == "checkpoints":
        return check_checkpoint
    from ..images import check_image, check_labels, check_segmentation

    return {"segmentation": check_segmentation, "labels": check_labels}.get(target, check_image)


def run(
    targets: str, seed: int, first: int, last: int, seconds: float, folder: Path, tell: Callable[..., None]
) -> None:
    """Reads the files of the numbers from ``first`` on, each in ``folder``, until ``last`` or the time is over."""
    end = time.monotonic() + seconds
    peak = 0
    for number in range(first, last):
        if time.monotonic() > end:
            break
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        case = make_case(targets, seed, number)
        path = case.write(folder)
        if "pipe" in b"".join(case.files.values()).decode("latin-1"):
            os.mkfifo(folder / "pipe")
        tell(number, "begun")
        try:
            read = _check(target_of(targets, number))(path)
            grown = address_space() - peak if peak else 0
            fault = f"{grown >> 20} MiB of memory" if grown > enough(targets) else ""
        except BaseException as error:
            read, fault = False, f"{type(error).__name__}: {error}\n{_place(error)}"
        peak = max(peak, address_space())
        tell(number, "fault" if fault else "read" if read else "refused", fault)


def _place(error: BaseException) -> str:
    """The last line of ours that it came through."""
    places = []
    trace = error.__traceback__
    while trace:
        code = trace.tb_frame.f_code
        if "MedCLIPSAM" in code.co_filename or "robustness" in code.co_filename:
            places.append(f"{Path(code.co_filename).name}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return " > ".join(places[-3:])


def main() -> None:
    """Arguments: targets, seed, first and last number, seconds, folder, and the descriptor to tell through."""
    targets, seed, first, last, seconds, folder, descriptor = sys.argv[1:]
    faulthandler.enable(os.dup(2))  # readers silence their own
    warnings.simplefilter("ignore")
    if targets != "checkpoints":  # these need no scene
        from MedCLIPSAMLib.scene import host

        host.start()
    with open(int(descriptor), "w", buffering=1) as stream:  # noqa: PTH123  # a descriptor has no path

        def tell(number: int, what: str, said: str = "") -> None:
            stream.write(json.dumps([number, what, said]) + "\n")

        run(targets, int(seed), int(first), int(last), float(seconds), Path(folder), tell)


if __name__ == "__main__":
    main()
