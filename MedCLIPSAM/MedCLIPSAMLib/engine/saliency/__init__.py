"""Saliency methods, found by name."""

from __future__ import annotations

import pkgutil
from typing import Any

from ..clip.base import ImageTextModel
from ..errors import InputError
from ..methods import SALIENCY
from .base import Choices, SaliencyBatch, SaliencyMethod, TextQuery, normalise

__all__ = [
    "SALIENCY",
    "SaliencyBatch",
    "SaliencyMethod",
    "TextQuery",
    "check_exact",
    "choose",
    "normalise",
    "saliency_class",
    "saliency_method",
]


def saliency_class(name: str) -> type[SaliencyMethod]:
    """The class of the method ``name``; its `chosen` makes one that suits a model.

    Raises:
        InputError: there is no such method.
    """
    if name not in SALIENCY:
        raise InputError(f"There is no saliency method '{name}': choose one of {', '.join(SALIENCY)}.")
    return pkgutil.resolve_name(f"{__name__}.{SALIENCY[name].place}")


def check_exact(name: str) -> None:
    """Whether there is anything published to be exact about.

    Raises:
        InputError: no MedCLIP-SAM was published with the method ``name``, or there is no such method.
    """
    if not saliency_class(name).as_published:
        published = ", ".join(each for each in SALIENCY if saliency_class(each).as_published)
        raise InputError(
            f"--exact is for what MedCLIP-SAM was published with, {published}: leave out --exact or --saliency {name}."
        )


def choose(name: str, model: ImageTextModel, choices: Choices) -> SaliencyMethod:
    """The method ``name`` as a person wants it, and as it suits the model.

    Raises:
        InputError: there is no such method, or it does not go with the model or with a choice.
    """
    kind = saliency_class(name)
    if choices.exact:
        check_exact(name)
    if not kind.suits(model):
        fitting = ", ".join(each for each in SALIENCY if saliency_class(each).suits(model))
        raise InputError(f"The saliency method {name} does not go with the model {model.name}; choose of {fitting}.")
    return kind.chosen(model, choices)


def saliency_method(name: str, **options: Any) -> SaliencyMethod:
    """The method ``name`` with its own options.

    Raises:
        InputError: there is no such method.
    """
    return saliency_class(name)(**options)
