"""The prompt panel: what its buttons do, and what it shows of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _  # pyright: ignore[reportMissingImports]

from ..engine.errors import MedCLIPSAMError
from ..engine.session.evidence import SegmentEvidence
from ..scene.run import RunProgress
from ..scene.segmentation.segments import colour_segment
from ..scene.volumes import colour_remark
from .asking import Asking
from .buttons import add_icons, add_shortcuts
from .choices import Choices
from .history import History
from .link import EngineLink
from .menus import Menus
from .prompt_table import PromptTable, colour_of
from .review.review_part import ReviewPart
from .rows import Colour, Outcome, Row, Rows
from .setup.models import ROLES, ModelRow, ModelsFolder
from .setup.saliency import give_way
from .slice_part import NAME_LENGTH, SlicePart
from .volume_choice import OpenedVolume, contrast_remark, slices_remark
from .volume_run import Job, Listener, VolumeRun

_ALL = 99999  # a slice after the last of any volume


class Panel:
    """Everything between the widgets and the engine. It works on one parameter node at a time.

    Attributes:
        entered: whether the module is open; a preview does not follow the slices where it is not.
    """

    def __init__(self, ui: Any) -> None:
        self.ui = ui
        self.parameters: Any = None
        self.entered = True
        self.link = EngineLink(self._engine_ended)
        self.opened = OpenedVolume(self.link)
        self.history = History()
        self.run: VolumeRun | None = None
        self._remarked = ""  # of the volume that is chosen
        self._stored_rows: str | None = None  # of the table as it is, as JSON
        self._choices = Choices(ui, self._chosen)
        self._models = {role: ModelRow(role, ui, self._chosen) for role in ROLES}
        self._models_folder = ModelsFolder(ui, self._models_moved)
        self.table = PromptTable(ui, self._rows_changed, self._row_selected, self._coloured)
        self._menus = Menus(ui, self.table, self._nodes, self.pressed, self.tell)
        self.slice_part = SlicePart(self)
        self.preview = self.slice_part.preview
        self.review = ReviewPart(self)
        for button, call in (
            (ui.segmentButton, self.segment_volume),
            (ui.cancelButton, self.cancel),
            (ui.keepButton, self.keep_part),
            (ui.discardButton, self.discard_part),
            (ui.undoButton, self.undo),
            (ui.redoButton, self.redo),
            (ui.restartButton, self.restart),
        ):
            button.connect("clicked()", self.pressed(call))
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
            self._choices.show(parameters)
            self._models_folder.show()
            for role, row in self._models.items():
                row.show(getattr(parameters, role))
            place = "" if parameters.volume is None else f"{parameters.volume.GetID()} {parameters.axis}"
            if place != self.table.place:
                self.table.place = place
                remark = self._remark()
                if remark != self._remarked and parameters.volume is not None:  # else another sentence says why
                    self.tell(remark)
                self._remarked = remark
                self.review.clear()
                self.table.show(self.table.rows)
            if parameters.rows != self._stored_rows:
                self._stored_rows = parameters.rows
                self.table.show(Rows.from_json(parameters.rows))
            look = self.preview.look
            if look is not None and (parameters.volume is None or look.choice != self.asking().choice()):
                self.slice_part.hide()
            if not parameters.wholeVolume:
                self.guarded(self._limit_slices)()
        self.refresh()

    def _remark(self) -> str:
        """What is to be known of the chosen volume: how colours are read, and how it is cut if nobody chose that."""
        volume = self.parameters.volume
        if volume is None:
            return ""
        try:
            cut = slices_remark(self.asking().closed_stack())
        except MedCLIPSAMError:  # told where it is to be used
            cut = ""
        return " ".join(filter(None, (colour_remark(volume), cut, contrast_remark(self.opened.answer))))

    def close(self) -> None:
        """The panel goes: so does the engine's process."""
        self._leave()
        self.slice_part.close()
        self.link.stop()
        for row in self._models.values():
            row.close()

    def _leave(self) -> None:
        """Ends all that belongs to the scene, or to the parameter set, as it is now."""
        if self.review.measuring:
            self.tell(_("The run has ended."))
        if self.run is not None:
            if self.run.running or self.run.partial:
                self.tell(_("The run has ended."))
            self.run.stop()
            self.run = None
        self.ui.progressBar.visible = False
        self.preview.clear()
        self.ui.previewLabel.text = ""
        self.opened.forget()
        self.review.clear()
        self.history.forget()

    def _chosen(self, parameter: str, value: str) -> None:
        if self.parameters is not None:
            give_way(self.parameters, parameter, value, self.tell)
            setattr(self.parameters, parameter, value)  # which `show` hears of
            if parameter == "axis":  # numbers of slices mean others along it
                self.parameters.first, self.parameters.last = 0, _ALL

    def _models_moved(self) -> None:
        self.slice_part.hide()
        self.opened.load_again()
        self.show(self.parameters)

    def _rows_changed(self, rows: Rows) -> None:
        if self.parameters is not None:
            self._stored_rows = rows.to_json()
            self.parameters.rows = self._stored_rows  # which `show` hears of
        self.slice_part.end_if_of_another_row()

    def _row_selected(self) -> None:
        self.slice_part.end_if_of_another_row()
        self.refresh()

    def _limit_slices(self) -> None:
        """The fields take no slice that the volume does not have."""
        if self.parameters.volume is not None:
            last = len(self.asking().closed_stack()) - 1
            self.ui.firstSpinBox.maximum = self.ui.lastSpinBox.maximum = last

    def _coloured(self, row: Row, colour: Colour) -> None:
        if self.parameters is not None and self.parameters.segmentation is not None:
            colour_segment(self.parameters.segmentation, row.title, colour)

    # What can be done now

    def refresh(self) -> None:
        """Offers what can be done now, and shows what there is."""
        ui, parameters = self.ui, self.parameters
        running = self._running
        part = self.run is not None and self.run.partial > 0
        busy = running or part  # a part waits for the user's word before anything else changes
        has_volume = parameters is not None and parameters.volume is not None
        row = self.table.row
        for section in (ui.inputsCollapsibleButton, ui.promptsCollapsibleButton):
            section.enabled = parameters is not None and not busy
        ui.parameterSetSelector.enabled = not busy
        for name in ("firstSpinBox", "toLabel", "lastSpinBox"):
            getattr(ui, name).visible = parameters is not None and not parameters.wholeVolume
        ui.previewButton.enabled = has_volume and row is not None and not busy
        shown = self.preview.shown is not None and not busy
        for button in (ui.positiveButton, ui.negativeButton, ui.hideButton):
            button.enabled = shown
        ui.acceptButton.enabled = shown and not self.preview.busy
        ui.clearPointsButton.enabled = row is not None and bool(row.points) and not busy
        ui.segmentButton.enabled = has_volume and len(self.table.rows) > 0 and not busy
        ui.cancelButton.enabled = running
        ui.keepButton.visible = ui.discardButton.visible = part
        segmentation = parameters.segmentation if parameters is not None else None
        ui.undoButton.enabled = self.history.can_undo(segmentation) and not busy
        ui.redoButton.enabled = self.history.can_redo(segmentation) and not busy
        ui.engineLabel.text = _("Engine: running") if self.link.running else _("Engine: not started")
        ui.restartButton.enabled = self.link.running
        ui.segmentsTable.setSegmentationNode(segmentation)
        ui.show3DButton.setSegmentationNode(segmentation)
        self.review.refresh(busy=busy)
        for name in ("cancelButton", "lessSureButton", "nextUnsureButton"):
            for shortcut in self._shortcuts[name]:
                shortcut.enabled = getattr(ui, name).enabled  # else the key is that of whoever has the focus

    @property
    def _running(self) -> bool:
        return self.review.measuring or (self.run is not None and self.run.running)

    def tell(self, sentence: str) -> None:
        """Says something in the status line."""
        self.ui.statusLabel.text = sentence

    def nodeRemoved(self, node: Any) -> None:
        """A node leaves the scene; what needs it ends."""
        parameters = self.parameters
        needed = [parameters.volume, parameters.segmentation]
        if node not in [each for each in needed if each is not None]:
            return
        running = self._running
        self._leave()
        if running:
            self.tell(_("{name} was removed; the run has ended.").format(name=node.GetName()))
        self.refresh()

    def asking(self) -> Asking:
        """What is chosen, as the engine is asked for it."""
        return Asking(self.parameters, self.opened, self._failed)

    # Runs over the volume

    def segment_volume(self) -> None:
        """Runs all prompts that are switched on."""
        if self.slice_part.unaccepted:
            self.slice_part.accept()  # what a person has corrected is not lost
        rows, asking = self.table.rows, self.asking()
        chosen = [(rows[number], asking.for_engine(prompt)) for number, prompt in rows.switched_on()]
        slices, region = asking.slices()
        target = asking.target()
        self.slice_part.hide()
        jobs = [Job(row.key, prompt, colour_of(row)) for row, prompt in chosen]
        listener = Listener(self.before_writing, self._progressed, self._finished, self._ended)
        self.run = VolumeRun(self.link, target, jobs, slices, region, lambda: self.opened.chain, listener)
        self.ui.progressBar.value, self.ui.progressBar.visible = 0, True
        self.tell(_("Starting..."))
        self.run.start()
        self.refresh()
        self.ui.cancelButton.setFocus()  # the fields are disabled, and Esc is heard where the focus is

    def cancel(self) -> None:
        """Stops the run."""
        if self.review.measuring:
            self.review.cancel()
            return
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
            self.review.forget(run.job.key)
            self._became(run.job.key, Outcome(found, found, cancelled=True))
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
            name=step.prompt[:NAME_LENGTH], done=step.done, total=step.total
        )
        if left is not None:
            text += _(", about {seconds} s left").format(seconds=max(1, round(left)))
        if step.moved:
            text += " " + _("(on the CPU: the graphics card is full or gone)")
        self.tell(text)

    def _finished(self, key: str, evidence: SegmentEvidence, edited: tuple[int, ...]) -> None:
        found = sum(part.found for part in evidence.slices)
        if self.run is not None:
            self.review.ran(key, self.run.job.prompt, evidence, self.run.region)
        outcome = Outcome(found, len(evidence.slices), evidence.taken_for != "", judged=evidence.judged)
        self._became(key, outcome, accepted=edited)

    def _became(self, key: str, outcome: Outcome, **values: Any) -> None:
        number = self.table.rows.number_of(key)
        if number is not None:
            self.table.change(number, outcome=outcome, place=self.table.place, **values)

    def _ended(self, sentence: str | None) -> None:
        self.ui.progressBar.visible = False
        text = _("Done.")
        if self.opened.frame is not None:
            number, count = self.opened.frame
            text += " " + _(
                "This is frame {number} of a sequence, numbered 0 to {last}; the others were not looked at."
            )
            text = text.format(number=number, last=count - 1)
        self.tell(sentence or " ".join(filter(None, (text, colour_remark(self.parameters.volume)))))
        self.refresh()

    # What is written

    def _nodes(self) -> tuple[Any, Any]:
        parameters = self.parameters
        return (None, None) if parameters is None else (parameters.segmentation, parameters.volume)

    def before_writing(self) -> None:
        """Keeps the state as it is, for undo."""
        self.history.save(self.parameters.segmentation, self.table.rows)

    def undo(self) -> None:
        """One step back: voxels, and what the table says of them."""
        self._step(self.history.undo)

    def redo(self) -> None:
        """One step forward."""
        self._step(self.history.redo)

    def _step(self, step: Callable[[Rows], Rows]) -> None:
        self.review.clear()  # that of the last run
        self.table.change_rows(step(self.table.rows), self.table.number)
        self.refresh()

    # The engine's process

    def restart(self) -> None:
        """Ends the engine's process; the next request starts another."""
        self._stop_run()
        self.slice_part.hide()
        self.link.stop()
        self.opened.forget()
        self.tell(_("The engine was ended; it starts again when it is needed."))
        self.refresh()

    def _engine_ended(self, sentence: str) -> None:
        self.opened.forget()
        self.slice_part.hide()
        self._failed(sentence)

    def _failed(self, sentence: str) -> None:
        self._stop_run()
        self.tell(sentence)
        self.refresh()

    def _stop_run(self) -> None:
        self.review.stop()
        if self.run is not None and self.run.running:
            self.run.stop()
        self.ui.progressBar.visible = False

    def pressed(self, call: Callable[[], None]) -> Callable[[], None]:
        """As `guarded`, for what a person asks for: a text that is being typed counts."""

        def committed() -> None:
            self.table.commit()
            call()

        return self.guarded(committed)

    def guarded(self, call: Callable[[], None]) -> Callable[[], None]:
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
