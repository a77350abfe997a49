"""Places that the user points at, as markups that can be placed, dragged and deleted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import slicer
import vtk

from ...engine.errors import InputError
from ...engine.prompt.prompt import Point
from ..hidden import add_hidden_node
from .slice_views import Observation

_CLASS = "vtkMRMLMarkupsFiducialNode"
_LOOKS = {True: ("Positive points", (0.1, 0.9, 0.2)), False: ("Negative points", (0.95, 0.15, 0.1))}


class PointMarks:
    """Two temporary lists of points, green where the structure is and red where it is not.

    Args:
        changed: called after a point was placed, moved or removed by anybody but `show` and `clear`; while the user
            drags a point, again and again.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._nodes: dict[bool, Any] = {}
        self._last: tuple[Point, ...] = ()
        self._events = Observation(self._notice)
        self._mode = Observation(self._mode_changed)
        self._active_before: tuple[str | None, str | None] = (None, None)

    def show(self, volume_node: Any, points: Sequence[Point]) -> None:
        """Show `points` in place of those there are; where they differ, placing ends.

        Args:
            volume_node: the volume pointed at; the marks are put under the same transform.
            points: with RAS of the volume node itself, without its transforms.
        """
        self._events.stop()
        for positive, (name, colour) in _LOOKS.items():
            if not self._is_there(positive):
                self._nodes[positive] = _make_node(name, colour)
            node = self._nodes[positive]
            node.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())
            places = [point.ras for point in points if point.positive == positive]
            if places != _places(node):
                self.stop_placing()
                node.RemoveAllControlPoints()
                for place in places:
                    node.AddControlPoint(vtk.vtkVector3d(place))
        self._last = self.points()
        self._observe()

    def points(self) -> tuple[Point, ...]:
        """The points there are now, positive ones first, each kind in the order in which they were placed.

        They are in RAS of the volume node itself. A point that is still being placed is not among them.
        """
        return tuple(
            Point(place, positive)
            for positive in _LOOKS
            if self._is_there(positive)
            for place in _places(self._nodes[positive])
        )

    def place(self, positive: bool) -> None:
        """Let the user place one more point with the next click into a view.

        Raises:
            InputError: no points were shown yet, or the scene was closed since.
        """
        if not self._is_there(positive):
            raise InputError("There is no volume to point at; choose one first.")
        self.stop_placing()
        selection, interaction = _singleton("vtkMRMLSelectionNode"), _singleton("vtkMRMLInteractionNode")
        self._active_before = selection.GetActivePlaceNodeClassName(), selection.GetActivePlaceNodeID()
        _set_active(_CLASS, self._nodes[positive].GetID())
        interaction.SwitchToSinglePlaceMode()
        self._mode.add(interaction, interaction.InteractionModeChangedEvent)

    def stop_placing(self) -> None:
        """End what `place` began; does nothing when the user has clicked already or places something else."""
        if self._is_active() and _is_place_mode():
            _singleton("vtkMRMLInteractionNode").SwitchToViewTransformMode()
        self._mode.stop()

    def clear(self) -> None:
        """Remove all marks from the scene."""
        self.stop_placing()
        self._events.stop()
        for node in self._nodes.values():
            slicer.mrmlScene.RemoveNode(node)
        self._nodes, self._last = {}, ()

    def _is_there(self, positive: bool) -> bool:
        return positive in self._nodes and self._nodes[positive].GetScene() is not None

    def _is_active(self) -> bool:
        active = _singleton("vtkMRMLSelectionNode").GetActivePlaceNodeID()
        return any(self._is_there(positive) and node.GetID() == active for positive, node in self._nodes.items())

    def _observe(self) -> None:
        for node in self._nodes.values():
            self._events.add(node, node.PointPositionDefinedEvent, node.PointModifiedEvent, node.PointRemovedEvent)
        self._events.add(slicer.mrmlScene, slicer.vtkMRMLScene.NodeRemovedEvent)

    def _notice(self) -> None:
        # Most events are of points that are not defined yet, or of other nodes.
        points = self.points()
        if points != self._last and not slicer.mrmlScene.IsClosing():
            self._last = points
            self._changed()

    def _mode_changed(self) -> None:
        """After placing, what the user places by other means goes where it went before."""
        if _is_place_mode():
            return
        self._mode.stop()
        if self._is_active():
            _set_active(*self._active_before)


def add_markups_node(class_name: str, name: str) -> Any:
    """A new markups node which is not saved or listed, and which is not made the one that the user places into."""
    selection = _singleton("vtkMRMLSelectionNode")
    active = selection.GetActivePlaceNodeClassName(), selection.GetActivePlaceNodeID()
    node = add_hidden_node(class_name, name)
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetSaveWithScene(False)
    _set_active(*active)
    return node


def _make_node(name: str, colour: tuple[float, float, float]) -> Any:
    node = add_markups_node(_CLASS, name)
    display = node.GetDisplayNode()
    display.SetColor(colour)
    display.SetSelectedColor(colour)
    display.SetPointLabelsVisibility(False)
    return node


def _places(node: Any) -> list[tuple[float, float, float]]:
    """The node's own RAS of its points which are defined."""
    return [
        tuple(node.GetNthControlPointPosition(number))
        for number in range(node.GetNumberOfControlPoints())
        if node.GetNthControlPointPositionStatus(number) == node.PositionDefined
    ]


def _is_place_mode() -> bool:
    interaction = _singleton("vtkMRMLInteractionNode")
    return interaction.GetCurrentInteractionMode() == interaction.Place


def _set_active(class_name: str | None, node_id: str | None) -> None:
    """What Slicer adds to in place mode; a node that was removed meanwhile is none."""
    selection = _singleton("vtkMRMLSelectionNode")
    selection.SetReferenceActivePlaceNodeClassName(class_name)
    selection.SetActivePlaceNodeID(node_id if slicer.mrmlScene.GetNodeByID(node_id or "") else None)


def _singleton(class_name: str) -> Any:
    return slicer.mrmlScene.GetSingletonNode("Singleton", class_name)
