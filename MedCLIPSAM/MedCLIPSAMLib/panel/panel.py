"""The prompt panel: what its buttons do, and what it shows of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _  # pyright: ignore[reportMissingImports]

from ..engine.errors import InputError, MedCLIPSAMError
from ..engine.evidence import SegmentEvidence, SliceEvidence
from ..engine.prompt import Point
from ..scene.run import RunProgress
from ..scene.segments import colour_segment
from ..scene.slice_views import jump_to_slice, observe_slices, shown_slice
from .asking import Asking
from .buttons import add_icons, add_shortcuts
from .choices import Choices
from .evidence_plot import EvidencePlot
from .history import History
from .link import EngineLink
from .menus import Menus
from .models import ROLES, ModelRow
from .prompt_table import PromptTable, colour_of
from .rows import Colour, Outcome, Row, Rows
from .slice_preview import Look, SlicePreview
from .volume_choice import OpenedVolume
from .volume_run import Job, Listener, VolumeRun

_NAME_LENGTH = 40  # of a prompt in the status line


class Panel:
    """Everything between the widgets and the engine. It works on one parameter node at a time."""

    def __init__(self, ui: Any) -> None:
        self.ui = ui
        self.parameters: Any = None
        self.link = EngineLink(self._engine_ended)
        self.opened = OpenedVolume(self.link)
        self.preview = SlicePreview(self.link, self._seen, self._preview_failed, self._clicked)
        self.history = History()
        self.run: VolumeRun | None = None
        self._stored_rows: str | None = None  # of the table as it is, as JSON
        self._evidence: dict[str, SegmentEvidence] = {}  # by the title of the row, of this session only
        self._choices = Choices(ui, self._chosen)
        self._models = {role: ModelRow(role, ui, self._chosen) for role in ROLES}
        self._table = PromptTable(ui, self._rows_changed, self.refresh, self._coloured)
        self._plot = EvidencePlot(ui.plotLabel, self._go_to)
        self._menus = Menus(ui, self._table, self._nodes, self._guarded, self.tell)
        self._slices_observed = observe_slices(self._slice_moved)
        for button, call in (
            (ui.previewButton, self.preview_slice),
            (ui.hideButton, self.hide_preview),
            (ui.acceptButton, self.accept_slice),
            (ui.positiveButton, lambda: self.preview.place(True)),
            (ui.negativeButton, lambda: self.preview.place(False)),
            (ui.clearPointsButton, lambda: self._clicked(())),
            (ui.segmentButton, self.segment_volume),
            (ui.cancelButton, self.cancel),
            (ui.keepButton, self.keep_part),
            (ui.discardButton, self.discard_part),
            (ui.undoButton, lambda: self._step(self.history.undo)),
            (ui.redoButton, lambda: self._step(self.history.redo)),
            (ui.restartButton, self.restart),
        ):
            button.connect("clicked()", self._guarded(call))
        ui.opacitySlider.connect("valueChanged(double)", self.preview.set_opacity)
        self._shortcuts = add_shortcuts(ui)
        add_icons(ui)
        ui.progressBar.visible = False
        self.refresh()

    # The parameter node

    def show(self, parameters: Any) -> None:
        """Works on another parameter node, or on none."""
        if parameters is not self.parameters:
            self._leave()
        self.parameters = parameters
        if parameters is not None:
            for name in ("axis", "window", "clip", "segmenter", "device"):
                self._choices.show(name, getattr(parameters, name))
            for role, row in self._models.items():
                row.show(getattr(parameters, role))
            if parameters.rows != self._stored_rows:
                self._stored_rows = parameters.rows
                self._table.show(Rows.from_json(parameters.rows))
            if not parameters.wholeVolume:
                self._guarded(self._limit_slices)()
        self.refresh()

    def close(self) -> None:
        """The panel goes: so does the engine's process."""
        self._leave()
        self._slices_observed.stop()
        self.link.stop()
        for row in self._models.values():
            row.close()

    def _leave(self) -> None:
        """Ends all that belongs to the scene as it is now."""
        if self.run is not None:
            self.run.stop()
            self.run = None
        self.preview.clear()
        self.opened.forget()
        self._evidence.clear()
        self.history.forget()

    def _chosen(self, parameter: str, value: str) -> None:
        if self.parameters is not None:
            self.preview.clear()
            setattr(self.parameters, parameter, value)  # which `show` hears of

    def _rows_changed(self, rows: Rows) -> None:
        if self.parameters is not None:
            self._stored_rows = rows.to_json()
            self.parameters.rows = self._stored_rows  # which `show` hears of

    def _limit_slices(self) -> None:
        """The fields take no slice that the volume does not have."""
        if self.parameters.volume is not None:
            last = self._asking().slice_count() - 1
            self.ui.firstSpinBox.maximum = self.ui.lastSpinBox.maximum = last

    def _coloured(self, row: Row, colour: Colour) -> None:
        if self.parameters is not None and self.parameters.segmentation is not None:
            colour_segment(self.parameters.segmentation, row.title, colour)

    # What can be done now

    def refresh(self) -> None:
        """Offers what can be done now, and shows what there is."""
        ui, parameters = self.ui, self.parameters
        running = self.run is not None and self.run.running
        part = self.run is not None and self.run.partial > 0
        has_volume = parameters is not None and parameters.volume is not None
        row = self._table.row
        for section in (ui.inputsCollapsibleButton, ui.promptsCollapsibleButton):
            section.enabled = parameters is not None and not running
        for name in ("firstSpinBox", "toLabel", "lastSpinBox"):
            getattr(ui, name).visible = parameters is not None and not parameters.wholeVolume
        ui.previewButton.enabled = has_volume and row is not None and not running
        shown = self.preview.evidence is not None and not running
        for button in (ui.acceptButton, ui.positiveButton, ui.negativeButton, ui.hideButton):
            button.enabled = shown
        ui.clearPointsButton.enabled = row is not None and bool(row.points) and not running
        ui.segmentButton.enabled = has_volume and len(self._table.rows) > 0 and not running and not part
        ui.cancelButton.enabled = running
        ui.keepButton.visible = ui.discardButton.visible = part
        ui.undoButton.enabled = self.history.can_undo and not running
        ui.redoButton.enabled = self.history.can_redo and not running
        ui.engineLabel.text = _("Engine: running") if self.link.running else _("Engine: not started")
        ui.restartButton.enabled = self.link.running
        segmentation = parameters.segmentation if parameters is not None else None
        ui.segmentsTable.setSegmentationNode(segmentation)
        ui.show3DButton.setSegmentationNode(segmentation)
        title = row.title if row is not None else ""
        evidence = self._evidence.get(title)
        ui.evidenceLabel.text = _("Presence of {name} on each slice:").format(name=title) if evidence else ""
        if evidence:
            self._plot.show(evidence.slices, colour_of(self._table.rows, self._table.number))
        else:
            self._plot.clear()

    def tell(self, sentence: str) -> None:
        """Says something in the status line."""
        self.ui.statusLabel.text = sentence

    def nodeRemoved(self, node: Any) -> None:
        """A node leaves the scene; what needs it ends."""
        parameters = self.parameters
        needed = [parameters.volume, parameters.segmentation]
        if node not in [each for each in needed if each is not None]:
            return
        running = self.run is not None and self.run.running
        self._leave()
        self.ui.progressBar.visible = False
        if running:
            self.tell(_("{name} was removed; the run has ended.").format(name=node.GetName()))
        self.refresh()

    # Preview

    def preview_slice(self) -> None:
        """Looks at the slice in view with the selected prompt."""
        look = self._look()
        self.ui.previewLabel.text = _("Looking at slice {index}...").format(index=look.index)
        self.preview.set_opacity(self.parameters.opacity)
        self.preview.ask(look)
        self.refresh()

    def hide_preview(self) -> None:
        """Ends the preview."""
        self.preview.clear()
        self.ui.previewLabel.text = ""
        self.refresh()

    def accept_slice(self) -> None:
        """Writes the mask of the slice as it is."""
        look, evidence = self.preview.look, self.preview.evidence
        if look is None or evidence is None:
            raise InputError("There is no preview to accept; preview a slice first.")
        target = self._asking().target()
        self._before_writing()
        target.accept(look.prompt, evidence, self.opened.chain, look.colour)
        number = next(n for n, row in enumerate(self._table.rows.rows) if row.title == look.prompt.name)
        accepted = {*self._table.rows[number].accepted, evidence.index}
        self._table.change(number, accepted=tuple(sorted(accepted)))
        self.tell(_("Slice {index} is accepted.").format(index=evidence.index))
        self.refresh()

    def _asking(self) -> Asking:
        return Asking(self.parameters, self.opened, self._failed)

    def _look(self, index: int | None = None) -> Look:
        if self._table.row is None:
            raise InputError("No prompt is selected; add one and type what to look for.")
        return self._asking().look(self._table.row, colour_of(self._table.rows, self._table.number), index)

    def _seen(self, evidence: SliceEvidence) -> None:
        if evidence.found:
            text = _("Slice {index}: found, presence {score:.2f}.")
        else:
            text = _("Slice {index}: not found, presence {score:.2f}.")
        if evidence.taken_for == "":
            text += " " + _("The model was not trained to find it.")
        self.ui.previewLabel.text = text.format(index=evidence.index, score=evidence.score)
        self.refresh()

    def _preview_failed(self, sentence: str) -> None:
        self.ui.previewLabel.text = sentence
        self.refresh()

    def _clicked(self, points: tuple[Point, ...]) -> None:
        if self._table.row is None:
            return
        self._table.change(self._table.number, points=points)
        if self.preview.look is not None:
            self.preview.ask(self._look(self.preview.look.index), keep_boxes=True)
        self.refresh()

    def _slice_moved(self) -> None:
        look = self.preview.look
        if look is None or self.parameters is None or not self.parameters.follow:
            return
        index = shown_slice(look.stack, look.volume_node)
        if index is not None and index != look.index:
            self._guarded(self.preview_slice)()

    def _go_to(self, index: int) -> None:
        if self.parameters is not None and self.parameters.volume is not None:
            jump_to_slice(self._asking().stack(), self.parameters.volume, index)

    # Runs over the volume

    def segment_volume(self) -> None:
        """Runs all prompts that are switched on."""
        rows, asking = self._table.rows, self._asking()
        chosen = [(number, asking.in_world(prompt)) for number, prompt in rows.switched_on()]
        slices, region = asking.slices()
        target = asking.target()
        self.hide_preview()
        jobs = [Job(number, prompt, colour_of(rows, number), rows[number].accepted) for number, prompt in chosen]
        listener = Listener(self._before_writing, self._progressed, self._finished, self._ended)
        self.run = VolumeRun(self.link, target, jobs, slices, region, lambda: self.opened.chain, listener)
        self.ui.progressBar.value, self.ui.progressBar.visible = 0, True
        self.tell(_("Starting..."))
        self.run.start()
        self.refresh()

    def cancel(self) -> None:
        """Stops the run."""
        run = self.run
        if run is None or not run.running:
            return
        run.cancel()
        self.ui.progressBar.visible = False
        if run.partial:
            text = _("Cancelled; {name} was drawn on {count} slices: keep them?")
            self.tell(text.format(name=run.job.prompt.name, count=run.partial))
        else:
            run.discard_part()
            self.tell(_("Cancelled."))
        self.refresh()

    def keep_part(self) -> None:
        """Writes what a cancelled run had drawn."""
        run = self.run
        if run is not None and run.partial:
            found = run.partial
            run.keep_part()
            self._table.change(run.job.row, outcome=Outcome(found, found, cancelled=True))
            self.tell(_("Kept {count} slices.").format(count=found))
            self.refresh()

    def discard_part(self) -> None:
        """Forgets what a cancelled run had drawn."""
        if self.run is not None:
            self.run.discard_part()
            self.tell(_("Discarded."))
            self.refresh()

    def _progressed(self, progress: RunProgress, left: float | None) -> None:
        step = progress.step
        self.ui.progressBar.value = round(100 * progress.fraction)
        text = _("{name}: {done} of {total} slices").format(
            name=step.prompt[:_NAME_LENGTH], done=step.done, total=step.total
        )
        if left is not None:
            text += _(", about {seconds} s left").format(seconds=max(1, round(left)))
        self.tell(text)

    def _finished(self, number: int, evidence: SegmentEvidence, segment_id: str) -> None:
        found = sum(part.found for part in evidence.slices)
        self._table.change(number, outcome=Outcome(found, len(evidence.slices), evidence.taken_for != ""))
        self._evidence[self._table.rows[number].title] = evidence

    def _ended(self, sentence: str | None) -> None:
        self.ui.progressBar.visible = False
        text = _("Done.")
        if self.opened.frame is not None:
            number, count = self.opened.frame
            text += " " + _(
                "This is frame {number} of a sequence, numbered 0 to {last}; the others were not looked at."
            )
            text = text.format(number=number, last=count - 1)
        self.tell(sentence or text)
        self.refresh()

    # What is written

    def _nodes(self) -> tuple[Any, Any]:
        parameters = self.parameters
        return (None, None) if parameters is None else (parameters.segmentation, parameters.volume)

    def _before_writing(self) -> None:
        self.history.save(self.parameters.segmentation, self._table.rows)

    def _step(self, step: Callable[[Rows], Rows]) -> None:
        self._table.change_rows(step(self._table.rows), self._table.number)

    # The engine's process

    def restart(self) -> None:
        """Ends the engine's process; the next request starts another."""
        self._stop_run()
        self.link.stop()
        self.opened.forget()
        self.tell(_("The engine was ended; it starts again when it is needed."))
        self.refresh()

    def _engine_ended(self, sentence: str) -> None:
        self.opened.forget()
        self.preview.clear()
        self._failed(sentence)

    def _failed(self, sentence: str) -> None:
        self._stop_run()
        self.tell(sentence)
        self.refresh()

    def _stop_run(self) -> None:
        if self.run is not None and self.run.running:
            self.run.stop()
        self.ui.progressBar.visible = False

    def _guarded(self, call: Callable[[], None]) -> Callable[[], None]:
        """Nothing that goes wrong reaches the user but as a sentence."""

        def guarded() -> None:
            try:
                call()
            except MedCLIPSAMError as error:
                self.tell(str(error))
                self.refresh()
            except Exception:  # a bug, not the user's doing: the log has it whole
                logging.exception("MedCLIP-SAM failed")
                self.tell(_("Something went wrong; see the error log."))
                self.refresh()

        return guarded
