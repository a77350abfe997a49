"""Labelled people on disk: a folder for each source, and in it pictures with masks, or volumes with label maps."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import slicer

from ...engine.errors import InputError
from ...engine.volume import Volume
from ...scene.pictures import read_numbers, read_picture
from ...scene.volumes import volume_of
from ..labels import read_labels, read_names

NAMES, ABOUT = "labels.json", "validation.json"
_MASK, _LABELS, _VOLUME = "_mask.png", "_labels.nii.gz", ".nii.gz"
_IMAGES = ("", "_ct", "_mr")  # what stands behind the name of an image


@dataclass(frozen=True)
class Source:
    """What is known of the people of one folder.

    Attributes:
        names: label number -> name, of `labels.json`.
        prompts: text -> names of the labels that it means together; each name by itself if nothing is said.
        absent: texts of structures that nobody in the folder has in view.
        modality: "CT", "MR" or another word for tables.
        partial: a structure that an image has no label of may be there all the same.
    """

    name: str
    names: Mapping[int, str]
    prompts: Mapping[str, Sequence[str]]
    absent: tuple[str, ...] = ()
    modality: str = ""
    partial: bool = False

    @classmethod
    def read(cls, folder: Path) -> Source:
        """Of a folder with `labels.json` and, if there is more to say, `validation.json`.

        Raises:
            InputError: one of them is no such file, or names a label that is not there.
        """
        names = read_names(folder / NAMES)
        each = {name: [name] for name in dict.fromkeys(names.values())}
        file = folder / ABOUT
        if not file.is_file():
            return cls(folder.name, names, each)
        try:
            about: Any = json.loads(file.read_text("utf-8"))
            prompts = {str(text): [str(name) for name in parts] for text, parts in about.get("prompts", {}).items()}
            absent = tuple(map(str, about.get("absent", ())))
            modality, partial = str(about.get("modality", "")), bool(about.get("partial", False))
        except (OSError, ValueError, AttributeError, TypeError):
            raise InputError(f"{file} is no description of labelled people; see docs/how-to/validate.md.") from None
        unknown = {name for parts in prompts.values() for name in parts} - set(names.values())
        if unknown:
            raise InputError(f"{file} names the label {min(unknown)!r}, which {NAMES} does not; use its names.")
        return cls(folder.name, names, prompts or each, absent, modality, partial)

    def numbers(self, text: str) -> list[int]:
        """Label numbers that a prompt means; none for one of ``absent``."""
        return [number for number, name in self.names.items() if name in self.prompts.get(text, ())]


@dataclass(frozen=True)
class Labelled:
    """An image and its label map.

    Attributes:
        person: what stands before "__" or the last "_" in the name.
    """

    source: Source
    person: str
    image: Path
    labels: Path
    name: str


def find_people(folder: Path) -> list[Labelled]:
    """All labelled images of ``folder`` and the folders in it, in the order of their names.

    Raises:
        InputError: there are none, or a description of them is damaged.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; give the folder that holds the labelled people.")
    sources = sorted({file.parent for file in folder.glob(f"**/{NAMES}")})
    found = [case for place in sources for case in _cases(Source.read(place), place)]
    if not found:
        raise InputError(
            f"{folder} has no labelled images: it needs {NAMES} beside NAME.png and NAME{_MASK}, or beside "
            f"NAME_ct{_VOLUME} and NAME{_LABELS}."
        )
    return found


def read_case(case: Labelled) -> tuple[Volume, np.ndarray]:
    """The volume, and its labels (K, J, I) on the same grid.

    Raises:
        InputError: one of the files is damaged, or their sizes differ.
    """
    if case.image.suffix == ".png":
        volume = read_picture(case.image).as_volume(case.name)
        labels = read_numbers(case.labels)[None]
    else:
        volume = volume_of(case.image)
        labels_node, labels = read_labels(case.labels, case.source.names)
        slicer.mrmlScene.RemoveNode(labels_node)
    if labels.shape != volume.array.shape:
        raise InputError(f"{case.labels} has another size than {case.image}; give labels on the grid of the image.")
    return volume, labels


def _cases(source: Source, folder: Path) -> Iterator[Labelled]:
    for mask in sorted(folder.glob(f"*{_MASK}")):
        name = mask.name.removesuffix(_MASK)
        image = mask.with_name(f"{name}.png")
        if image.is_file():
            yield Labelled(source, name.split("__")[0] if "__" in name else name, image, mask, name)
    for labels in sorted(folder.glob(f"*{_LABELS}")):
        name = labels.name.removesuffix(_LABELS)
        images = [
            file
            for file in sorted(folder.glob(f"{name}*{_VOLUME}"))
            if file != labels
            and file.name.removesuffix(_VOLUME).removeprefix(name).lstrip("_") in ("", "ct", "mr", "t1", "t2")
        ]
        if images:
            yield Labelled(source, name, images[0], labels, name)
