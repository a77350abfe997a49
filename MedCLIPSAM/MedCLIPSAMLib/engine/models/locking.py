"""Locks between programs; the system lets go of them when a program ends, however it ends."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from filelock import BaseFileLock, Timeout

from ..errors import ModelError


@contextmanager
def held(lock: BaseFileLock, busy: str) -> Iterator[None]:
    """Holds a lock, and waits for nobody.

    Args:
        busy: a sentence for the user.

    Raises:
        ModelError: with the sentence: another program holds it.
        OSError: its file cannot be written, or the disk has no locks.
    """
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ModelError(busy) from None
    except NotImplementedError:  # how older versions of filelock say it
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), lock.lock_file) from None
    try:
        yield
    finally:
        lock.release()
