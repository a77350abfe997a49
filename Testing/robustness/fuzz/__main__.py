"""Looks for files that break a reader: python -m Testing.robustness.fuzz TARGET --seconds N, or all for TARGET."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from .search.guided import PYTHON, write_seeds
from .search.supervisor import IN_MEMORY, ROOT, Found, environment, search
from .search.targets import NATIVE

_KEPT = Path("output/fuzz")


def main(
    target: Annotated[str, typer.Argument(help=f"One of {', '.join((*PYTHON, *NATIVE))}, or all.")],
    seconds: Annotated[int, typer.Option(min=1, help="Time for each target.")] = 300,
) -> None:
    """Tries inputs for a time and says what was found; the inputs of faults are kept in output/fuzz."""
    if target not in (*PYTHON, *NATIVE, "all"):
        raise typer.BadParameter(f"There is no target '{target}'.")
    clean = True
    for name in (*PYTHON, *NATIVE) if target == "all" else (target,):
        started = time.monotonic()
        if name in NATIVE:
            found = search(name, int(time.time()), seconds=seconds, kept=_KEPT)
        else:
            found = search_python(name, seconds)
        outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(found.outcomes.items()))
        print(f"{name}: {found.tried} inputs in {time.monotonic() - started:.0f} s ({outcomes})", flush=True)
        for fault, count in found.faults.most_common():
            print(f"  {count} x {fault}", flush=True)
        clean = clean and not found.faults
    if not clean:
        print(f"The inputs are in {_KEPT}.")
        raise typer.Exit(1)


def search_python(target: str, seconds: int, inputs: int = -1) -> Found:
    """Until the time is over, so many inputs are tried (-1: any number), or the first fault."""
    found = Found()
    _KEPT.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=IN_MEMORY) as room:
        options = write_seeds(target, Path(room))
        options += [f"-max_total_time={seconds}", f"-runs={inputs}", "-timeout=20", "-print_final_stats=1"]
        options.append("-rss_limit_mb=0")  # libFuzzer counts the most that the process which starts it ever had
        options.append(f"-artifact_prefix={_KEPT.resolve() / target}-")
        ended = subprocess.run(
            [sys.executable, "-m", f"{__package__}.search.guided", target, room, *options],
            cwd=ROOT,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    tried = re.findall(r"stat::number_of_executed_units:\s+(\d+)", ended.stdout)
    found.outcomes["tried"] = int(tried[-1]) if tried else 0
    if ended.returncode:
        found.faults[ended.stdout.partition("Uncaught Python exception")[2][:2000] or ended.stdout[-2000:]] += 1
    return found


if __name__ == "__main__":
    typer.run(main)
