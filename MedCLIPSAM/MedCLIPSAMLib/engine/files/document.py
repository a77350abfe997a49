"""Checks of what was read from a JSON file that a person may have written."""

from __future__ import annotations

from collections.abc import Mapping
from reprlib import repr as shown  # what a file holds, short enough for a sentence, however deep it is
from typing import Any

from ..errors import InputError


def checked_list(value: object, what: str) -> list[Any] | tuple[Any, ...]:
    """`value` if it is a list.

    Raises:
        InputError: it is not.
    """
    if not isinstance(value, list | tuple):
        raise InputError(f"{what} must be a list, not {type(value).__name__}; correct it.")
    return value


def checked_fields(
    value: object, what: str, required: tuple[str, ...], optional: tuple[str, ...] = ()
) -> Mapping[str, Any]:
    """`value` as a mapping which has all required keys and no unknown ones.

    Raises:
        InputError: it is not, or has not.
    """
    if not isinstance(value, dict):
        raise InputError(f"{what} must be a JSON object with {', '.join(required)}; correct the file.")
    if missing := [key for key in required if key not in value]:
        raise InputError(f"{what} lacks {missing[0]!r}; add it.")
    if unknown := [key for key in value if key not in required + optional]:
        raise InputError(f"{what} has the unknown key {shown(unknown[0])}; use {', '.join(required + optional)}.")
    return value


def checked_type(value: object, what: str, *types: type) -> Any:
    """`value` if it is of one of these types; true and false are no numbers.

    Raises:
        InputError: it is of another one.
    """
    if type(value) not in types:
        names = " or ".join(each.__name__ for each in types)
        raise InputError(f"{what} must be {names}, not {type(value).__name__}; correct it.")
    return value
