"""Undo and redo of what the panel writes: voxels by 3D Slicer's own history, and what the table says of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import slicer

from .rows import Rows

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
        self._rows = [*self._rows[: self._place], rows][-_STEPS:]
        self._place = len(self._rows)

    @property
    def can_undo(self) -> bool:
        """Whether there is a step back."""
        return self._is_there() and bool(self._states.IsRestorePreviousStateAvailable())

    @property
    def can_redo(self) -> bool:
        """Whether there is a step forward."""
        return self._is_there() and bool(self._states.IsRestoreNextStateAvailable())

    def undo(self, rows: Rows) -> Rows:
        """One step back; ``rows`` with the outcomes of that time."""
        if not self.can_undo:
            return rows
        if self._place == len(self._rows):
            self._rows.append(rows)
        self._states.RestorePreviousState()
        self._place -= 1
        return _with_outcomes(rows, self._rows[self._place])

    def redo(self, rows: Rows) -> Rows:
        """One step forward; ``rows`` with the outcomes of that time."""
        if not self.can_redo:
            return rows
        self._states.RestoreNextState()
        self._place += 1
        return _with_outcomes(rows, self._rows[self._place])

    def forget(self) -> None:
        """Begins anew."""
        self._node = self._states = None
        self._rows, self._place = [], 0

    def _is_there(self) -> bool:
        return self._node is not None and self._node.GetScene() is not None


def _with_outcomes(rows: Rows, then: Rows) -> Rows:
    """Texts stay as the user has them now."""
    past = {row.title: row for row in then.rows}
    return Rows(
        tuple(
            replace(row, outcome=past[row.title].outcome, accepted=past[row.title].accepted)
            if row.title in past
            else row
            for row in rows.rows
        )
    )
