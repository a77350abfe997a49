"""Temporary folders for this user's eyes only, which are removed even if a program was killed: by the next one."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock

from .locking import take, take_abandoned

_PREFIX = ".medclipsam-"
_LOCK, _FILES = "lock", "files"


class TemporaryFolder:
    """A folder that goes with this object.

    It is locked, and the lock falls with the process, so that the next folder made at the same place finds those that
    nobody uses any more and removes them.

    Args:
        place: where to make it; None is the system's folder for temporary files.

    Attributes:
        path: for files, empty at first.

    Raises:
        OSError: it cannot be made there.
    """

    def __init__(self, place: Path | None = None) -> None:
        place = Path(tempfile.gettempdir()) if place is None else place
        _remove_abandoned(place)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
        lock = FileLock(folder / _LOCK, thread_local=False)
        self.remove = weakref.finalize(self, _remove, folder, lock)
        with suppress(OSError):  # a disk without locks: nobody will take the folder for abandoned
            take(lock)
        self.path = folder / _FILES
        self.path.mkdir()


@contextmanager
def temporary_folder(place: Path | None = None) -> Iterator[Path]:
    """The path of a `TemporaryFolder`, which is removed at the end."""
    folder = TemporaryFolder(place)
    try:
        yield folder.path
    finally:
        folder.remove()


def _remove(folder: Path, lock: FileLock) -> None:
    lock.release(force=True)
    shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned(place: Path) -> None:
    for folder in place.glob(f"{_PREFIX}*"):
        lock = FileLock(folder / _LOCK)
        if take_abandoned(lock, folder):
            shutil.rmtree(folder / _FILES, ignore_errors=True)
            _remove(folder, lock)
