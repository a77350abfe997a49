"""How slices are shown: a CT slice that was saved with air and bone in it gets contrast, if it is known to be one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..clip.base import ImageTextModel, TwiceLooking
from ..machine.cache import TensorCache, default_budget
from ..prompt.prompt import Prompt
from ..sam.base import PromptableSegmenter
from ..volume import SliceStack
from ..volume.volume import is_windowed
from ..volume.window import full_range_window
from .again import SecondLooker
from .looking import Looker, Viewer
from .masking import Masker
from .settings import Settings

_CT = Prompt("ct", ("ct",))
_KNOWN = 0.7  # from which on a picture is a CT: such slices of 9 people have 0.74 to 0.99, an MR now and then 0.9, too


def show(
    stack: SliceStack,
    settings: Settings,
    clip: ImageTextModel,
    segmenter: PromptableSegmenter,
    twice: TwiceLooking | None,
    precision: str,
) -> Viewer:
    """The slices as the models see them.

    Args:
        twice: who can tell a CT from other pictures; None leaves pictures as they are.
    """
    viewer = Viewer(stack, settings.window, whole=settings.exact)
    volume = stack.volume
    if (
        settings.window
        or settings.exact
        or twice is None
        or volume.modality != "other"
        or not is_windowed(volume.array)
    ):
        return viewer
    window = full_range_window(np.asarray(stack.array[0]))
    if window is None:
        return viewer
    cache = TensorCache(default_budget())  # of what is seen without contrast, and not wanted afterwards
    masker = Masker(viewer, segmenter, None, precision, cache)
    looker = Looker(viewer, clip, "dense", replace(settings, saliency=None), precision, cache)
    if SecondLooker(looker, masker, twice, precision, cache).as_a_whole(_CT, 0) < _KNOWN:
        return viewer
    return Viewer(stack, window, whole=False, contrast=True)
