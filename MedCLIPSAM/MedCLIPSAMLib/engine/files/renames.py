"""Names of tensors in one layout of a checkpoint, turned into those of another."""

from __future__ import annotations

import re

Renames = tuple[tuple[str, str], ...]  # regular expressions and their replacements


def renamed(name: str, renames: Renames) -> str:
    """A tensor's name after all ``renames``, one after another."""
    for pattern, replacement in renames:
        name = re.sub(pattern, replacement, name)
    return name
