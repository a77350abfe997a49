"""Points shown, placed, moved, deleted and read back."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest
import slicer
import vtk

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.engine.prompt.prompt import Point
from MedCLIPSAMLib.scene.views.points import PointMarks

from .. import grids
from .test_boxes import Calls
from .test_heat_map import node_ids
from .test_slice_views import EVERY_GRID, moved_volume, own_stack, world

POINTS = (Point((1.1, -2.2, 1 / 3)), Point((400.5, -300.25, 77.7)), Point((5, 6, 7), positive=False))


@pytest.fixture
def calls() -> Calls:
    return Calls()


def lists() -> list[Any]:
    """The nodes of the positive and of the negative points."""
    return slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode")


def selection() -> Any:
    return slicer.mrmlScene.GetSingletonNode("Singleton", "vtkMRMLSelectionNode")


def interaction() -> Any:
    return slicer.mrmlScene.GetSingletonNode("Singleton", "vtkMRMLInteractionNode")


def is_placing() -> bool:
    return interaction().GetCurrentInteractionMode() == interaction().Place


def active() -> tuple[Any, Any]:
    return selection().GetActivePlaceNodeClassName(), selection().GetActivePlaceNodeID()


@EVERY_GRID
def test_round_trip(kind: str, axis: Any, transform: str | None, calls: Calls):
    node = moved_volume(kind, transform)
    stack = own_stack(node, axis)
    places = np.array([(2, 3, 4), (0.25, 1.5, 0), (1, 8, 7.7)])
    points = [
        Point(tuple(ras), positive)
        for ras, positive in zip(stack.slice_to_ras(places), (True, False, True), strict=True)
    ]
    marks = PointMarks(calls)
    marks.show(node, points)
    assert marks.points() == (points[0], points[2], points[1]), "positive ones first"
    for number, markups, position in ((0, 0, 0), (1, 0, 2), (0, 1, 1)):
        found = lists()[markups].GetNthControlPointPositionWorld(number)
        np.testing.assert_allclose(found, world(node, stack, places[position]), atol=1e-6)
    assert calls.take() == 0


def test_what_is_changed_is_told(calls: Calls):
    node = moved_volume("oblique", "rigid")
    marks = PointMarks(calls)
    marks.show(node, POINTS)
    positive, negative = lists()
    positive.SetName("renamed")
    positive.SetDisplayVisibility(False)
    positive.SetNthControlPointLabel(0, "here")
    positive.SetNthControlPointPosition(0, *POINTS[0].ras)
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    assert calls.take() == 0, "the points are the same"
    positive.SetNthControlPointPosition(0, 9, 8, 7)
    assert calls.take() == 1
    positive.RemoveNthControlPoint(1)
    assert calls.take() == 1
    negative.AddControlPoint(vtk.vtkVector3d(3, 2, 1))
    assert calls.take() == 1
    assert marks.points() == (Point((9, 8, 7)), POINTS[2], Point((3, 2, 1), positive=False))
    slicer.mrmlScene.RemoveNode(negative)
    assert calls.take() == 1
    assert marks.points() == (Point((9, 8, 7)),)
    marks.show(node, POINTS)
    assert marks.points() == POINTS
    marks.clear()
    assert calls.take() == 0
    assert marks.points() == ()


def test_preview_of_a_point_does_not_count(calls: Calls):
    node = grids.volume_node("axial")
    marks = PointMarks(calls)
    marks.show(node, POINTS)
    marks.place(True)
    positive = lists()[0]
    number = positive.AddControlPoint(vtk.vtkVector3d(0, 0, 0), "")
    calls.take()  # nothing but a mouse in a view adds a point as a preview from the start
    positive.SetNthControlPointPosition(number, (1, 1, 1), positive.PositionPreview)
    calls.take()
    positive.SetNthControlPointPosition(number, (2, 2, 2), positive.PositionPreview)
    assert calls.take() == 0
    assert marks.points() == POINTS
    marks.show(node, POINTS)
    assert positive.GetNumberOfControlPoints() == 3, "showing the same does not disturb it"
    assert is_placing()
    positive.SetNthControlPointPosition(number, (3, 3, 3), positive.PositionDefined)
    assert calls.take() == 1
    assert marks.points() == (*POINTS[:2], Point((3, 3, 3)), POINTS[2])


def test_placing(calls: Calls):
    marks = PointMarks(calls)
    with pytest.raises(InputError, match="no volume to point at"):
        marks.place(True)
    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsCurveNode")
    before = active()
    assert before == ("vtkMRMLMarkupsCurveNode", other.GetID())
    marks.show(grids.volume_node("axial"), ())
    assert active() == before, "new lists are not what the user places into"
    positive, negative = lists()
    marks.place(False)
    assert active() == ("vtkMRMLMarkupsFiducialNode", negative.GetID())
    assert is_placing()
    assert not interaction().GetPlaceModePersistence()
    marks.place(True)
    assert active()[1] == positive.GetID()
    interaction().SwitchToViewTransformMode()  # as after the click
    assert active() == before
    marks.place(True)
    marks.stop_placing()
    assert not is_placing()
    assert active() == before
    marks.place(True)
    slicer.mrmlScene.RemoveNode(other)
    marks.clear()
    assert not is_placing()
    assert active() == ("vtkMRMLMarkupsCurveNode", None)
    assert calls.take() == 0


def test_what_the_user_places_elsewhere_goes_on(calls: Calls):
    marks = PointMarks(calls)
    marks.show(grids.volume_node("axial"), ())
    marks.place(True)
    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    selection().SetActivePlaceNodeID(other.GetID())
    marks.stop_placing()
    marks.show(grids.volume_node("axial"), POINTS)
    marks.clear()
    assert is_placing()
    assert active()[1] == other.GetID()
    interaction().SwitchToViewTransformMode()
    assert active()[1] == other.GetID()


def test_lists_are_temporary_and_follow_the_volume(calls: Calls):
    node, moved = grids.volume_node("axial"), moved_volume("oblique", "sheared")
    before = node_ids()
    marks = PointMarks(calls)
    marks.show(node, POINTS)
    shown = lists()
    marks.show(moved, POINTS[:1])
    assert lists() == shown
    assert marks.points() == POINTS[:1]
    for markups, colour in zip(shown, ("green", "red"), strict=True):
        assert markups.GetTransformNodeID() == moved.GetTransformNodeID()
        assert markups.GetHideFromEditors()
        assert not markups.GetSaveWithScene()
        assert not markups.GetDisplayNode().GetSaveWithScene()
        red, green, _ = markups.GetDisplayNode().GetSelectedColor()
        assert (green > red) == (colour == "green")
    marks.clear()
    assert node_ids() == before


def test_closed_scene(calls: Calls):
    marks = PointMarks(calls)
    marks.show(grids.volume_node("axial"), POINTS)
    marks.place(True)
    slicer.mrmlScene.Clear()
    assert calls.take() == 0
    assert marks.points() == ()
    marks.stop_placing()
    with pytest.raises(InputError, match="no volume"):
        marks.place(False)
    before, node = node_ids(), grids.volume_node("axial")
    marks.show(node, POINTS)
    assert marks.points() == POINTS
    slicer.mrmlScene.Clear()
    marks.clear()
    assert node_ids() == before
    assert calls.take() == 0


def test_nobody_is_called_who_is_gone(calls: Calls):
    marks = PointMarks(calls)
    marks.show(grids.volume_node("axial"), POINTS)
    marks.place(True)
    del marks
    gc.collect()
    lists()[0].RemoveNthControlPoint(0)
    interaction().SwitchToViewTransformMode()
    assert calls.take() == 0
