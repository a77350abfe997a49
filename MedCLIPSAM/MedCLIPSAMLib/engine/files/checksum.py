"""Files are known by their checksum."""

from __future__ import annotations

import hashlib
from pathlib import Path

_CHUNK = 1 << 20


def sha256(*paths: str | Path) -> str:
    """SHA-256 in hexadecimal of the bytes of a file, or of several one after another."""
    digest = hashlib.sha256()
    for path in paths:
        with Path(path).open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    return digest.hexdigest()
