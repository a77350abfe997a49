"""Saliency methods, found by name."""

from __future__ import annotations

import pkgutil
from typing import Any

from ..errors import InputError
from .base import SaliencyBatch, SaliencyMethod, TextQuery, normalise

__all__ = ["SALIENCY", "SaliencyBatch", "SaliencyMethod", "TextQuery", "normalise", "saliency_method"]

# Name -> class, imported when asked for.
SALIENCY = {
    "m2ib": f"{__name__}.m2ib:M2IB",
    "gradient": f"{__name__}.gradient:Gradient",
    "dense": f"{__name__}.dense:Dense",
    "two-looks": f"{__name__}.two_looks:TwoLooks",
}


def saliency_method(name: str, **options: Any) -> SaliencyMethod:
    """The method `name` with its own options.

    Raises:
        InputError: there is no such method.
    """
    if name not in SALIENCY:
        raise InputError(f"There is no saliency method '{name}': choose one of {', '.join(SALIENCY)}.")
    return pkgutil.resolve_name(SALIENCY[name])(**options)
