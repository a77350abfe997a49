"""Presence over the slices as a small picture; a click goes to the slice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import qt  # pyright: ignore[reportMissingImports]

from ..engine.evidence import HIGH, SliceSummary

_HEIGHT, _MARGIN = 64, 2


class EvidencePlot(qt.QObject):
    """One bar for each slice of a run, as high as its presence; those that have the structure in its colour.

    Args:
        label: where it is drawn.
        clicked: told the number of the slice.
    """

    def __init__(self, label: Any, clicked: Callable[[int], None]) -> None:
        qt.QObject.__init__(self, label)
        self._label, self._clicked = label, clicked
        self._slices: Sequence[SliceSummary] = ()
        label.installEventFilter(self)

    def show(self, slices: Sequence[SliceSummary], colour: tuple[float, float, float]) -> None:
        """Draws the evidence of a run over at least one slice."""
        self._slices = slices
        self._label.visible = True
        width = max(120, int(self._label.width))
        picture = qt.QPixmap(width, _HEIGHT)
        palette = self._label.palette
        picture.fill(palette.color(qt.QPalette.Base))
        painter = qt.QPainter()
        painter.begin(picture)
        step = (width - 2 * _MARGIN) / len(slices)
        inner = _HEIGHT - 2 * _MARGIN
        found, other = qt.QColor.fromRgbF(*colour), palette.color(qt.QPalette.Mid)
        for place, part in enumerate(slices):
            height = max(1, round(part.score * inner))
            left = _MARGIN + int(place * step)
            bar = qt.QRect(
                left, _HEIGHT - _MARGIN - height, max(1, int((place + 1) * step) - int(place * step)), height
            )
            painter.fillRect(bar, found if part.found else other)
        painter.setPen(palette.color(qt.QPalette.Text))
        line = _HEIGHT - _MARGIN - round(HIGH * inner)
        painter.drawLine(_MARGIN, line, width - _MARGIN, line)
        painter.end()
        self._label.setPixmap(picture)

    def clear(self) -> None:
        """Shows nothing."""
        self._slices = ()
        self._label.visible = False

    def eventFilter(self, watched: Any, event: Any) -> bool:
        """Qt asks it before the label."""
        if event.type() == qt.QEvent.MouseButtonPress and self._slices:
            place = int(
                (event.pos().x() - _MARGIN) / (max(1, int(self._label.width)) - 2 * _MARGIN) * len(self._slices)
            )
            self._clicked(self._slices[min(max(place, 0), len(self._slices) - 1)].index)
            return True
        return False
