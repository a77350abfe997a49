"""Paths that VTK and ITK can be given: they take text in UTF-8 only; and parts of file names made from prompts."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from unicodedata import normalize

from ..engine.errors import InputError

_LONGEST = 60  # bytes; names of files may have 255


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


def safe_names(names: Iterable[str]) -> tuple[str, ...]:
    """Parts of file names for texts: lower-case letters and digits of any script, hyphens, short, each another."""
    made: list[str] = []
    for name in names:
        plain = re.sub(r"[\W_]+", "-", normalize("NFC", name).casefold())
        plain = plain.encode()[:_LONGEST].decode(errors="ignore").strip("-") or "segment"
        numbered = (plain if number == 1 else f"{plain}-{number}" for number in range(1, len(made) + 2))
        made.append(next(part for part in numbered if part not in made))
    return tuple(made)
