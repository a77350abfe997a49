"""The CTK widgets that the panel and Slicer's parameter nodes use: their properties, signals and manners."""

# PySide6's types know methods where the host has properties.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false, reportOperatorIssue=false

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets

_HEADER = 24  # pixels of a collapsible button's own
_NO_LIMIT = 16777215  # of Qt: QWIDGETSIZE_MAX


def native(cls: Any) -> Any:
    """Marks a class that stands for one of C++: no new attributes on its objects."""
    cls._is_native = True
    return cls


@native
class ctkCollapsibleButton(QtWidgets.QAbstractButton):
    """A titled section whose contents are hidden while it is collapsed."""

    contentsCollapsed = QtCore.Signal(bool)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*[each for each in arguments if not isinstance(each, str)])
        self._collapsed, self._hidden = False, []
        for title in arguments:
            if isinstance(title, str):
                self.setText(title)
        self.setCheckable(True)
        self.setChecked(True)
        self.setContentsMargins(6, _HEADER + 4, 6, 4)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Preferred, QtWidgets.QSizePolicy.Policy.Preferred)
        self.toggled.connect(lambda checked: self._set_collapsed(not checked))

    def _is_collapsed(self) -> bool:
        return self._collapsed

    def _set_collapsed(self, collapsed: bool) -> None:
        if collapsed == self._collapsed:
            return
        self._collapsed = collapsed
        if collapsed:
            self._hidden = [w for w in self.children() if isinstance(w, QtWidgets.QWidget) and not w.isHidden()]
            for widget in self._hidden:
                QtWidgets.QWidget.setVisible(widget, False)
                # Else Qt says nothing when somebody hides it once more, as it then has to stay.
                widget.setAttribute(QtCore.Qt.WidgetAttribute.WA_WState_ExplicitShowHide, False)
                widget.installEventFilter(self)
        else:
            for widget in self._hidden:
                widget.removeEventFilter(self)
                QtWidgets.QWidget.setVisible(widget, True)
        self.setMaximumHeight(_HEADER if collapsed else _NO_LIMIT)
        self.setChecked(not collapsed)
        self.updateGeometry()
        self.contentsCollapsed.emit(collapsed)

    def eventFilter(self, widget: Any, event: Any) -> bool:
        if event.type() == QtCore.QEvent.Type.HideToParent and widget in self._hidden:
            self._hidden.remove(widget)
        return False

    collapsed = QtCore.Property(bool, _is_collapsed, _set_collapsed)

    def sizeHint(self) -> QtCore.QSize:
        size = QtCore.QSize(0, _HEADER) if self._collapsed else QtWidgets.QWidget.sizeHint(self)
        title = self.fontMetrics().horizontalAdvance(self.text) + 40
        return size.expandedTo(QtCore.QSize(title, _HEADER))

    def minimumSizeHint(self) -> QtCore.QSize:
        size = QtCore.QSize(0, _HEADER) if self._collapsed else QtWidgets.QWidget.minimumSizeHint(self)
        return size.expandedTo(QtCore.QSize(0, _HEADER))

    def hitButton(self, position: QtCore.QPoint) -> bool:
        return position.y() < _HEADER

    def paintEvent(self, event: Any) -> None:
        painter = QtGui.QPainter(self)
        colours = QtWidgets.QWidget.__dict__["palette"].__get__(self)
        painter.fillRect(0, 0, self.width, _HEADER, colours.button())
        painter.setPen(colours.buttonText().color())
        sign = (
            "\N{BLACK RIGHT-POINTING SMALL TRIANGLE}" if self._collapsed else "\N{BLACK DOWN-POINTING SMALL TRIANGLE}"
        )
        middle = int(QtCore.Qt.AlignmentFlag.AlignVCenter)
        painter.drawText(QtCore.QRect(8, 0, self.width - 16, _HEADER), middle, f"{sign}  {self.text}")
        painter.setPen(colours.mid().color())
        painter.drawRect(0, 0, self.width - 1, (_HEADER if self._collapsed else self.height) - 1)
        painter.end()


class _Number(QtWidgets.QWidget):
    """A slider with a spin box beside it: what the widgets for one floating-point number have in common."""

    valueChanged = QtCore.Signal(float)
    _SIGNALS = {"valueChanged(double)": "valueChanged(double)"}  # noqa: RUF012

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._slider, self._box = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal), QtWidgets.QDoubleSpinBox()
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider, 1)
        layout.addWidget(self._box)
        self._slider.setRange(0, 1000)
        self._slider.valueChanged.connect(self._slid)
        self._box.valueChanged.connect(self._changed)

    def _slid(self, place: int) -> None:
        if self._slider.hasFocus() or self._slider.isSliderDown():
            self._box.setValue(self._box.minimum + place / 1000 * (self._box.maximum - self._box.minimum))

    def _changed(self, value: float) -> None:
        span = self._box.maximum - self._box.minimum
        if 0 < span < float("inf"):
            blocked = self._slider.blockSignals(True)
            self._slider.setValue(round((value - self._box.minimum) / span * 1000))
            self._slider.blockSignals(blocked)
        self.valueChanged.emit(value)

    def setValue(self, value: float) -> None:
        self._box.setValue(value)

    def _set_minimum(self, value: float) -> None:
        self._box.setMinimum(value)

    def _set_maximum(self, value: float) -> None:
        self._box.setMaximum(value)

    def _set_single_step(self, step: float) -> None:
        self._box.setSingleStep(step)

    def setDecimals(self, decimals: int) -> None:
        self._box.setDecimals(decimals)

    def _set_suffix(self, suffix: str) -> None:
        self._box.setSuffix(suffix)

    value = QtCore.Property(float, lambda self: self._box.value, setValue)
    minimum = QtCore.Property(float, lambda self: self._box.minimum, _set_minimum)
    maximum = QtCore.Property(float, lambda self: self._box.maximum, _set_maximum)
    singleStep = QtCore.Property(float, lambda self: self._box.singleStep, _set_single_step)
    decimals = QtCore.Property(int, lambda self: self._box.decimals, setDecimals)
    suffix = QtCore.Property(str, lambda self: self._box.suffix, _set_suffix)


@native
class ctkSliderWidget(_Number):
    """A slider with a spin box."""


@native
class ctkDoubleSpinBox(_Number):
    """A spin box; the slider does no harm."""


@native
class ctkRangeWidget(QtWidgets.QWidget):
    """Two numbers, the lower and the upper end of a range."""

    valuesChanged = QtCore.Signal(float, float)
    minimumValueChanged = QtCore.Signal(float)
    maximumValueChanged = QtCore.Signal(float)
    _SIGNALS = {"valuesChanged(double,double)": "valuesChanged(double,double)"}  # noqa: RUF012

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._low, self._high = QtWidgets.QDoubleSpinBox(), QtWidgets.QDoubleSpinBox()
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for box in (self._low, self._high):
            layout.addWidget(box)
            box.setMaximum(99.0)
        self._high.setValue(99.0)
        self._values = (self._low.value, self._high.value)
        self._low.valueChanged.connect(lambda low: self.setValues(low, max(low, self._high.value)))
        self._high.valueChanged.connect(lambda high: self.setValues(min(high, self._low.value), high))

    def setValues(self, low: float, high: float) -> None:
        for box, value in ((self._low, min(low, high)), (self._high, max(low, high))):
            blocked = box.blockSignals(True)
            box.setValue(value)
            box.blockSignals(blocked)
        before, self._values = self._values, (self._low.value, self._high.value)
        if self._values != before:
            self.valuesChanged.emit(*self._values)
            if self._values[0] != before[0]:
                self.minimumValueChanged.emit(self._values[0])
            if self._values[1] != before[1]:
                self.maximumValueChanged.emit(self._values[1])

    def setRange(self, low: float, high: float) -> None:
        values = self._values
        for box in (self._low, self._high):
            blocked = box.blockSignals(True)
            box.setRange(low, high)
            box.blockSignals(blocked)
        self.setValues(*values)

    def _set_minimum(self, low: float) -> None:
        self.setRange(low, max(low, self._low.maximum))

    def _set_maximum(self, high: float) -> None:
        self.setRange(min(high, self._low.minimum), high)

    def setMinimumValue(self, low: float) -> None:
        self.setValues(low, max(low, self._values[1]))

    def setMaximumValue(self, high: float) -> None:
        self.setValues(min(high, self._values[0]), high)

    def setDecimals(self, decimals: int) -> None:
        for box in (self._low, self._high):
            box.setDecimals(decimals)

    def _set_single_step(self, step: float) -> None:
        for box in (self._low, self._high):
            box.setSingleStep(step)

    minimum = QtCore.Property(float, lambda self: self._low.minimum, _set_minimum)
    maximum = QtCore.Property(float, lambda self: self._low.maximum, _set_maximum)
    minimumValue = QtCore.Property(float, lambda self: self._values[0], setMinimumValue)
    maximumValue = QtCore.Property(float, lambda self: self._values[1], setMaximumValue)
    decimals = QtCore.Property(int, lambda self: self._low.decimals, setDecimals)
    singleStep = QtCore.Property(float, lambda self: self._low.singleStep, _set_single_step)


@native
class ctkPathLineEdit(QtWidgets.QWidget):
    """A line with a path."""

    currentPathChanged = QtCore.Signal(str)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._line = QtWidgets.QLineEdit()
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._line)
        self._line.textChanged.connect(self.currentPathChanged)

    def setCurrentPath(self, path: str) -> None:
        self._line.setText(path)

    currentPath = QtCore.Property(str, lambda self: self._line.text, setCurrentPath)


@native
class ctkDirectoryButton(QtWidgets.QWidget):
    """A button that shows a folder, and asks for another when it is pressed."""

    directorySelected = QtCore.Signal(str)
    directoryChanged = QtCore.Signal(str)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._directory, self._caption = str(Path.cwd()), ""
        self._button = QtWidgets.QPushButton()
        self._button.setSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Fixed)
        self._button.setIcon(self.style().standardIcon(QtWidgets.QStyle.StandardPixmap.SP_DirIcon))
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._button)
        self._button.clicked.connect(lambda: self.browse())

    def _set_directory(self, directory: str) -> None:
        """By a program, too, the signals tell of it: the one always, the other if it is another folder."""
        before, self._directory = self._directory, QtCore.QDir(directory).absolutePath()
        self._elide()
        self.directorySelected.emit(self._directory)
        if self._directory != before:
            self.directoryChanged.emit(self._directory)

    def _set_caption(self, caption: str) -> None:
        self._caption = caption

    def browse(self) -> str:
        title = self._caption or self.toolTip
        directory = QtWidgets.QFileDialog.getExistingDirectory(self, title, self._directory)
        if directory:
            self._set_directory(directory)
        return directory

    def resizeEvent(self, event: Any) -> None:
        self._elide()

    def _elide(self) -> None:
        room = self._button.width - self._button.iconSize.width() - 16
        self._button.setText(self.fontMetrics().elidedText(self._directory, QtCore.Qt.TextElideMode.ElideMiddle, room))

    directory = QtCore.Property(str, lambda self: self._directory, _set_directory)
    caption = QtCore.Property(str, lambda self: self._caption, _set_caption)


@native
class ctkColorPickerButton(QtWidgets.QPushButton):
    """A button that shows a colour."""

    colorChanged = QtCore.Signal(QtGui.QColor)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._color = QtGui.QColor(0, 0, 0)

    def setColor(self, color: QtGui.QColor) -> None:
        if color != self._color:
            self._color = color
            self.colorChanged.emit(color)
            self.update()

    def paintEvent(self, event: Any) -> None:
        painter = QtGui.QPainter(self)
        painter.fillRect(self.rect.adjusted(3, 3, -3, -3), self._color)
        painter.end()

    color = QtCore.Property(QtGui.QColor, lambda self: self._color, setColor)


@native
class ctkCheckBox(QtWidgets.QCheckBox):
    """A check box."""


@native
class ctkComboBox(QtWidgets.QComboBox):
    """A combo box."""


@native
class ctkMenuButton(QtWidgets.QPushButton):
    """A push button with a menu beside it."""


@native
class ctkPushButton(QtWidgets.QPushButton):
    """A push button."""


@native
class ctkCheckablePushButton(ctkPushButton):
    """There for Slicer's parameter nodes, which name it."""


@native
class ctkDoubleSlider(QtWidgets.QWidget):
    """There for Slicer's parameter nodes, which name it."""


@native
class ctkDoubleRangeSlider(QtWidgets.QWidget):
    """There for Slicer's parameter nodes, which name it."""


WIDGETS: dict[str, Any] = {
    cls.__name__: cls
    for cls in (
        *(ctkCollapsibleButton, ctkSliderWidget, ctkDoubleSpinBox, ctkRangeWidget, ctkPathLineEdit),
        *(ctkDirectoryButton, ctkColorPickerButton, ctkCheckBox, ctkComboBox, ctkMenuButton),
        *(ctkPushButton, ctkCheckablePushButton, ctkDoubleSlider, ctkDoubleRangeSlider),
    )
}
