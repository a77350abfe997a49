"""The prompt table and the fields for its selected row: widgets on one side, `Rows` on the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt  # pyright: ignore[reportMissingImports]
from slicer.i18n import tr as _  # pyright: ignore[reportMissingImports]

from ..engine.localize import BINARIZERS
from ..engine.prompt.prompt import VISUAL_PROMPTS
from ..scene.segmentation.terminology import find_term
from .rows import Colour, Outcome, Row, Rows

_ON, _COLOUR, _TEXT, _NAME, _STATE = range(5)
_WIDTHS = {_ON: 24, _COLOUR: 24, _NAME: 70, _STATE: 104}  # the text has the rest
# For what has no colour in the terminology; told apart by people who do not see red and green apart, too.
_PALETTE: tuple[Colour, ...] = ((0.90, 0.62, 0.0), (0.34, 0.71, 0.91), (0.0, 0.62, 0.45), (0.80, 0.47, 0.65))


def colour_of(row: Row) -> Colour:
    """What the user chose for a row, or the terminology has for its name, or one of a few."""
    term = find_term(row.title) if row.title and row.colour is None else None
    return row.colour or (term.colour if term is not None else None) or _PALETTE[int(row.key[:8], 16) % len(_PALETTE)]


def state_of(row: Row) -> str:
    """What became of a row, in a few words."""
    if row.outcome is None:
        return _("edited") if row.accepted else _("not run")
    text = _outcome(row.outcome)
    return _("{state}, {count} edited").format(state=text, count=len(row.accepted)) if row.accepted else text


def _outcome(outcome: Outcome) -> str:
    if outcome.cancelled:
        return _("cancelled, kept {found} slices").format(found=outcome.found)
    if outcome.found and not outcome.judged:
        return _("presence not judged, mask on {found} of {searched} slices").format(
            found=outcome.found, searched=outcome.searched
        )
    if outcome.found:
        return _("found on {found} of {searched} slices").format(found=outcome.found, searched=outcome.searched)
    return _("not found") if outcome.known else _("not found, unknown to the model")


class PromptTable:
    """Shows rows, and tells when the user changed them or selected another.

    Args:
        ui: the widgets of the panel.
        changed: told the new rows.
        selected: told that another row is selected.
        coloured: told a row whose colour the user chose, and the colour.

    Attributes:
        rows: what is shown.
        place: see `Row.place`; states are those that they have there.
    """

    def __init__(
        self,
        ui: Any,
        changed: Callable[[Rows], None],
        selected: Callable[[], None],
        coloured: Callable[[Row, Colour], None],
    ) -> None:
        self._ui, self._changed, self._selected, self._coloured = ui, changed, selected, coloured
        self._table = ui.promptTable
        self._showing = False
        self.rows, self.place = Rows(), ""
        self._table.setColumnCount(5)
        self._table.setHorizontalHeaderLabels(["", "", _("Prompt"), _("Name"), _("State")])
        self._table.verticalHeader().setVisible(False)
        header = self._table.horizontalHeader()
        header.setMinimumSectionSize(min(_WIDTHS.values()))
        header.setSectionResizeMode(_TEXT, qt.QHeaderView.Stretch)
        for column, width in _WIDTHS.items():
            self._table.setColumnWidth(column, width)
        ui.visualComboBox.addItems([_("a box"), _("points"), _("both")])
        ui.localizeComboBox.addItems([_("the model's choice"), *BINARIZERS])
        self._table.connect("itemChanged(QTableWidgetItem*)", self._edited)
        self._table.connect("itemSelectionChanged()", self._selection)
        self._table.connect("cellDoubleClicked(int,int)", self._double_clicked)
        for widget, signal in (
            (ui.wordingsEdit, "textChanged()"),
            (ui.contrastEdit, "textChanged()"),
            (ui.instancesSpinBox, "valueChanged(int)"),
            (ui.visualComboBox, "currentIndexChanged(int)"),
            (ui.localizeComboBox, "currentIndexChanged(int)"),
            (ui.sensitivitySlider, "valueChanged(double)"),
        ):
            widget.connect(signal, self._details_edited)
        for button, call in (
            (ui.addButton, lambda: self._add(Row())),
            (ui.duplicateButton, lambda: self.change_rows(self.rows.duplicated(self.number), self.number + 1)),
            (ui.removeButton, lambda: self.change_rows(self.rows.removed(self.number), self.number - 1)),
            (ui.upButton, lambda: self.change_rows(self.rows.moved(self.number, -1), self.number - 1)),
            (ui.downButton, lambda: self.change_rows(self.rows.moved(self.number, 1), self.number + 1)),
        ):
            button.connect("clicked()", call)

    @property
    def number(self) -> int:
        """Of the selected row; -1 for none."""
        return int(self._table.currentRow())

    @property
    def row(self) -> Row | None:
        """The selected row."""
        return self.rows[self.number] if 0 <= self.number < len(self.rows) else None

    def commit(self) -> None:
        """Takes what is typed in a cell and not finished yet: keys and, on a Mac, buttons leave the focus there."""
        focus = qt.QApplication.focusWidget()
        if focus is not None and self._table.isAncestorOf(focus):
            self._table.setFocus()

    def add(self, rows: list[Row]) -> None:
        """Adds rows at the end, and selects the last."""
        self.change_rows(self.rows.added(rows), len(self.rows) + len(rows) - 1)

    def show(self, rows: Rows) -> None:
        """Shows rows without telling anybody; the selection stays where it can."""
        self._showing, number = True, self.number
        try:
            self.rows = rows
            self._table.setRowCount(len(rows))
            for place, row in enumerate(rows.rows):
                self._show_row(place, row)
            self._table.resizeRowsToContents()  # a long state takes two lines
            if len(rows):
                self._table.setCurrentCell(min(max(number, 0), len(rows) - 1), _TEXT)
            self._show_details()
        finally:
            self._showing = False

    def change_rows(self, rows: Rows, select: int) -> None:
        """Shows rows, selects one of them, and tells of it."""
        self.show(rows)
        if len(rows):
            self._table.setCurrentCell(min(max(select, 0), len(rows) - 1), _TEXT)
        self._changed(rows)

    def change(self, number: int, **values: Any) -> None:
        """Changes values of one row, and tells of it if they are others."""
        rows = self.rows.with_row(number, self.rows[number].changed(**values))
        if rows != self.rows:
            self.show(rows)
            self._changed(rows)

    def _show_row(self, place: int, row: Row) -> None:
        ticked = self._item(place, _ON)
        ticked.setFlags(qt.Qt.ItemIsUserCheckable | qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable)
        ticked.setCheckState(qt.Qt.Checked if row.on else qt.Qt.Unchecked)
        ticked.setToolTip(_("Whether a run over the volume looks for it."))
        colour = self._item(place, _COLOUR)
        colour.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable)
        colour.setIcon(_swatch(colour_of(self.rows[place])))
        colour.setToolTip(_("Double-click to choose the colour of the segment."))
        for column, text in ((_TEXT, row.text), (_NAME, row.name or row.title), (_STATE, state_of(row.at(self.place)))):
            item = self._item(place, column)
            if item.text() != text:
                item.setText(text)
            item.setToolTip(text)
        self._item(place, _STATE).setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable)

    def _item(self, place: int, column: int) -> Any:
        item = self._table.item(place, column)
        if item is None:
            item = qt.QTableWidgetItem()
            self._table.setItem(place, column, item)
        return item

    def _show_details(self) -> None:
        ui, row = self._ui, self.row
        for button in (ui.duplicateButton, ui.removeButton, ui.upButton, ui.downButton, ui.detailsCollapsibleButton):
            button.enabled = row is not None
        row = row or Row()
        for edit, texts in ((ui.wordingsEdit, row.wordings), (ui.contrastEdit, row.contrast)):
            if edit.toPlainText() != "\n".join(texts):
                edit.setPlainText("\n".join(texts))
        ui.instancesSpinBox.value = row.instances or 0
        ui.visualComboBox.currentIndex = VISUAL_PROMPTS.index(row.visual) if row.visual in VISUAL_PROMPTS else 0
        names = list(BINARIZERS)
        ui.localizeComboBox.currentIndex = names.index(row.localize) + 1 if row.localize in names else 0
        ui.sensitivitySlider.value = row.sensitivity

    def _add(self, row: Row) -> None:
        self.add([row])
        self._table.editItem(self._item(len(self.rows) - 1, _TEXT))

    def _edited(self, item: Any) -> None:
        if self._showing:
            return
        number = item.row()
        if item.column() == _TEXT:
            self.change(number, text=item.text())
        elif item.column() == _NAME:
            name = item.text().strip()
            self.change(number, name="" if name == self.rows[number].text.strip() else name)
            self.show(self.rows)  # an empty name shows the text
        elif item.column() == _ON:
            self.change(number, on=item.checkState() == qt.Qt.Checked)

    def _selection(self) -> None:
        if not self._showing:
            self._showing = True
            try:
                self._show_details()
            finally:
                self._showing = False
            self._selected()

    def _double_clicked(self, place: int, column: int) -> None:
        if column == _COLOUR:
            colour = qt.QColorDialog.getColor(qt.QColor.fromRgbF(*colour_of(self.rows[place])), self._table)
            if colour.isValid():
                chosen = colour.redF(), colour.greenF(), colour.blueF()
                self.change(place, colour=chosen)
                self._coloured(self.rows[place], chosen)

    def _details_edited(self) -> None:
        if self._showing or self.row is None:
            return
        ui, place = self._ui, self._ui.localizeComboBox.currentIndex
        self.change(
            self.number,
            wordings=_lines(ui.wordingsEdit),
            contrast=_lines(ui.contrastEdit),
            instances=ui.instancesSpinBox.value or None,
            visual=VISUAL_PROMPTS[ui.visualComboBox.currentIndex],
            localize=list(BINARIZERS)[place - 1] if place > 0 else None,
            sensitivity=round(ui.sensitivitySlider.value, 2),
        )


def _swatch(colour: Colour) -> Any:
    """A picture of a colour: as a background it would vanish under the highlight of the selected row."""
    picture = qt.QPixmap(16, 16)
    picture.fill(qt.QColor.fromRgbF(*colour))
    icon = qt.QIcon(picture)
    icon.addPixmap(picture, qt.QIcon.Selected)  # else it is tinted there
    return icon


def _lines(edit: Any) -> tuple[str, ...]:
    text = edit.toPlainText()
    return tuple(text.split("\n")) if text else ()
