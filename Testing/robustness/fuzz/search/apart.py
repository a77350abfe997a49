"""Reads a file in a copy of the process: what once ended or held the process fails a test, and no more."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable

_LONGEST = 20.0  # seconds


def apart(read: Callable[[], object]) -> str:
    """What `read` raises, as its type and text; "" if it raises nothing; else how the process ended."""
    reading, writing = os.pipe()
    process = os.fork()
    if not process:
        try:
            read()
            said = ""
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(writing, f"\n{said}".encode("utf-8", "backslashreplace")[:4000])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        answered, _, _ = select.select([told], [], [], _LONGEST)
        if not answered:
            os.kill(process, signal.SIGKILL)
        said = told.read().decode()
    _, status = os.waitpid(process, 0)
    return said[1:] if said else f"it ended with {status}" if answered else "it hung"
