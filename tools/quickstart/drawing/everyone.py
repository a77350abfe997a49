"""All training volumes, from the folders named on the command line."""

from __future__ import annotations

from pathlib import Path

from ..language.labels import BRAIN, LABEL_INDEX
from .people import load_people
from .volumes import TrainingVolume, load_abdomen, load_chest, load_ct_head, load_head

# Where Debian's packages mricron-data and invesalius-examples put their files.
HEADS = Path("/usr/share/mricron/templates")
EXAMPLES = Path("/usr/share/doc/invesalius-examples/examples")


def load_all(clinical: Path, heads: Path, examples: Path, patients: Path) -> list[TrainingVolume]:
    """Every training volume; the folders are those of `train`.

    Raises:
        ValueError: ``heads`` holds no labelled brain.
    """
    own = [*load_abdomen(clinical), *load_chest(clinical), *load_ct_head(examples), *load_head(heads)]
    if not any(LABEL_INDEX[label] in own[-1].points for label in BRAIN):
        raise ValueError(f"{heads} holds no labelled brain; check the AAL label files of mricron-data")
    return own + load_people(patients)
