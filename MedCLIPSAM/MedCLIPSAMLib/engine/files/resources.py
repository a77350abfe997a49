"""Where the data files of the package are, inside 3D Slicer and after `pip install`."""

from __future__ import annotations

from pathlib import Path

from ..errors import MedCLIPSAMError

_PACKAGE = Path(__file__).resolve().parents[2]
# Slicer and an editable install see Resources beside the package, a wheel carries it inside.
_FOLDERS = (_PACKAGE.parent / "Resources", _PACKAGE / "Resources")


def resource(name: str) -> Path:
    """The path of a file or folder of Resources, such as `QuickStart` or `Prompts/abdomen.json`.

    Raises:
        MedCLIPSAMError: this installation does not have it.
    """
    for folder in _FOLDERS:
        if (folder / name).exists():
            return folder / name
    raise MedCLIPSAMError(f"Resources/{name} is missing from this installation; install MedCLIP-SAM again.")
