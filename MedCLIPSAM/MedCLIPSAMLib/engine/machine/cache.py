"""What was computed once and may be wanted again: in memory, then in files on disk, the longest unused out first."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterable
from typing import Any

import psutil
import zict
from safetensors.torch import load, save
from torch import Tensor

from .temporary import TemporaryFolder

_SHARE = 4  # of the free memory, and of the free disk, that a cache may take is one in so many
_SMALLEST = 64 << 20
# More would gain nothing: a slice comes back from disk in milliseconds, and others need the memory, too.
_LARGEST = 256 << 20
_log = logging.getLogger(__name__)

Tensors = dict[str, Tensor]


def default_budget() -> int:
    """Bytes that a session keeps in memory unless told otherwise: a quarter of what is free now, 64 to 256 MiB."""
    return min(max(psutil.virtual_memory().available // _SHARE, _SMALLEST), _LARGEST)


class TensorCache:
    """Named tensors by a key, kept on the CPU.

    What does not fit into ``budget`` goes to a temporary folder, which is read back through a memory map and may take
    a quarter of the disk's free space; what does not fit there either is forgotten. The folder goes with the cache.

    Args:
        budget: bytes to keep in memory.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._store: Any = self._with_disk()

    def get(self, key: str) -> Tensors | None:
        """What was put under ``key``, if it is still there."""
        try:
            return self._store.get(key)
        except OSError as error:  # somebody cleaned the temporary folder
            self._leave_disk(error)
            return self._store.get(key)

    def put(self, key: str, tensors: Tensors) -> Tensors:
        """Keeps ``tensors``, and gives back what is kept.

        A view of a larger tensor is copied, so that the rest is not kept as well.
        """
        kept = {name: _alone(tensor) for name, tensor in tensors.items()}
        try:
            self._store[key] = kept
        except OSError as error:
            self._leave_disk(error)
            self._store[key] = kept
        return kept

    def each(self, keys: Iterable[str], make: Callable[[list[int]], Iterable[Tensors]]) -> list[Tensors]:
        """What belongs to all of ``keys``; ``make`` gets the positions of those that are missing, and makes them."""
        wanted = list(keys)
        found = [self.get(key) for key in wanted]
        missing = [position for position, tensors in enumerate(found) if tensors is None]
        if missing:
            for position, tensors in zip(missing, make(missing), strict=True):
                found[position] = self.put(wanted[position], tensors)
        return [tensors for tensors in found if tensors is not None]

    def _with_disk(self) -> Any:
        memory: dict[str, Tensors] = {}
        try:
            self._folder = TemporaryFolder()
            room = shutil.disk_usage(self._folder.path).free // _SHARE
        except OSError as error:
            _log.warning("Nothing can be kept on disk (%s); what does not fit into memory is computed again.", error)
            return zict.LRU(self.budget, memory, weight=_weight)
        files = zict.Func(save, _load, zict.File(self._folder.path, memmap=True))
        return zict.Buffer(memory, zict.LRU(room, files, weight=_weight), self.budget, weight=_weight)

    def _leave_disk(self, error: OSError) -> None:
        """Goes on with what is in memory."""
        _log.warning("The temporary folder failed (%s); what does not fit into memory is computed again.", error)
        kept = dict(self._store.fast.d) if isinstance(self._store, zict.Buffer) else {}
        self._store = zict.LRU(self.budget, {}, weight=_weight)
        self._store.update(kept)


def _weight(_key: str, tensors: Tensors) -> int:
    return sum(tensor.nbytes for tensor in tensors.values())


def _load(data: Any) -> Tensors:
    return load(bytes(data))


def _alone(tensor: Tensor) -> Tensor:
    tensor = tensor.detach().cpu().contiguous()
    return tensor.clone() if tensor.untyped_storage().nbytes() > tensor.nbytes else tensor
