"""Coded meaning and colour of a segment from 3D Slicer's terminologies, found by the segment's name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import slicer
import vtk

_PREFERRED = "Segmentation category and type - 3D Slicer General Anatomy list"
_NO_COLOUR = (127, 127, 127)  # what Slicer gives a type whose colour is left to its modifiers


@dataclass(frozen=True)
class Term:
    """An entry of a terminology.

    Attributes:
        entry: the serialized entry, as the terminology tag of a segment stores it.
        colour: recommended (red, green, blue), 0 to 1; None where the terminology recommends none.
    """

    entry: str
    colour: tuple[float, float, float] | None


def find_term(name: str) -> Term | None:
    """The entry which `name` names: "liver", "left kidney", "kidney_left", "Kidneys"; None if there is none.

    3D Slicer's general anatomy is searched first, then the other loaded terminologies.
    """
    words = _normal(name)
    wanted = [words, words.removesuffix("s")]
    logic = slicer.modules.terminologies.logic()
    for terminology in _terminologies(logic):
        terms = _terms(terminology)
        for words in wanted:
            if words in terms:
                return terms[words]
    return None


def _terminologies(logic: Any) -> list[str]:
    names = vtk.vtkStringArray()
    logic.GetLoadedTerminologyNames(names)
    loaded = [names.GetValue(index) for index in range(names.GetNumberOfValues())]
    return sorted(loaded, key=lambda name: name != _PREFERRED)


@cache  # a table asks for each of its rows again and again
def _terms(terminology: str) -> dict[str, Term]:
    """Every name of every entry of a terminology, first come first served; one loaded again keeps its first entries."""
    terms: dict[str, Term] = {}
    logic = slicer.modules.terminologies.logic()
    for category, kind, modifiers in _types(logic, terminology):
        first = modifiers[0] if modifiers else None
        term = _term(terminology, category, kind, None, colours=(kind, first))
        for name in (kind.GetSlicerLabel(), kind.GetCodeMeaning()):
            terms.setdefault(_normal(name), term)
        for modifier in modifiers:
            term = _term(terminology, category, kind, modifier, colours=(modifier, kind))
            side, meaning = modifier.GetCodeMeaning(), kind.GetCodeMeaning()
            for name in (modifier.GetSlicerLabel(), f"{side} {meaning}", f"{meaning} {side}"):
                terms.setdefault(_normal(name), term)
    terms.pop("", None)
    return terms


def _types(logic: Any, terminology: str) -> Iterator[tuple[Any, Any, list[Any]]]:
    """(category, type, modifiers of the type) of each type in a terminology."""
    for row in range(logic.GetNumberOfCategoriesInTerminology(terminology)):
        category = slicer.vtkSlicerTerminologyCategory()
        logic.GetNthCategoryInTerminology(terminology, row, category)
        for number in range(logic.GetNumberOfTypesInTerminologyCategory(terminology, category)):
            kind = slicer.vtkSlicerTerminologyType()
            logic.GetNthTypeInTerminologyCategory(terminology, category, number, kind)
            yield category, kind, _modifiers(logic, terminology, category, kind)


def _modifiers(logic: Any, terminology: str, category: Any, kind: Any) -> list[Any]:
    if not kind.GetHasModifiers():  # Slicer logs an error when it is asked all the same
        return []
    modifiers = []
    for number in range(logic.GetNumberOfTypeModifiersInTerminologyType(terminology, category, kind)):
        modifiers.append(slicer.vtkSlicerTerminologyType())
        logic.GetNthTypeModifierInTerminologyType(terminology, category, kind, number, modifiers[-1])
    return modifiers


def _term(terminology: str, category: Any, kind: Any, modifier: Any, colours: tuple[Any, ...]) -> Term:
    entry = slicer.vtkSlicerTerminologyEntry()
    entry.SetTerminologyContextName(terminology)
    entry.GetCategoryObject().Copy(category)
    entry.GetTypeObject().Copy(kind)
    if modifier is not None:
        entry.GetTypeModifierObject().Copy(modifier)
    recommended = [coded.GetRecommendedDisplayRGBValue() for coded in colours if coded is not None]
    rgb = next((rgb for rgb in recommended if tuple(rgb) != _NO_COLOUR), None)
    return Term(
        slicer.vtkSlicerTerminologiesModuleLogic.SerializeTerminologyEntry(entry),
        (rgb[0] / 255, rgb[1] / 255, rgb[2] / 255) if rgb else None,
    )


def _normal(name: str | None) -> str:
    return " ".join((name or "").casefold().replace("_", " ").split())
