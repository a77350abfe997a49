"""The part of the panel about one slice: look, correct, accept."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from slicer.i18n import tr as _  # pyright: ignore[reportMissingImports]

from ..engine.errors import InputError
from ..engine.prompt.prompt import Point
from ..engine.session.evidence import SliceEvidence
from ..scene.views.slice_views import SliceObservation, shown_slice
from .rows import Row
from .slice_preview import Look, Shown, SlicePreview

if TYPE_CHECKING:
    from .panel import Panel

NAME_LENGTH = 40  # of a prompt in a sentence


class SlicePart:
    """What the buttons of the preview do.

    Attributes:
        preview: what is seen in the views.
    """

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self._accepted: Shown | None = None
        self.preview = SlicePreview(
            panel.link,
            lambda: panel.opened.chain,
            self._seen,
            self._failed,
            lambda points: panel.guarded(lambda: self._clicked(points))(),
        )
        self._observed = SliceObservation(self._slice_moved)
        ui = panel.ui
        for button, call in (
            (ui.previewButton, self.look),
            (ui.hideButton, self.hide),
            (ui.acceptButton, self.accept),
            (ui.positiveButton, lambda: self.preview.place(True)),
            (ui.negativeButton, lambda: self.preview.place(False)),
            (ui.clearPointsButton, lambda: self._clicked(())),
        ):
            button.connect("clicked()", panel.pressed(call))
        ui.opacitySlider.connect("valueChanged(double)", self.preview.set_opacity)

    @property
    def unaccepted(self) -> bool:
        """Whether something was corrected that is not accepted yet."""
        shown = self.preview.shown
        return shown is not None and shown.evidence.edited and shown is not self._accepted and not self.preview.busy

    def close(self) -> None:
        """Hears no more of the views."""
        self._observed.stop()

    def end_if_of_another_row(self) -> None:
        """A preview is of the selected row as it is, but for its points, which are clicked in the preview."""
        if self.preview.look is not None and not _is_of(self.preview.look, self._panel.table.row):
            self.hide()

    def look(self) -> None:
        """Looks at the slice in view with the selected prompt."""
        cold = not self._panel.link.running
        look = self._look()
        if cold:
            self._panel.ui.previewLabel.text = _("Starting the engine, which takes some seconds...")
        else:
            self._panel.ui.previewLabel.text = _("Looking at slice {index}...").format(index=look.index)
        self.preview.set_opacity(self._panel.parameters.opacity)
        self.preview.ask(look)
        self._panel.refresh()

    def hide(self) -> None:
        """Ends the preview."""
        self.preview.clear()
        self._panel.ui.previewLabel.text = ""
        self._panel.refresh()

    def accept(self) -> None:
        """Writes the mask of the slice as it is."""
        shown = self.preview.shown
        number = None if shown is None else self._panel.table.rows.number_of(shown.look.key)
        if shown is None or number is None or self.preview.busy:
            raise InputError("There is no preview to accept; preview a slice first.")
        target = self._panel.asking().target()
        self._panel.before_writing()
        index = shown.evidence.index
        target.accept(shown.look.prompt, shown.evidence, shown.chain, shown.look.colour)
        row = self._panel.table.rows[number].at(self._panel.table.place)
        accepted = tuple(sorted({*row.accepted, index}))
        self._panel.table.change(number, outcome=row.outcome, accepted=accepted, place=row.place)
        self._accepted = shown
        self._panel.tell(_("Slice {index} is accepted.").format(index=index))
        self._panel.refresh()

    def _look(self, index: int | None = None) -> Look:
        if self._panel.table.row is None:
            raise InputError("No prompt is selected; add one and type what to look for.")
        return self._panel.asking().look(self._panel.table.row, index)

    def _seen(self, evidence: SliceEvidence) -> None:
        if not evidence.judged:
            text = _("{name}, slice {index}: presence not judged, a mask was asked for on every slice.")
        elif evidence.found:
            text = _("{name}, slice {index}: found, presence {score:.2f}.")
        else:
            text = _("{name}, slice {index}: not found, presence {score:.2f}.")
        if evidence.taken_for == "":
            text += " " + _("The model was not trained to find it.")
        elif evidence.found and evidence.judged and evidence.reliability:
            text += " " + _("The model was {checked}.").replace("{checked}", evidence.reliability)
        name = "" if self.preview.look is None else self.preview.look.prompt.name[:NAME_LENGTH]
        self._panel.ui.previewLabel.text = text.format(name=name, index=evidence.index, score=evidence.score)
        self._panel.refresh()

    def _failed(self, sentence: str) -> None:
        self._panel.ui.previewLabel.text = sentence
        self._panel.refresh()

    def _clicked(self, points: tuple[Point, ...]) -> None:
        if self._panel.table.row is not None:
            self._panel.table.change(self._panel.table.number, points=points)
            if self.preview.look is not None:
                self.preview.ask(self._look(self.preview.look.index), keep_boxes=True)
        self._panel.refresh()

    def _slice_moved(self) -> None:
        look, parameters = self.preview.look, self._panel.parameters
        if look is None or parameters is None or not (parameters.follow and self._panel.entered):
            return
        index = shown_slice(look.stack, look.volume_node)
        if index is not None and index != look.index:
            self._panel.guarded(self.look)()


def _is_of(look: Look, row: Row | None) -> bool:
    if row is None or row.key != look.key:
        return False
    try:
        return replace(row.prompt(), points=()) == replace(look.prompt, points=())
    except InputError:
        return False
