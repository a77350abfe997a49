"""What an object in DICOM says of a segment: coded meaning, colour, and how it was made."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import slicer
from pydicom import Dataset
from pydicom.sr.coding import Code

from ... import __version__
from ..segmentation.provenance import Provenance, read_provenance, read_tag
from ..segmentation.segments import is_as_written
from .source import cut

FAMILY = Code("123110", "DCM", "Artificial Intelligence")  # CID 7162
_TISSUE = Code("85756007", "SCT", "Tissue")  # what 3D Slicer gives a segment that says nothing else
_SHORT_CODE = 16  # characters
_LT, _ST = 10_240, 1024  # of texts of these kinds


@dataclass(frozen=True)
class Finding:
    """A segment.

    Attributes:
        name: as the user knows it.
        category, kind: as of 3D Slicer's terminology; "tissue" where it does not know the name.
        modifier, region: a side, and where it is; None where nothing says so.
        colour: (red, green, blue), 0 to 1.
        algorithm: "AUTOMATIC", "SEMIAUTOMATIC" where a person pointed or corrected, "MANUAL" where no run made it.
        description: what was asked for.
        parameters: prompt, models with checksums, and settings, by name.
        version: of this package when it was made.
    """

    name: str
    category: Code
    kind: Code
    modifier: Code | None
    region: Code | None
    colour: tuple[float, float, float]
    algorithm: str
    description: str
    parameters: dict[str, str]
    version: str

    @property
    def label(self) -> str:
        """The name, as long as DICOM has it."""
        return cut(self.name)


def finding_of(segment: Any) -> Finding:
    """What is known of a vtkSegment."""
    entry, tag = slicer.vtkSlicerTerminologyEntry(), read_tag(segment, segment.GetTerminologyEntryTagName())
    if tag:
        slicer.vtkSlicerTerminologiesModuleLogic.DeserializeTerminologyEntry(tag, entry)
    made = read_provenance(segment)
    return Finding(
        segment.GetName(),
        _code(entry.GetCategoryObject()) or _TISSUE,
        _code(entry.GetTypeObject()) or _TISSUE,
        _code(entry.GetTypeModifierObject()),
        _code(entry.GetRegionObject() if hasattr(entry, "GetRegionObject") else entry.GetAnatomicRegionObject()),
        segment.GetColor(),
        _algorithm(segment, made),
        "drawn by hand" if made is None else cut(f"prompt: {'; '.join(made.prompt.wordings)}", _ST),
        {} if made is None else _parameters(made),
        __version__ if made is None else made.version,
    )


def code_item(code: Code) -> Dataset:
    """The item of a code."""
    item = Dataset()
    long = len(code.value) > _SHORT_CODE
    setattr(item, "LongCodeValue" if long else "CodeValue", code.value)
    item.CodingSchemeDesignator, item.CodeMeaning = code.scheme_designator, cut(code.meaning)
    return item


def parameters_text(finding: Finding) -> str:
    """The parameters in one text."""
    return cut(",".join(f"{name}={value}" for name, value in finding.parameters.items()), _LT)


def _code(coded: Any) -> Code | None:
    value, scheme = coded.GetCodeValue(), coded.GetCodingSchemeDesignator()
    return Code(value, scheme, coded.GetCodeMeaning() or value) if value and scheme else None


def _algorithm(segment: Any, made: Provenance | None) -> str:
    if made is None:
        return "MANUAL"
    by_hand = made.prompt.points or made.edited or not is_as_written(segment)
    return "SEMIAUTOMATIC" if by_hand else "AUTOMATIC"


def _parameters(made: Provenance) -> dict[str, str]:
    return {
        "prompt": json.dumps(list(made.prompt.wordings), ensure_ascii=False),
        "contrast": json.dumps(list(made.prompt.contrast), ensure_ascii=False),
        "points": json.dumps([[*point.ras, point.positive] for point in made.prompt.points]),
        **{model.role.replace(" ", "_"): f"{model.name} SHA-256 {model.checksum}" for model in made.models},
        "settings": json.dumps(dict(made.settings), sort_keys=True),
    }
