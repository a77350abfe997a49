"""The published sets on disk: folders of pictures, of masks, and a JSON of the prompt of each picture."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...engine.errors import InputError
from ...engine.prompt.prompt import checked_text
from ...scene.pictures import SUFFIXES, Picture, read_picture
from .published import PublishedSet

_PARTS = (("test_images", "test_masks"), ("images", "masks"))  # as their scripts for one set, and for any set, have it
_PROMPTS = ("text_prompts", "../saliency_maps/text_prompts")  # the latter: FOLDER is `data` of a checkout
_MASK = "_mask"  # what may stand behind the name of a picture in that of its mask
_INSIDE = 200  # of 8 bits: above it is inside, as published


@dataclass(frozen=True)
class Case:
    """A picture and its mask; ``name``: without ending; ``prompt``: its own, None where no JSON has one."""

    name: str
    image: Path
    mask: Path
    person: str
    prompt: str | None


@dataclass(frozen=True)
class FoundSet:
    """A published set that is there.

    Attributes:
        unlabelled: how many pictures have no mask.
        prompts: the JSON that tells the prompts; None where there is none.
    """

    published: PublishedSet
    cases: tuple[Case, ...]
    unlabelled: int
    prompts: Path | None


def find_sets(folder: Path, published: Iterable[PublishedSet]) -> list[FoundSet]:
    """The sets in ``folder``, which may also be the folder of one.

    Raises:
        InputError: there is none, one has no masks or two pictures of one name, or its JSON lacks a picture.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; give the one that holds the published sets.")
    places = {_plain(place.name): place for place in sorted(folder.iterdir()) if place.is_dir()}
    places.setdefault(_plain(folder.resolve().name), folder)
    known = tuple(published)
    found = [
        _read_set(each, places[_plain(each.name)], folder, *parts)
        for each in known
        if _plain(each.name) in places and (parts := _parts(places[_plain(each.name)]))
    ]
    if not found:
        names = ", ".join(each.name for each in known)
        raise InputError(
            f"{folder} has none of the published sets: give a folder with {names}, or some of them, each with "
            "test_images and test_masks in it."
        )
    return found


def read_pair(case: Case) -> tuple[Picture, np.ndarray]:
    """The picture, and its mask (H, W) bool.

    Raises:
        InputError: one of them cannot be read, or their sizes differ.
    """
    picture = read_picture(case.image)
    return picture, read_mask(case.mask, case.image, picture.pixels.shape)


def read_mask(path: Path, image: Path, shape: tuple[int, ...]) -> np.ndarray:
    """(H, W) bool from a picture of 0 and 1, or of 0 and 255, whatever a JPEG has made of them.

    Raises:
        InputError: it cannot be read, has other values, or another size than ``image``, which has ``shape``.
    """
    pixels = read_picture(path).pixels
    if pixels.shape != shape:
        sizes = (f"{width} x {height}" for height, width in (pixels.shape, shape))
        raise InputError(f"{path} is {next(sizes)} pixels and {image} is {next(sizes)}; give a mask of the same size.")
    highest = pixels.max()
    if 1 < highest <= _INSIDE:
        raise InputError(f"{path} has values up to {highest}; give a mask of 0 and 1, or of 0 and 255.")
    return pixels == 1 if highest <= 1 else pixels > _INSIDE


def find_masks(folder: Path, sets: Iterable[FoundSet]) -> dict[str, dict[str, Path]]:
    """Masks of a trained model: name of the set -> name of the picture -> file.

    Args:
        folder: has a folder for each set, or, where there is one set, its masks.

    Raises:
        InputError: a mask is missing, or there are two of one picture.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; give the one that holds the masks of the trained model.")
    places = {_plain(place.name): place for place in folder.iterdir() if place.is_dir()}
    chosen, found = tuple(sets), {}
    for each in chosen:
        name = each.published.name
        place = places.get(_plain(name)) or (folder if len(chosen) == 1 else folder / name)
        files = _pictures(place, _MASK)
        missing = next((case for case in each.cases if case.name not in files), None)
        if missing is not None:
            raise InputError(f"{place} has no mask of {missing.image}; add it, named as the picture.")
        found[name] = files
    return found


def _read_set(published: PublishedSet, place: Path, folder: Path, images: Path, masks: Path) -> FoundSet:
    pictures, truths = _pictures(images), _pictures(masks, _MASK)
    labelled = [name for name in pictures if name in truths]
    if not labelled:
        raise InputError(f"{masks} has no mask of a picture in {images}; give masks, named as the pictures.")
    file = _prompts_file(published, place, folder)
    texts = {} if file is None else _read_prompts(file)
    cases = tuple(
        Case(
            name,
            pictures[name],
            truths[name],
            published.person_of(name),
            None if file is None else _prompt_of(pictures[name], texts, file),
        )
        for name in labelled
    )
    return FoundSet(published, cases, len(pictures) - len(labelled), file)


def _parts(place: Path) -> tuple[Path, Path] | None:
    """The folders of pictures and masks of a set."""
    pairs = ((place / images, place / masks) for images, masks in _PARTS)
    return next(((images, masks) for images, masks in pairs if images.is_dir() and masks.is_dir()), None)


def _pictures(folder: Path, ending: str = "") -> dict[str, Path]:
    """Name without ending -> file, in the order of names."""
    found: dict[str, Path] = {}
    for file in sorted(folder.iterdir()) if folder.is_dir() else ():
        if file.suffix.lower() not in SUFFIXES or file.name.startswith("."):
            continue
        name = file.stem.removesuffix(ending)
        if name in found:
            raise InputError(f"{folder} has both {found[name].name} and {file.name}; keep one of them.")
        found[name] = file
    return found


def _prompts_file(published: PublishedSet, place: Path, folder: Path) -> Path | None:
    name = f"{published.name}_testing.json"
    places = (place, folder, *(folder / each for each in _PROMPTS))
    return next((file for each in places if (file := each / name).is_file()), None)


def _read_prompts(file: Path) -> Mapping[str, Any]:
    try:
        document = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise InputError(f"{file} is no JSON of prompts; give an object from names of pictures to prompts.")
    return document | {Path(name).stem: text for name, text in document.items() if name not in ("", ".")}


def _prompt_of(image: Path, texts: Mapping[str, Any], file: Path) -> str:
    text = texts.get(image.name, texts.get(image.stem))
    if text is None:
        raise InputError(f"{file} has no prompt for {image.name}; add it, or take the JSON away.")
    return checked_text(text, f"{file}: the prompt of {image.name}")


def _plain(name: str) -> str:
    """A name whatever its case and its separators: lung_CT, Lung-CT."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())
