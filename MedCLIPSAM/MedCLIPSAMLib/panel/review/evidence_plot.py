"""Presence over the slices as a small picture; a click goes to the slice."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import qt  # pyright: ignore[reportMissingImports]

from ...engine.presence import HIGH
from ...engine.session.evidence import SliceSummary

_HEIGHT, _MARGIN = 64, 2
_MARK = 5  # pixels


class EvidencePlot(qt.QObject):
    """One bar for each slice of a run, as high as its presence; those that have the structure in its colour.

    Where presence was not judged, bars are as high as their place allows, and hatched. Slices can be marked at the top.

    Args:
        label: where it is drawn.
        clicked: told the number of the slice.
    """

    def __init__(self, label: Any, clicked: Callable[[int], None]) -> None:
        qt.QObject.__init__(self, label)
        self._label, self._clicked = label, clicked
        self._slices: Sequence[SliceSummary] = ()
        self._colour = (0.0, 0.0, 0.0)
        self._marked: Collection[int] = ()
        label.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Fixed)  # a picture must not keep the panel wide
        label.installEventFilter(self)

    def show(
        self, slices: Sequence[SliceSummary], colour: tuple[float, float, float], marked: Collection[int] = ()
    ) -> None:
        """Draws the evidence of a run over at least one slice; ``marked`` are numbers of slices."""
        self._slices, self._colour, self._marked = slices, colour, marked
        self._label.visible = True
        self._draw()

    def clear(self) -> None:
        """Shows nothing."""
        self._slices = ()
        self._label.visible = False

    def eventFilter(self, watched: Any, event: Any) -> bool:
        """Qt asks it before the label."""
        if not self._slices:
            return False
        if event.type() == qt.QEvent.MouseButtonPress:
            share = (event.pos().x() - _MARGIN) / (max(1, int(self._label.width)) - 2 * _MARGIN)
            place = min(max(int(share * len(self._slices)), 0), len(self._slices) - 1)
            self._clicked(self._slices[place].index)
            return True
        if event.type() in (qt.QEvent.Resize, qt.QEvent.PaletteChange):
            self._draw()
        return False

    def _draw(self) -> None:
        slices = self._slices
        width = max(120, int(self._label.width))
        picture = qt.QPixmap(width, _HEIGHT)
        palette = self._label.palette
        picture.fill(palette.color(qt.QPalette.Base))
        painter = qt.QPainter()
        painter.begin(picture)
        step = (width - 2 * _MARGIN) / len(slices)
        inner = _HEIGHT - 2 * _MARGIN
        found, other = qt.QColor.fromRgbF(*self._colour), palette.color(qt.QPalette.Mid)
        for place, part in enumerate(slices):
            height = max(1, round((part.score if part.judged else 1) * inner))
            left = _MARGIN + int(place * step)
            bar = qt.QRect(
                left, _HEIGHT - _MARGIN - height, max(1, int((place + 1) * step) - int(place * step)), height
            )
            paint = found if part.found else other
            painter.fillRect(bar, paint if part.judged else qt.QBrush(paint, qt.Qt.BDiagPattern))
            # Some segments are as light as the background.
            painter.fillRect(qt.QRect(bar.left(), bar.top(), bar.width(), 1), palette.color(qt.QPalette.Text))
            if part.index in self._marked:
                mark = qt.QRect(left, 0, max(2, bar.width()), _MARK)
                painter.fillRect(mark, palette.color(qt.QPalette.Highlight))
        painter.setPen(qt.QPen(palette.color(qt.QPalette.Text), 1, qt.Qt.DashLine))
        line = _HEIGHT - _MARGIN - round(HIGH * inner)
        painter.drawLine(_MARGIN, line, width - _MARGIN, line)
        painter.end()
        self._label.setPixmap(picture)
