"""Saliency in two looks: cells aligned with texts, on pixels or on the segmenter's features."""

from __future__ import annotations

from typing import ClassVar

from .dense import Dense


class TwoLooks(Dense):
    """`Dense`, whose maps a second look replaces for the terms that the first look does not know.

    For a model that brings a second look for the segmenter at hand, see `clip.quickstart.second_look`.
    """

    name: ClassVar[str] = "two-looks"
    preview: ClassVar[str] = name
