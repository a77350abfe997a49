"""What results in DICOM take over from the images: the patient, the study, and references to frames."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any
from warnings import catch_warnings, simplefilter

from pydicom import Dataset, config
from pydicom.multival import MultiValue
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

from ... import __version__
from ...engine.errors import InputError
from ..dicom.headers import number_of, value_of
from ..dicom.origin import Origin, SourceFrame, origin_of

MANUFACTURER = "MedCLIP-SAM"
PURPOSE = "Segments of prompts, for research only"
UTF_8 = "ISO_IR 192"  # names of patients and prompts, in whatever letters
_SERIES = 1000  # added to the number of the series of images
_LARGEST = 2**31 - 1 - _SERIES
_LONGEST = 64  # of a text of the kind LO

# Elements that have to be there, empty where nothing is known.
_NEEDED = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)
_FORMS = {
    "PatientBirthDate": r"\d{8}",
    "PatientSex": "[MFO]",
    "PatientAge": r"\d{3}[DWMY]",
    "StudyDate": r"\d{8}",
    "StudyTime": r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?",
}
_FILED = {"StudyInstanceUID": "Study Instance UID", "SeriesInstanceUID": "Series Instance UID"}


def check_highdicom(path: Path) -> None:
    """Refuse a result that the optional package highdicom makes, where it is not installed.

    Raises:
        InputError: it is not, or does not go with the pydicom that there is.
    """
    try:
        import_module("highdicom.seg")
    except ImportError:
        raise InputError(
            f"{path} needs the package highdicom; install it by: pip install 'medclipsam[dicom]'"
        ) from None


def source_of(path: Path, volume_node: Any, *, in_space: bool = False) -> Origin:
    """What a volume was read from, where a result in DICOM can be laid on it.

    Args:
        path: of the result, for messages.
        in_space: the result is of points in the patient.

    Raises:
        InputError: the volume is no DICOM, lacks UIDs by which results are filed, or is a picture and has no space.
    """
    origin, name = origin_of(volume_node), volume_node.GetName()
    if origin is None:
        raise InputError(
            f"{path} is written onto DICOM images, and {name} was not read from such; give the DICOM folder, "
            "or use .seg.nrrd."
        )
    if in_space and not origin.has_place:
        raise InputError(f"{path} holds contours in space, where the picture {name} has no place; use .seg.dcm.")
    missing = [said for tag, said in _FILED.items() if not value_of(origin.header, tag)]
    if origin.has_place and not value_of(origin.header, "FrameOfReferenceUID"):
        missing.append("Frame of Reference UID")
    if not all(frame.sop_class and frame.sop_instance for frame in origin.frames):
        missing.append("SOP Instance UID")
    if missing:
        raise InputError(f"{path} cannot refer to {name}, which has no {missing[0]}; export the series again.")
    return origin


@contextmanager
def lenient() -> Iterator[None]:
    """What is repeated of a patient is not checked again meanwhile, and pydicom warns of nothing."""
    with catch_warnings(), config.disable_value_validation():
        simplefilter("ignore")
        yield


def identity(origin: Origin) -> Dataset:
    """Patient, study, frame of reference, series and device of the images, in UTF-8, without what no reader takes."""
    made = Dataset()
    made.SpecificCharacterSet = UTF_8
    for element in origin.header:
        if element.keyword == "SpecificCharacterSet":
            continue
        value = value_of(origin.header, element.keyword)
        is_list = isinstance(value, MultiValue)
        texts = [str(part) for part in value] if is_list else str("" if value is None else value)
        if not is_list and not re.fullmatch(_FORMS.get(element.keyword, ".*"), str(texts), re.DOTALL):
            continue
        setattr(made, element.keyword, texts)  # as text: a name would be written in the letters that it was read in
    for keyword in _NEEDED:
        if keyword not in made:
            setattr(made, keyword, "")
    return made


def cut(text: str, longest: int = _LONGEST) -> str:
    """The beginning of a text that DICOM has room for: it counts characters, some readers the bytes of UTF-8."""
    return text.encode()[:longest].decode(errors="ignore").strip()


def series_number(origin: Origin) -> int:
    """Of a new series: that of the images and a thousand."""
    number = number_of(origin.header, "SeriesNumber", 0.0)
    return _SERIES + (int(number) if 0 < number < _LARGEST else 1)


def new_uid() -> UID:
    """An UID that nobody else has, made from random numbers (2.25, ITU-T X.667)."""
    return generate_uid(prefix=None)


def reference(frame: SourceFrame) -> Dataset:
    """To a frame, as other objects have it."""
    made = Dataset()
    made.ReferencedSOPClassUID, made.ReferencedSOPInstanceUID = frame.sop_class, frame.sop_instance
    if frame.number is not None:
        made.ReferencedFrameNumber = frame.number
    return made


def file_references(origin: Origin) -> list[Dataset]:
    """To each file of the images, once."""
    files = {frame.sop_instance: frame.sop_class for frame in origin.frames}
    made = []
    for instance, sop_class in files.items():
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, instance
        made.append(item)
    return made


def new_series(origin: Origin, names: list[str]) -> dict[str, Any]:
    """What highdicom is told of an object that is a new series by itself, with results of some names."""
    return {
        "series_instance_uid": new_uid(),
        "series_number": series_number(origin),
        "sop_instance_uid": new_uid(),
        "instance_number": 1,
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": MANUFACTURER,
        "software_versions": __version__,
        "series_description": series_description(names),
        "transfer_syntax_uid": ExplicitVRLittleEndian,
        "specific_character_set": UTF_8,
    }


def series_description(names: list[str]) -> str:
    """Of a new series with results of some names."""
    return cut(f"{MANUFACTURER}: {', '.join(names)}")
