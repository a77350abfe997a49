"""A volume, its slices in radiological display, intensity windows, and the square that a model looks at."""

from __future__ import annotations

from .frame import Frame
from .stack import AXES, Axis, AxisReason, Plane, SliceStack
from .volume import MODALITIES, Modality, Volume, guess_modality
from .window import WINDOWS, Window, automatic_window

__all__ = [
    "AXES",
    "MODALITIES",
    "WINDOWS",
    "Axis",
    "AxisReason",
    "Frame",
    "Modality",
    "Plane",
    "SliceStack",
    "Volume",
    "Window",
    "automatic_window",
    "guess_modality",
]
