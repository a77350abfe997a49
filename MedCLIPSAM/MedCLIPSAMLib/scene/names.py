"""Paths that VTK and ITK can be given: they take text in UTF-8 only."""

from __future__ import annotations

import os
from pathlib import Path

from ..engine.errors import InputError


def check_name(path: Path) -> None:
    """Refuse a path with other bytes, as old drives and zip files leave them on Linux.

    Raises:
        InputError: it has such bytes.
    """
    name = os.fsencode(path)
    try:
        name.decode()
    except UnicodeDecodeError:
        shown = name.decode("utf-8", "backslashreplace")
        raise InputError(f"{shown} has letters in its name that are not written in UTF-8; rename it.") from None
