"""Undo and redo of what the panel writes: voxels by 3D Slicer's own history, and what the table says of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import slicer

from .rows import Row, Rows

_STEPS = 20


class History:
    """The steps of one segmentation node; another node begins anew."""

    def __init__(self) -> None:
        self._node: Any = None
        self._states: Any = None
        self._rows: list[Rows] = []  # of each saved state
        self._place = 0

    def save(self, segmentation_node: Any, rows: Rows) -> None:
        """Keeps the state as it is, before something is written; what was undone can no longer be redone."""
        if segmentation_node is not self._node:
            self._node, self._states = segmentation_node, slicer.vtkSegmentationHistory()
            self._states.SetMaximumNumberOfStates(_STEPS)
            self._states.SetSegmentation(segmentation_node.GetSegmentation())
            self._rows, self._place = [], 0
        self._states.SaveState()
        self._rows = [*self._rows[: self._states.GetNumberOfStates() - 1], rows]
        self._place = len(self._rows)

    def can_undo(self, segmentation_node: Any) -> bool:
        """Whether there is a step back of what was written into a segmentation node."""
        return self._is_of(segmentation_node) and bool(self._states.IsRestorePreviousStateAvailable())

    def can_redo(self, segmentation_node: Any) -> bool:
        """Whether there is a step forward."""
        return self._is_of(segmentation_node) and bool(self._states.IsRestoreNextStateAvailable())

    def undo(self, rows: Rows) -> Rows:
        """One step back, which there must be; ``rows`` with the outcomes of that time."""
        if not self._states.IsRestoreNextStateAvailable():
            # The present state becomes one; those that were undone are gone if somebody has painted since.
            self._rows = [*self._rows[: self._states.GetNumberOfStates()], rows]
            self._place = len(self._rows) - 1
        self._states.RestorePreviousState()
        self._place -= 1
        return _with_outcomes(rows, self._rows[self._place])

    def redo(self, rows: Rows) -> Rows:
        """One step forward, which there must be; ``rows`` with the outcomes of that time."""
        self._states.RestoreNextState()
        self._place += 1
        return _with_outcomes(rows, self._rows[self._place])

    def forget(self) -> None:
        """Begins anew."""
        self._node = self._states = None
        self._rows, self._place = [], 0

    def _is_of(self, segmentation_node: Any) -> bool:
        return self._node is not None and self._node is segmentation_node and self._node.GetScene() is not None


def _with_outcomes(rows: Rows, then: Rows) -> Rows:
    """Texts stay as the user has them now; what became of another text is not shown for them."""
    past = {row.key: row for row in then.rows}
    return Rows(tuple(_as_then(row, past[row.key]) if row.key in past else row for row in rows.rows))


def _as_then(row: Row, then: Row) -> Row:
    outcome = then.outcome if row.looks_as(then) else None
    return replace(row, outcome=outcome, accepted=then.accepted, place=then.place)
