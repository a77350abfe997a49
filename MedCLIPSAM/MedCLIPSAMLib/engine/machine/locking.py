"""Locks between programs; the system lets go of them when a program ends, however it ends."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from hashlib import sha256
from pathlib import Path

import platformdirs
from filelock import BaseFileLock, FileLock, Timeout

from ..errors import MedCLIPSAMError

_SETTLED_S = 60.0  # what is younger may not have been locked yet


def take(lock: BaseFileLock) -> None:
    """Takes a lock, and waits for nobody.

    Raises:
        filelock.Timeout: another program holds it; it is an OSError, too.
        OSError: its file cannot be written, or the disk has no locks.
    """
    try:
        lock.acquire(timeout=0)
    except NotImplementedError:  # how older versions of filelock say it
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), lock.lock_file) from None


@contextmanager
def held(lock: BaseFileLock, busy: MedCLIPSAMError) -> Iterator[None]:
    """Holds a lock, and waits for nobody.

    Args:
        busy: raised if another program holds it.

    Raises:
        OSError: its file cannot be written, or the disk has no locks.
    """
    try:
        take(lock)
    except Timeout:
        raise busy from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def reserved(path: Path, busy: MedCLIPSAMError) -> Iterator[None]:
    """No other program of this user writes to ``path`` meanwhile, where there are locks.

    Nothing shows beside what is written: the lock is a file in the user's folder for caches, named by a hash of the
    place that ``path`` leads to.

    Args:
        busy: raised if another program does.
    """
    folder = platformdirs.user_cache_path("MedCLIPSAM", False) / "locks"
    place = os.path.normcase(path.resolve())
    file = folder / f"{sha256(os.fsencode(place)).hexdigest()[:32]}.lock"
    with ExitStack() as stack:
        with suppress(OSError):  # a disk without locks, or a folder that cannot be written to
            folder.mkdir(parents=True, exist_ok=True)
            _remove_abandoned(folder)
            stack.enter_context(held(FileLock(file), busy))
            stack.callback(_unlink, file)
        yield


def _remove_abandoned(folder: Path) -> None:
    for file in folder.glob("*.lock"):
        lock = FileLock(file)
        if take_abandoned(lock, file):
            _unlink(file)
            lock.release()


def _unlink(file: Path) -> None:
    with suppress(OSError):  # Windows removes none that is open; filelock does so itself there
        file.unlink()


def take_abandoned(lock: BaseFileLock, made: Path) -> bool:
    """Takes the lock of what a killed program has left.

    Args:
        made: what it left, as old as it is.

    Returns:
        False if it is in use, or may be: young, of another user, or on a disk without locks.
    """
    try:
        if not Path(lock.lock_file).is_file() or time.time() - made.stat().st_mtime <= _SETTLED_S:
            return False
        take(lock)
    except OSError:
        return False
    return True
