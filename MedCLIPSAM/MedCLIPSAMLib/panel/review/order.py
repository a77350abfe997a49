"""The slices of a segment in the order of doubt, and which of them a person has seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_LEAST_MARKED = 3


class Order:
    """A way through slices, the least sure first.

    Args:
        slices: their numbers in that order.
    """

    def __init__(self, slices: Sequence[int]) -> None:
        self._slices = tuple(slices)
        self._seen: set[int] = set()
        self._place = -1  # before the first

    def __len__(self) -> int:
        return len(self._slices)

    @property
    def seen(self) -> int:
        """How many a person has looked at or corrected."""
        return len(self._seen)

    @property
    def marked(self) -> frozenset[int]:
        """The tenth that is least sure, three at least."""
        return frozenset(self._slices[: max(_LEAST_MARKED, len(self._slices) // 10)])

    @property
    def next(self) -> int | None:
        """The least sure slice that was not seen yet."""
        return next((index for index in self._slices if index not in self._seen), None)

    @property
    def less_sure(self) -> int | None:
        """The slice before the one that was looked at last."""
        return self._slices[self._place - 1] if self._place > 0 else None

    def look_at(self, index: int) -> None:
        """A person looks at a slice, whether it is one of these or not."""
        if index in self._slices:
            self._seen.add(index)
            self._place = self._slices.index(index)

    def correct(self, indices: Iterable[int]) -> None:
        """A person has corrected slices: they count as seen."""
        self._seen.update(set(indices) & set(self._slices))
