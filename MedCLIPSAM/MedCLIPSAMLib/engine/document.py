"""Checks of what was read from a JSON file that a person may have written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import InputError


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
        raise InputError(f"{what} has the unknown key {unknown[0]!r}; use {', '.join(required + optional)}.")
    return value
