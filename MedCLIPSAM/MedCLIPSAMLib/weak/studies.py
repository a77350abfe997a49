"""Studies of a folder, and whose they are."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError
from pydicom.misc import is_dicom

from ..engine.errors import InputError
from ..scene.volumes import SUFFIXES

_UP_TO_SUFFIX = re.compile(r"^(.*?\d)_")  # p07_slice3 -> p07
_LABELS = "_mask"  # a picture of this name, beside one without it, holds labels
_COLUMNS = ("study", "patient")


@dataclass(frozen=True)
class Study:
    """One image of somebody.

    Attributes:
        path: what is read: a file, or a folder of DICOM files.
        place: the same, relative to the folder of all studies, with strokes.
        patient: whose it is, as far as headers and names tell.
    """

    path: Path
    place: str
    patient: str

    @property
    def stem(self) -> str:
        """The place without its ending, in letters that nnU-Net and every disk take."""
        return re.sub(r"[^A-Za-z0-9]+", "-", without_suffix(self.place)).strip("-") or "case"


def find_studies(folder: Path, patients: Path | None = None) -> list[Study]:
    """All studies below a folder, sorted by name.

    Each file with a known ending is one; but NAME_mask beside NAME. A folder with none of these, and with DICOM files,
    is one, too.

    Args:
        patients: CSV file with the columns study and patient, the study as its path in ``folder``; it has the last
            word.

    Raises:
        InputError: no such folder, no study, or the file of patients cannot be read or names what is not there.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; give the folder that holds the studies.")
    paths = list(_below(folder))
    if not paths:
        raise InputError(f"{folder} holds no study; put volumes, pictures or DICOM folders there.")
    told = {} if patients is None else _read_patients(patients)
    places = {path.relative_to(folder).as_posix(): path for path in paths}
    if unknown := sorted(told.keys() - places.keys()):
        raise InputError(f"{patients} names {unknown[0]}, which is no study of {folder}; correct the file.")
    return [Study(path, place, told.get(place) or _patient(path, folder)) for place, path in sorted(places.items())]


def without_suffix(name: str) -> str:
    """A name without the ending of an image."""
    suffix = next((suffix for suffix in sorted(SUFFIXES, key=len)[::-1] if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(suffix)]


def _below(folder: Path) -> list[Path]:
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    files = [entry for entry in entries if entry.is_file()]
    images = [file for file in files if file.name.lower().endswith(SUFFIXES)]
    names = {without_suffix(file.name) for file in images}
    labels = {f"{name}{_LABELS}" for name in names}
    found = [file for file in images if without_suffix(file.name) not in labels]
    for entry in entries:
        if entry.is_dir():
            found += _below(entry)
    if not images and any(is_dicom(file) for file in files):
        found.append(folder)
    return found


def _patient(path: Path, folder: Path) -> str:
    """PatientID of DICOM; else the folder below that of all studies; else the name up to the first _ after a digit."""
    if told := _patient_id(path):
        return told
    parts = path.relative_to(folder).parts
    if len(parts) > 1 or path.is_dir():
        return parts[0] if parts else path.name
    name = without_suffix(path.name)
    match = _UP_TO_SUFFIX.match(name)
    return match[1] if match else name


def _patient_id(path: Path) -> str:
    files = (file for file in sorted(path.iterdir()) if file.is_file()) if path.is_dir() else iter((path,))
    file = next((file for file in files if is_dicom(file)), None)
    if file is None:
        return ""
    try:
        header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=["PatientID"])
    except (InvalidDicomError, OSError, ValueError, EOFError):
        return ""  # it will be told when it is read
    return str(header.get("PatientID") or "").strip()


def _read_patients(file: Path) -> Mapping[str, str]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error):
        raise InputError(f"{file} cannot be read; give a CSV file with the columns study and patient.") from None
    if not rows or any(not row.get(column) for row in rows for column in _COLUMNS):
        raise InputError(f"{file} lacks a study or a patient in a row; give a CSV file with these two columns.")
    return {Path(row["study"].strip()).as_posix(): row["patient"].strip() for row in rows}
