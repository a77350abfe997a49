"""Saliency methods, found by name."""

from __future__ import annotations

import pkgutil
from typing import Any

from ..clip.base import ImageTextModel
from ..errors import InputError
from .base import Choices, SaliencyBatch, SaliencyMethod, TextQuery, normalise

__all__ = [
    "SALIENCY",
    "SaliencyBatch",
    "SaliencyMethod",
    "TextQuery",
    "choose",
    "normalise",
    "saliency_class",
    "saliency_method",
]

# Name -> class, imported when asked for.
SALIENCY = {
    "m2ib": f"{__name__}.m2ib:M2IB",
    "gradient": f"{__name__}.gradient:Gradient",
    "dense": f"{__name__}.dense:Dense",
    "two-looks": f"{__name__}.two_looks:TwoLooks",
    "nib": f"{__name__}.nib:NIB",
    "gradcam": f"{__name__}.cam:GradCAM",
    "gradcam++": f"{__name__}.cam:GradCAMPlusPlus",
    "xgradcam": f"{__name__}.cam:XGradCAM",
    "layercam": f"{__name__}.cam:LayerCAM",
    "scorecam": f"{__name__}.masked:ScoreCAM",
    "gscorecam": f"{__name__}.masked:GScoreCAM",
    "hilacam": f"{__name__}.hilacam:HilaCAM",
    "rise": f"{__name__}.masked:Rise",
    "naclip": f"{__name__}.corrected:NACLIP",
    "sclip": f"{__name__}.corrected:SCLIP",
    "clearclip": f"{__name__}.corrected:ClearCLIP",
    "attention": f"{__name__}.attention:Attention",
}


def saliency_class(name: str) -> type[SaliencyMethod]:
    """The class of the method ``name``; its `chosen` makes one that suits a model.

    Raises:
        InputError: there is no such method.
    """
    if name not in SALIENCY:
        raise InputError(f"There is no saliency method '{name}': choose one of {', '.join(SALIENCY)}.")
    return pkgutil.resolve_name(SALIENCY[name])


def choose(name: str, model: ImageTextModel, choices: Choices) -> SaliencyMethod:
    """The method ``name`` as a person wants it, and as it suits the model.

    Raises:
        InputError: there is no such method, or it does not go with the model or with a choice.
    """
    kind = saliency_class(name)
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
