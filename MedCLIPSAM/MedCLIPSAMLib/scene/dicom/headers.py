"""Values of a DICOM header, whatever stands there."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.multival import MultiValue

_LONGEST_NAME = 64  # characters, as DICOM allows


def value_of(header: Dataset, tag: str) -> Any:
    """What a tag holds; None where it is absent, empty or damaged."""
    try:
        value = header.get(tag)
    except Exception:  # read only now, when it is asked for; it fails as reading a file does
        return None
    return None if isinstance(value, str | MultiValue) and not value else value


def copy_elements(source: Dataset, tags: Iterable[Any], target: Dataset) -> None:
    """Elements of a header into another one, but for those that are not there, or damaged."""
    for tag in tags:
        if tag in source:
            with suppress(Exception):  # as in `value_of`
                target.add(source[tag])


def number_of(header: Dataset, tag: str, absent: float = np.nan) -> float:
    """NaN where the tag does not hold one number."""
    return float(numbers_of(header, tag, 1)[0]) if tag in header else absent


def numbers_of(header: Dataset, tag: str, count: int) -> np.ndarray:
    """(count,) float64, all NaN where the tag does not hold that many numbers."""
    value = value_of(header, tag)
    try:
        numbers = np.array(list(value) if isinstance(value, MultiValue) else [value], np.float64)
    except (TypeError, ValueError, OverflowError):
        numbers = np.empty(0)
    return numbers if numbers.shape == (count,) else np.full(count, np.nan)


def words_of(header: Dataset, tag: str) -> tuple[str, ...]:
    """The texts that a tag holds, such as those of the type of an image."""
    value = value_of(header, tag)
    return () if value is None else tuple(map(str, value)) if isinstance(value, MultiValue) else (str(value),)


def printable(text: str) -> str:
    """What may be shown of a text from a file."""
    return "".join(letter for letter in text if letter.isprintable())[:_LONGEST_NAME]
