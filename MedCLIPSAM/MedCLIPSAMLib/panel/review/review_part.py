"""The part of the panel about what a run found: presence on each slice, how sure it is, and what to look at first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _  # pyright: ignore[reportMissingImports]

from ...engine.errors import InputError
from ...engine.prompt.prompt import Prompt
from ...engine.session.evidence import Progress, SegmentEvidence
from ...engine.session.settings import Settings
from ...engine.volume.region import Region
from ...engine.worker.messages import Doubted
from ...scene.geometry import ijk_to_ras
from ...scene.views.doubt_map import DoubtMap
from ...scene.views.slice_views import jump_to_slice
from ..prompt_table import colour_of
from ..rows import Row
from .evidence_plot import EvidencePlot
from .measuring import Listener, Measured, Measurement, Ran, Segment

if TYPE_CHECKING:
    from ..panel import Panel


class ReviewPart:
    """Shows the evidence of the selected prompt, measures how sure its segment is, and leads through its slices."""

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self._ran: dict[str, Ran] = {}  # by the key of the row, of this session only
        self._measured: dict[str, Measured] = {}
        self._measurement: Measurement | None = None
        self._map = DoubtMap()
        self._shown: tuple[Any, ...] = ()  # what the map in the views was made of
        ui = panel.ui
        self._plot = EvidencePlot(ui.plotLabel, lambda index: panel.guarded(lambda: self._go_to(index))())
        for button, call in (
            (ui.unsureButton, self.measure),
            (ui.lessSureButton, self._go_back),
            (ui.nextUnsureButton, self._go_on),
        ):
            button.connect("clicked()", panel.pressed(call))

    @property
    def measuring(self) -> bool:
        """Whether an answer of the engine is awaited."""
        return self._measurement is not None and self._measurement.running

    # What is known

    def ran(self, key: str, prompt: Prompt, evidence: SegmentEvidence, region: Region | None) -> None:
        """A run for a row has ended; what was known before is of another segment."""
        self._measured.pop(key, None)
        self._ran[key] = Ran(prompt, evidence, region, self._basis(), self._settings())

    def forget(self, key: str) -> None:
        """Of a row nothing is known any more."""
        self._measured.pop(key, None)
        self._ran.pop(key, None)

    def clear(self) -> None:
        """Nothing is known any more, and nothing is awaited."""
        self.stop()
        self._measured.clear()
        self._ran.clear()
        self.put_away()

    def put_away(self) -> None:
        """Takes the map out of the views, until the next `refresh`."""
        self._map.hide()
        self._shown = ()

    # Measuring

    def measure(self) -> None:
        """Asks the engine how sure the chain is of the segment of the selected prompt.

        Raises:
            InputError: the segment, or what it was made of, is not as it was.
        """
        panel = self._panel
        if panel.slice_part.unaccepted:
            panel.slice_part.accept()  # what a person has corrected is not doubted
        panel.slice_part.hide()
        row = panel.table.row
        ran = None if row is None else self._ran.get(row.key)
        if row is None or ran is None or (ran.basis, ran.settings) != (self._basis(), self._settings()):
            raise InputError("The volume or the choices are not as they were in the run; segment the volume again.")
        parameters, stack = panel.parameters, panel.asking().open_stack()
        segment = Segment.of(ran, stack, parameters.segmentation)
        question = segment.question(parameters.volume, row.at(panel.table.place).accepted)
        listener = Listener(self._progressed, lambda answer: self._ended(row.key, segment, answer))
        self._measured.pop(row.key, None)
        self._measurement = Measurement(panel.link, question, listener)
        panel.ui.progressBar.value, panel.ui.progressBar.visible = 0, True
        panel.tell(_("Starting..."))
        panel.refresh()
        panel.ui.cancelButton.setFocus()  # Esc is heard where the focus is

    def cancel(self) -> None:
        """Stops measuring."""
        self.stop()
        self._panel.tell(_("Cancelled."))
        self._panel.refresh()

    def stop(self) -> None:
        """Ends without a word, as when the scene is closed."""
        if self._measurement is not None and self._measurement.running:
            self._measurement.cancel()
            self._panel.ui.progressBar.visible = False

    def _progressed(self, progress: Progress, left: float | None) -> None:
        percent = round(100 * progress.done / max(1, progress.total))
        self._panel.ui.progressBar.value = percent
        text = _("How sure is {name}: {percent} %").format(name=progress.prompt[:40], percent=percent)
        if left is not None:
            text += _(", about {seconds} s left").format(seconds=max(1, round(left)))
        if progress.moved:
            text += " " + _("(on the CPU: the graphics card is full or gone)")
        self._panel.tell(text)

    def _ended(self, key: str, segment: Segment, answer: Doubted | str) -> None:
        self._panel.ui.progressBar.visible = False
        if isinstance(answer, str):
            text = answer
        else:
            self._measured[key] = Measured(segment, answer)
            text = _("Next goes to the least sure slice. Such places are worth a look; others may be wrong, too.")
            if not answer.slices:
                text = _("Every slice was corrected by a person; there is nothing to doubt.")
        self._panel.tell(text)
        self._panel.refresh()
        if isinstance(answer, Doubted):
            self._panel.ui.nextUnsureButton.setFocus()  # its key is heard where the focus is

    # Going through the slices

    def _go_on(self) -> None:
        measured = self._current(self._panel.table.row)
        self._go_to(None if measured is None else measured.order.next)

    def _go_back(self) -> None:
        measured = self._current(self._panel.table.row)
        self._go_to(None if measured is None else measured.order.less_sure)

    def _go_to(self, index: int | None) -> None:
        panel = self._panel
        if index is not None and panel.parameters is not None and panel.parameters.volume is not None:
            measured = self._current(panel.table.row)
            stack = panel.asking().closed_stack() if measured is None else measured.segment.stack
            jump_to_slice(stack, panel.parameters.volume, index)
            if measured is not None:
                measured.order.look_at(index)
        panel.refresh()  # what is stale goes

    # What is shown

    def refresh(self, *, busy: bool) -> None:
        """Offers what can be done now, and shows what is known of the selected prompt."""
        ui, row = self._panel.ui, self._panel.table.row
        ran = None if row is None else self._ran.get(row.key)
        measured = self._current(row)
        why_not = _why_not(row, ran)
        ui.unsureButton.enabled = not busy and not why_not
        ui.unsureButton.toolTip = why_not or _(
            "Measure where the result depends on how the chain was asked: with other boxes and another wording. It "
            "points to places that are worth a look; it does not say that the other slices are right."
        )
        for name in ("lessSureButton", "nextUnsureButton", "seenLabel", "showUnsureCheckBox", "unsureOpacitySlider"):
            getattr(ui, name).visible = measured is not None
        order = None if measured is None else measured.order
        ui.lessSureButton.enabled = order is not None and order.less_sure is not None
        ui.nextUnsureButton.enabled = order is not None and order.next is not None
        if order is not None:
            ui.seenLabel.text = _("{seen} of {count} seen").format(seen=order.seen, count=len(order))
        self._show_map(measured)
        if row is None or ran is None:
            ui.evidenceLabel.text = ""
            self._plot.clear()
            return
        slices = ran.evidence.slices
        text = _("Presence of {name} on slices {first} to {last}:")
        ui.evidenceLabel.text = text.format(name=row.title, first=slices[0].index, last=slices[-1].index)
        self._plot.show(slices, colour_of(row), frozenset() if order is None else order.marked)

    def _show_map(self, measured: Measured | None) -> None:
        parameters = self._panel.parameters
        # The preview draws in the same place.
        if measured is None or not parameters.showUnsure or self._panel.preview.look is not None:
            self.put_away()
            return
        wanted = (measured, measured.corrected)
        if wanted != self._shown:
            self._map.show(parameters.volume, measured.bits, parameters.unsureOpacity)
            self._shown = wanted
        self._map.set_opacity(parameters.unsureOpacity)

    def _current(self, row: Row | None) -> Measured | None:
        """What was measured for a row; what is stale is dropped."""
        measured = None if row is None else self._measured.get(row.key)
        if row is None or measured is None:
            return None
        segment, row = measured.segment, row.at(self._panel.table.place)
        if row.outcome is None or segment.ran.basis != self._basis() or not segment.exists:
            del self._measured[row.key]
            return None
        measured.correct(row.accepted)
        return measured

    def _basis(self) -> tuple[Any, ...]:
        """The volume as it is and where it is, and what is chosen to look at it."""
        choice = self._panel.asking().choice()
        node = choice.volume_node
        return choice, node.GetImageData().GetMTime(), ijk_to_ras(node).tobytes(), node.GetTransformNodeID()

    def _settings(self) -> Settings:
        return self._panel.asking().choice().settings()


def _why_not(row: Row | None, ran: Ran | None) -> str:
    """Why it cannot be measured how sure the segment of a row is; "" if it can."""
    if row is None or ran is None or row.outcome is None:
        return _("Segment the volume first: how sure it is can be said of the result of a run only.")
    if not ran.evidence.found:
        return _("{name} was not found: there is no segment of which it could be said how sure it is.").format(
            name=row.title
        )
    return ""
