"""A dataset in nnU-Net's raw format, case by case, each of which is there whole or not at all."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..engine.errors import InputError
from ..engine.machine.temporary import temporary_folder
from ..scene.files.replacing import write_text
from .grid import Grid
from .studies import Study

IMAGES, LABELS, ENDING, CHANNEL = "imagesTr", "labelsTr", ".nii.gz", "_0000"
DATASET, SPLITS, DISCARDED, PAGE = "dataset.json", "splits_final.json", "discarded.txt", "thumbnails.html"
RAW, PREPROCESSED, RESULTS = "nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"
KEPT, FAILED = "kept", "failed"

_NAME = re.compile(r"Dataset(\d{3})_[A-Za-z0-9_-]+")
_RECORDS, _BEGUN = "medclipsam", "begun.json"
_FOLDS, _SEED = 5, 12345
_RESERVED = ("background", "ignore")  # labels that nnU-Net has itself
_MOST = 254  # labels, with the one to ignore in a byte


@dataclass(frozen=True)
class Record:
    """What became of a study.

    Attributes:
        study: its place; patient: whose it is; modality: as of `Volume`; flat: whether it is a single slice.
        outcome: "kept", "failed", or the reason for which it was left out.
        detail: the label that is the reason, or the sentence it failed with.
        scores, agreements: of each label, in their order, None where there is none.
    """

    study: str
    patient: str
    outcome: str
    detail: str = ""
    modality: str = "other"
    flat: bool = False
    scores: tuple[float | None, ...] = ()
    agreements: tuple[float | None, ...] = ()


class Dataset:
    """A folder DatasetNNN_NAME with images, labels, and a record of each study that was looked at.

    Attributes:
        folder: of it. Beside it, or beside a folder nnUNet_raw that holds it, are those of its training.
        records: by the names of cases, of all that were finished.

    Raises:
        InputError: another name, its number belongs to another dataset, or the folder holds something else.
    """

    def __init__(self, folder: Path) -> None:
        match = _NAME.fullmatch(folder.name)
        if match is None:
            raise InputError(f"{folder} is no name of a dataset; call it DatasetNNN_NAME, such as Dataset101_Liver.")
        self.folder = folder
        self.number = int(match[1])
        for place in (folder.parent, self.place(PREPROCESSED), self.place(RESULTS)):
            for other in sorted(place.glob(f"Dataset{match[1]}*")):
                if other.name != folder.name:
                    raise InputError(f"The number {match[1]} belongs to {other}; choose another number.")
        begun = (folder / _RECORDS / _BEGUN).is_file()
        if not begun and (folder.is_file() or any(entry.is_file() for entry in folder.rglob("*"))):
            raise InputError(f"{folder} exists and is not of `weak prepare`; choose another name.")
        self.records: dict[str, Record] = {}
        for file in sorted((folder / _RECORDS).glob("*.json")):
            if file.name != _BEGUN:
                with suppress(ValueError, TypeError):  # not of this program: the study is done again
                    self.records[file.stem] = Record(**json.loads(file.read_text("utf-8")))

    def place(self, name: str) -> Path:
        """The folder for preprocessed files, or for results, of all datasets of this place."""
        parent = self.folder.resolve().parent
        return (parent.parent if parent.name == RAW else parent) / name

    def begin(self, account: Mapping[str, Any]) -> None:
        """Make the folder, or go on in one that was begun for the same.

        Raises:
            InputError: it was begun with other prompts, models or options.
        """
        for name in (IMAGES, LABELS, _RECORDS):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        file = self.folder / _RECORDS / _BEGUN
        text = json.dumps(account, indent=2, ensure_ascii=False) + "\n"
        if not file.is_file():
            write_text(file, text)
        elif file.read_text("utf-8") != text:
            raise InputError(f"{self.folder} was begun with other prompts, models or options; choose another name.")

    def name_for(self, study: Study) -> str:
        """Of the case: that of before, or a new one, which no other study has."""
        for name, record in self.records.items():
            if record.study == study.place:
                return name
        taken = {name.casefold() for name in self.records}
        numbered = (study.stem if number == 1 else f"{study.stem}-{number}" for number in range(1, len(taken) + 2))
        return next(name for name in numbered if name.casefold() not in taken)

    def is_done(self, study: Study) -> bool:
        """Whether a study was finished before; one that failed is tried again."""
        return any(record.study == study.place and record.outcome != FAILED for record in self.records.values())

    def keep(self, name: str, record: Record, grid: Grid, labels: np.ndarray, picture: bytes) -> None:
        """Write a case.

        Args:
            labels: (K, J, I) of the volume.
            picture: PNG for the page of thumbnails.

        Raises:
            OSError: the disk is full, or the like; then nothing of the case is there.
        """
        with temporary_folder(self.folder) as folder:
            image, label = folder / f"image{ENDING}", folder / f"label{ENDING}"
            grid.write(grid.image(), image)
            grid.write(grid.turned(labels), label)
            (folder / "picture.png").write_bytes(picture)
            image.replace(self.folder / IMAGES / f"{name}{CHANNEL}{ENDING}")
            label.replace(self.folder / LABELS / f"{name}{ENDING}")
            (folder / "picture.png").replace(self.folder / _RECORDS / f"{name}.png")
        self.note(name, record)  # last: without it the case is done again

    def note(self, name: str, record: Record) -> None:
        """Write what became of a study."""
        write_text(self.folder / _RECORDS / f"{name}.json", json.dumps(asdict(record), indent=1, ensure_ascii=False))
        self.records[name] = record

    def kept(self) -> dict[str, Record]:
        """The cases to learn from, by name in order."""
        return {name: record for name, record in sorted(self.records.items()) if record.outcome == KEPT}

    def picture(self, name: str) -> bytes:
        """PNG of a kept case."""
        return (self.folder / _RECORDS / f"{name}.png").read_bytes()

    def left_out(self) -> Counter[str]:
        """How many studies were left out, by reason and label."""
        others = (record for record in self.records.values() if record.outcome != KEPT)
        return Counter(f"{r.detail}: {r.outcome}" if r.outcome != FAILED else FAILED for r in others)

    def finish(self, labels: Sequence[str]) -> None:
        """Write dataset.json and splits_final.json, nnU-Net's description of what is kept and not discarded.

        Raises:
            InputError: nothing is, or the list of what is discarded names what is no case.
        """
        discarded = self.discarded()
        kept = {name: record for name, record in self.kept().items() if name not in discarded}
        if not kept:
            counts = ", ".join(f"{count} {reason}" for reason, count in sorted(self.left_out().items()))
            why = counts or "all are discarded"
            raise InputError(f"No case is left to learn from ({why}); change the prompts, or lower the gate.")
        ct = all(record.modality == "CT" for record in kept.values())
        described = {
            "channel_names": {"0": "CT" if ct else "image"},  # by which nnU-Net chooses how to normalise
            "labels": {"background": 0, **{name: n for n, name in enumerate(labels, 1)}, "ignore": len(labels) + 1},
            "numTraining": len(kept),
            "file_ending": ENDING,
            "overwrite_image_reader_writer": "SimpleITKIO",
            "dataset": {
                name: {"images": [f"{IMAGES}/{name}{CHANNEL}{ENDING}"], "label": f"{LABELS}/{name}{ENDING}"}
                for name in kept
            },
        }
        patients = {name: record.patient for name, record in kept.items()}
        write_text(self.folder / SPLITS, json.dumps(splits(patients), indent=1) + "\n")
        write_text(self.folder / DATASET, json.dumps(described, indent=2, ensure_ascii=False) + "\n")

    def discarded(self) -> set[str]:
        """Cases that a person has thrown out.

        Raises:
            InputError: one is no case.
        """
        file = self.folder / DISCARDED
        if not file.is_file():
            return set()
        names = {line.strip() for line in file.read_text("utf-8-sig").splitlines() if line.strip()}
        if unknown := sorted(names - self.records.keys()):
            raise InputError(f"{file} names {unknown[0]}, which is no case; give one name a line.")
        return names


def check_labels(names: Sequence[str]) -> None:
    """Refuse prompts that cannot be labels.

    Raises:
        InputError: one is called as labels of nnU-Net are, or there are too many.
    """
    if wrong := next((name for name in names if name.casefold() in _RESERVED), None):
        raise InputError(f"The prompt {wrong!r} has the name of a label that nnU-Net has itself; call it otherwise.")
    if len(names) > _MOST:
        raise InputError(f"There are {len(names)} prompts, and labels are one byte; give at most {_MOST}.")


def splits(patients: Mapping[str, str]) -> list[dict[str, list[str]]]:
    """Up to five folds, each with other patients to validate on; none of a single patient.

    Args:
        patients: case -> whose it is.
    """
    people = sorted(set(patients.values()))
    np.random.default_rng(_SEED).shuffle(people)
    folds = [set(people[fold :: min(_FOLDS, len(people))]) for fold in range(min(_FOLDS, len(people)))]
    if len(folds) < 2:
        return []
    return [
        {
            "train": sorted(case for case, patient in patients.items() if patient not in held_out),
            "val": sorted(case for case, patient in patients.items() if patient in held_out),
        }
        for held_out in folds
    ]
