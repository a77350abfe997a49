"""Damaged JSON: documents of which one or more values are others, and texts that are none."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from .images import damaged_bytes

_TOO_LARGE = 10**400
_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 0.5, 1.5, 2**31, 2**63, -(2**63), 10**30, _TOO_LARGE, 1e308),
    *(float("nan"), float("inf"), "", " ", "x", "liver", "LIVER", "a\nb", "\0", "\x7f", "\u2028", "\ud800", "x" * 301),
    *([], {}, [[]], ["x"], [1, 2, 3], [1, 2], {"x": 1}, ["\ud800"], [None], "otsu", "box", "[]", "{}", "null"),
)


def damaged_json(random: Random, text: bytes) -> bytes:
    """The text with values changed, left out, said twice or moved; its bytes damaged if it is no JSON."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return damaged_bytes(random, text)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        document = _changed(random, document)
    try:
        return json.dumps(document, ensure_ascii=random.random() < 0.8).encode("utf-8", "surrogatepass")
    except RecursionError:
        return text


def _changed(random: Random, document: Any) -> Any:
    """A copy with something changed on the way down to a value that is chosen by chance."""
    if not isinstance(document, dict | list) or not document or random.random() < 0.15:
        return _other(random, document)
    if isinstance(document, list):
        at = random.randrange(len(document))
        match random.randrange(8):
            case 0:
                return document[:at] + document[at + 1 :]
            case 1:
                return [*document, document[at]]
            case _:
                return [*document[:at], _changed(random, document[at]), *document[at + 1 :]]
    name = random.choice(list(document))
    match random.randrange(10):
        case 0:
            return {key: value for key, value in document.items() if key != name}
        case 1:
            return {**document, random.choice(("x", "", "\ud800", *document)): _other(random, document[name])}
        case _:
            return {**document, name: _changed(random, document[name])}


def _other(random: Random, value: Any) -> Any:
    if random.random() < 0.1:
        for _ in range(random.choice((1, 5, 400, 950))):
            value = [value]
        return value
    if isinstance(value, str) and random.random() < 0.3:  # tags are JSON in texts of JSON
        return damaged_json(random, value.encode("utf-8", "surrogatepass")).decode("utf-8", "replace")
    return random.choice(_VALUES)
