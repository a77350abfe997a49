"""The pictures of all sets, one after the other, in every way; what an earlier run has done is not done again."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ...engine.errors import InputError
from ...engine.evaluate import score
from ..files import new_file
from ..validation.pictures import Case as Shown
from ..validation.pictures import chosen
from .chain import Chain
from .ledger import ONE, OWN, WEAK, Ledger, Result
from .published import PublishedSet
from .sets import Case, FoundSet, read_mask, read_pair

RUN, RESULTS, MASKS = "run.json", "results.csv", "masks"
_SLUGS = {OWN: "own-prompts", ONE: "one-prompt"}
_PIXEL = (1.0, 1.0, 1.0)  # as published: distances are in pixels, and a picture is one pixel thick


@dataclass(frozen=True)
class Asked:
    """A picture of a set, its checksum, and the prompts by way."""

    published: PublishedSet
    case: Case
    content: str
    prompts: Mapping[str, str]


@dataclass(frozen=True)
class Work:
    """What is to be done, and where it is kept.

    Args:
        output: folder that exists; it gets `RESULTS`, and masks in `MASKS`.
    """

    output: Path
    chain: Chain
    tolerance: float
    ledger: Ledger

    def missing(self, asked: Asked) -> dict[str, str]:
        """The prompts, by way, which no earlier run has finished."""
        return {
            way: text
            for way, text in asked.prompts.items()
            if (asked.published.name, way, asked.case.name, text, asked.content) not in self.ledger.results
            or not self.mask_file(asked.published, way, asked.case).is_file()
        }

    def do(self, asked: Asked, cancelled: Callable[[], bool]) -> None:
        """Segments one picture in the ways that are missing; a result is written when its mask is.

        Raises:
            InputError: picture or mask cannot be read any more.
            Cancelled: ``cancelled`` said so.
        """
        picture, truth = read_pair(asked.case)
        session = self.chain.open(asked.case.name, picture, asked.published)
        for way, text in self.missing(asked).items():
            mask = self.chain.draw(session, text, asked.published, cancelled)
            file = self.mask_file(asked.published, way, asked.case)
            file.parent.mkdir(parents=True, exist_ok=True)
            with new_file(file) as unfinished:
                Image.fromarray(mask.astype(np.uint8) * 255).save(unfinished)
            self.ledger.add(_judged(asked, way, text, mask, truth, self.tolerance))

    def results(self, asked: Iterable[Asked]) -> Iterator[Result]:
        """What was found of pictures that are all done."""
        for each in asked:
            for way, text in each.prompts.items():
                yield self.ledger.results[each.published.name, way, each.case.name, text, each.content]

    def mask_file(self, published: PublishedSet, way: str, case: Case) -> Path:
        """Where the mask of a picture is kept: 0 and 255."""
        return self.output / MASKS / published.name / _SLUGS[way] / f"{case.name}.png"


def prepare(found: FoundSet, done: Callable[[], None]) -> list[Asked]:
    """The pictures of a set with their prompts; each is read once, so that a damaged one is told before the work.

    Raises:
        InputError: a picture or mask cannot be read, or their sizes differ.
    """
    prepared = []
    for case in found.cases:
        read_pair(case)
        content = hashlib.sha256(case.image.read_bytes() + case.mask.read_bytes()).hexdigest()[:16]
        own = {} if case.prompt is None else {OWN: case.prompt}
        prepared.append(Asked(found.published, case, content, own | {ONE: found.published.one_prompt}))
        done()
    return prepared


def judge_weak(asked: Iterable[Asked], masks: Mapping[str, Path], tolerance: float) -> list[Result]:
    """Results of a trained model's masks, by the names of the pictures.

    Raises:
        InputError: a mask cannot be read, or has another size than its picture.
    """
    judged = []
    for each in asked:
        _, truth = read_pair(each.case)
        mask = read_mask(masks[each.case.name], each.case.image, truth.shape)
        judged.append(_judged(each, WEAK, "", mask, truth, tolerance))
    return judged


def shown(results: Iterable[Result], cases: Mapping[str, Case], masks: Mapping[str, Path]) -> list[Shown]:
    """Best, middle and worst of one set in one way, with their pictures."""
    counted = [result for result in results if result.dice is not None]
    pictures = []
    for _, result in chosen(counted) if counted else ():
        picture, truth = read_pair(cases[result.image])
        mask = read_mask(masks[result.image], cases[result.image].image, truth.shape)
        pictures.append(Shown.at_most(result.dice or 0.0, result.image, _grey(picture.pixels), truth, mask))
    return pictures


def begin(output: Path, identity: Mapping[str, Any], *, force: bool) -> None:
    """Makes ``output`` the folder of this run, or finds that it is already.

    Args:
        identity: what must be the same for results to belong together.

    Raises:
        InputError: it has those of another run, and not ``force``, or masks that no run has made.
    """
    file = output / RUN
    text = json.dumps(identity, indent=1, ensure_ascii=False) + "\n"
    if file.is_file() and not force:
        if file.read_text("utf-8") != text:
            raise InputError(
                f"{output} has a run of other models or settings; choose another folder, or --force to begin again."
            )
        return
    if (output / MASKS).exists() and not file.is_file():
        raise InputError(
            f"{output / MASKS} was not made by this command, which would replace it; choose another folder."
        )
    output.mkdir(exist_ok=True)
    (output / RESULTS).unlink(missing_ok=True)
    shutil.rmtree(output / MASKS, ignore_errors=True)
    with new_file(file) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def _judged(asked: Asked, way: str, text: str, mask: np.ndarray, truth: np.ndarray, tolerance: float) -> Result:
    scores = score(mask[None], truth[None], _PIXEL, tolerance).to_dict()
    case = asked.case
    return Result(
        asked.published.name,
        way,
        case.name,
        case.person,
        text,
        scores["dice"],
        scores["surface_dice"],
        score(mask, truth, _PIXEL[1:], tolerance).to_dict()["surface_dice"],
        bool(mask.any()),
        asked.content,
    )


def _grey(pixels: np.ndarray) -> np.ndarray:
    """(H, W) of any type -> uint8; 8 bits stay as they are."""
    if pixels.dtype == np.uint8:
        return pixels
    low, high = float(pixels.min()), float(pixels.max())
    return ((pixels - low) * (255 / max(high - low, 1e-12))).astype(np.uint8)
