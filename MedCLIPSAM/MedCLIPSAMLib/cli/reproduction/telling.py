"""What is said of a set and of a run: the sentences beside the numbers, and the pictures."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..validation.pictures import draw
from .ledger import OWN, WAYS, WEAK, Result
from .page import Section
from .published import Publication
from .running import Asked, Work, shown
from .sets import FoundSet
from .summary import summarise


def section(
    found: FoundSet, asked: Sequence[Asked], work: Work, weakly: Sequence[Result], weak_masks: Mapping[str, Path]
) -> Section:
    """A set whose pictures are all done.

    Args:
        weakly: results of a trained model's masks, which lie at ``weak_masks`` by the names of the pictures.
    """
    by_way: dict[str, list[Result]] = {}
    for result in (*work.results(asked), *weakly):
        by_way.setdefault(result.way, []).append(result)
    cases = {each.case.name: each.case for each in asked}
    rows, pictures = [], {}
    for way in filter(by_way.__contains__, WAYS):
        rows.append(summarise(found, way, by_way[way]))
        masks = (
            weak_masks if way == WEAK else {name: work.mask_file(found.published, way, cases[name]) for name in cases}
        )
        if examples := shown(by_way[way], cases, masks):
            file = io.BytesIO()
            draw("", examples, file)
            pictures[way] = file.getvalue()
    return Section(found.published.title, found.published.dsc, rows, _remarks(found, rows[0].without_pixels), pictures)


def about(work: Work, publication: Publication) -> list[str]:
    """How the chain was run."""
    clip, segmenter = work.chain.clip.name, work.chain.segmenter.name
    if work.chain.as_published:
        settings = (
            f"Models: {clip} and {segmenter}, with the settings that were published for each set: layer, beta and seed"
            " of M2IB, K-means, parts and boxes. The noise starts anew with each picture, where that of the authors'"
            " programs runs on, so single pictures differ."
        )
    else:
        settings = (
            f"Models: {clip} and {segmenter}, with the settings of {clip} itself, not those that were published for"
            " each set: they are of M2IB on BiomedCLIP."
        )
    return [settings, f"Published were {publication.clip} and {publication.segmenter}.", "Research use only."]


def _remarks(found: FoundSet, without_pixels: int) -> list[str]:
    said = [found.published.doubt([case.name for case in found.cases])]
    if found.unlabelled:
        said.append(f"Pictures without a mask, left out: {found.unlabelled}.")
    if found.prompts is None:
        said.append(f"There is no {found.published.name}_testing.json: the pictures have no prompts of their own.")
    else:
        said.append(f"“{OWN.capitalize()}” are those of {found.prompts.name}.")
    if without_pixels:
        said.append(
            f"Pictures with an empty mask, on which nothing was drawn in the first row: {without_pixels}. No mean"
            " counts them; one on which something is drawn counts as 0."
        )
    said.append(f"The published settings are those of {found.published.read_from}.")
    return [sentence for sentence in said if sentence]
