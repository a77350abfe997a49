"""How the memory of large tensors is had from the system: fetching it anew for each layer costs more than the layer."""

from __future__ import annotations

import ctypes
import os
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_NEVER = 2**31 - 1
_LARGE = 32 << 20  # what glibc allows at most; only arrays of whole volumes are larger


def ask_for_large_pages() -> None:
    """Lets PyTorch ask Linux for large pages; to be called before it makes its first tensor.

    Sets an environment variable of PyTorch unless the user has; it concerns tensors alone.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")


def keep_freed_memory() -> None:
    """Lets the C library keep what is freed for the next tensor; concerns the whole process, so only for our own.

    Large arrays go back to the system all the same. A no-op where the C library is not glibc.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_M_MMAP_THRESHOLD, _LARGE)
            mallopt(_M_TRIM_THRESHOLD, _NEVER)
