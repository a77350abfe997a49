"""A row of the table for each set and way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from .bootstrap import interval
from .ledger import OWN, WEAK, Result
from .sets import FoundSet


@dataclass(frozen=True)
class Row:
    """One set in one way; numbers in per cent, None where there are none.

    Attributes:
        prompt: the one for all; empty where each picture has its own, or where none was asked.
        images: all of them; people: whose they are, None where names do not tell; without_pixels: those where neither
            mask nor truth has a pixel, which no mean counts.
        not_found: pictures on which nothing was drawn.
        dsc, nsd, outline_nsd: means over images, see `Result`; the intervals are of 95 %, by bootstrap over people.
        published_dsc: what the paper has, zero-shot with its own prompts; None for a trained model.
    """

    set_name: str
    title: str
    way: str
    prompt: str
    images: int
    people: int | None
    without_pixels: int
    not_found: int
    dsc: float | None
    dsc_interval: tuple[float, float] | None
    nsd: float | None
    nsd_interval: tuple[float, float] | None
    outline_nsd: float | None
    outline_nsd_interval: tuple[float, float] | None
    published_dsc: float | None


def summarise(found: FoundSet, way: str, results: Iterable[Result]) -> Row:
    """The row of the ``results`` of one set in one way."""
    given = list(results)
    counted = [each for each in given if each.dice is not None]
    people = [each.person for each in counted]
    return Row(
        found.published.name,
        found.published.title,
        way,
        "" if way == OWN else given[0].prompt,
        len(given),
        len({each.person for each in given}) if any(each.person != each.image for each in given) else None,
        len(given) - len(counted),
        sum(not each.drawn for each in given),
        *_mean([each.dice for each in counted], people),
        *_mean([each.nsd for each in counted], people),
        *_mean([each.outline_nsd for each in counted], people),
        None if way == WEAK else found.published.dsc,
    )


def _mean(values: list[Any], people: list[str]) -> tuple[float | None, tuple[float, float] | None]:
    per_cent = [100 * value for value in values]
    return (fmean(per_cent), interval(per_cent, people)) if per_cent else (None, None)
