"""What the repository holds: no file of voxels or weights but those that a list names with their licence."""

from __future__ import annotations

import csv
import subprocess
from collections.abc import Iterable
from fnmatch import fnmatch
from hashlib import sha256
from pathlib import Path

from .conftest import REPOSITORY

LIST = Path(__file__).with_name("binaries.csv")
LARGEST_TEXT = 200_000  # bytes: a longer one may be voxels in letters


def tracked() -> list[Path]:
    """The files that git knows; all of them in an archive of the sources, which has no others."""
    told = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True)
    names = told.stdout.split("\0")[:-1] if told.returncode == 0 else REPOSITORY.rglob("*")
    return [REPOSITORY / name for name in names if (REPOSITORY / name).is_file()]


def is_data(file: Path) -> bool:
    """Whether a file is no text that a person would have written."""
    content = file.read_bytes()
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return True
    return b"\0" in content or len(content) > LARGEST_TEXT


def checksums(files: Iterable[Path]) -> dict[str, Path]:
    """The files by SHA-256 of their content, without those that are empty."""
    return {sha256(file.read_bytes()).hexdigest(): file for file in files if file.is_file() and file.stat().st_size}


def test_files_of_data_are_those_listed_with_their_licence() -> None:
    with LIST.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(all(row.values()) for row in rows), "each row says what it is, from whom, and the licence"
    data = [file.relative_to(REPOSITORY).as_posix() for file in tracked() if is_data(file)]
    patterns = [row["path"] for row in rows]
    assert not [name for name in data if not any(fnmatch(name, pattern) for pattern in patterns)], LIST.name
    assert not [pattern for pattern in patterns if not any(fnmatch(name, pattern) for name in data)], "stale rows"


def test_voxels_are_seen_whatever_their_name(tmp_path: Path) -> None:
    made = {
        "scan.txt": bytes(100),
        "scan": b"\x1f\x8b\x08\x00\xff",
        "scan.json": b"[" + b"100, " * LARGEST_TEXT + b"0]",
        "code.py": "x = 'ü'\n".encode(),
    }
    for name, content in made.items():
        (tmp_path / name).write_bytes(content)
    assert sorted(file.name for file in tmp_path.iterdir() if is_data(file)) == ["scan", "scan.json", "scan.txt"]


def test_no_file_is_one_that_lies_beside_the_project(shared: Path | None, tmp_path: Path) -> None:
    own = checksums(tracked())
    (tmp_path / "copy.bin").write_bytes((REPOSITORY / "LICENSE").read_bytes())
    assert own.keys() & checksums(tmp_path.rglob("*")), "a copy would be seen"
    beside = (
        []
        if shared is None
        else [file for name in ("patients", "clinical", "reference") for file in (shared / name).rglob("*")]
    )
    assert not [own[same].name for same in own.keys() & checksums(beside).keys()]
