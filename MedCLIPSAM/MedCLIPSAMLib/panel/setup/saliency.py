"""The saliency methods in Setup: what they are called, and which go with the models that are chosen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt  # pyright: ignore[reportMissingImports]
from slicer.i18n import tr as _  # pyright: ignore[reportMissingImports]

from ...engine.methods import SALIENCY
from ...engine.models.catalogue import entry_of, find_entry
from ..volume_choice import AUTOMATIC
from .models import ROLES


def methods() -> list[tuple[str, str]]:
    """The value of the parameter and what the user reads, for each; a method without a title goes by its name."""
    titles = {
        "m2ib": _("Information bottleneck (M2IB)"),
        "gradient": _("Gradient alone (quick)"),
        "dense": _("One look at image cells"),
        "two-looks": _("Two looks at image cells"),
        "nib": _("Narrowing bottleneck (NIB)"),
        "gradcam": _("GradCAM"),
        "gradcam++": _("GradCAM++"),
        "xgradcam": _("XGradCAM"),
        "layercam": _("LayerCAM"),
        "scorecam": _("ScoreCAM (slow)"),
        "gscorecam": _("gScoreCAM (slow)"),
        "hilacam": _("Through all blocks (HilaCAM)"),
        "rise": _("Random masks (RISE, slow)"),
        "naclip": _("Neighbouring patches (NACLIP)"),
        "sclip": _("Similar patches (SCLIP)"),
        "clearclip": _("Similar patches (ClearCLIP)"),
        "attention": _("The model's own attention"),
    }
    return [(AUTOMATIC, _("automatic")), *((name, titles.get(name, name)) for name in SALIENCY)]


def misfit(method: str, clip: str, segmenter: str) -> str:
    """Why a method does not go with the models, in a sentence; "" where it does, or where only the engine can tell.

    Args:
        clip, segmenter: names in the catalogue, or paths, which tell nothing of what is there.
    """
    listed, model = SALIENCY.get(method), entry_of(clip)
    if listed is None:
        return ""
    if model is not None and model.shows and not listed.goes_with(model.shows):
        reasons = {
            "blocks": _("{model} has no blocks of a vision transformer that could be looked into."),
            "cells": _("{model} has no image cells that were taught to agree with texts."),
            "regions": _("{model} tells no attention of its own."),
            "map": _("{model} does not make the feature of a picture from a map of regions."),
        }
        return reasons[listed.looks_into].format(model=model.title)
    if listed.segmenter and entry_of(segmenter) is not None and segmenter != listed.segmenter:
        return _("It needs the segmenter {segmenter}.").format(segmenter=find_entry(listed.segmenter).title)
    return ""


def disable_misfits(combo: Any, clip: str, segmenter: str) -> None:
    """What does not go with the models cannot be chosen from the list, and its tooltip says why."""
    for place in range(combo.count):
        method = str(combo.itemData(place))
        if method in SALIENCY:
            reason = misfit(method, clip, segmenter)
            combo.model().item(place).setEnabled(not reason)
            combo.setItemData(place, reason, qt.Qt.ToolTipRole)


def give_way(parameters: Any, parameter: str, value: str, tell: Callable[[str], None]) -> None:
    """Before a model is chosen: a method that does not go with it becomes automatic again, and that is told.

    Only where a person chooses: what a script or a scene sets stays as it is, and the engine's sentence answers.
    """
    if parameter not in ROLES:
        return
    models = {role: getattr(parameters, role) for role in ROLES} | {parameter: value}
    reason = misfit(parameters.saliency, **models)
    if reason:
        text = _("The saliency method is automatic again, no longer {method}: {reason}")
        tell(text.format(method=dict(methods())[parameters.saliency], reason=reason))
        parameters.saliency = AUTOMATIC
