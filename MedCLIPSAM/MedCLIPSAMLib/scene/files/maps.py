"""Maps of numbers that lie on a volume, such as uncertainty, as files: one for each prompt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import slicer

from ...engine.errors import InputError
from ...engine.machine.temporary import temporary_folder
from ..host import quiet
from ..names import safe_names
from .replacing import move_into_place
from .saving import check_place, check_right_angles, is_whole, on_grid_of

SUFFIXES = (".nrrd", ".nii.gz")


def check_map(path: Path, names: Sequence[str], *, force: bool) -> Path:
    """Refuse the path of maps before any work is done for them; of a link, give where it leads.

    Args:
        names: of the prompts.

    Raises:
        InputError: unknown ending, that of a segmentation among them, or what `check_place` refuses.
    """
    path = path.resolve() if path.is_symlink() else path
    if _suffix(path) is None:
        raise InputError(f"{path} has no ending that a map can have; use {' or '.join(SUFFIXES)}.")
    if path.name.lower().endswith(".seg.nrrd"):
        raise InputError(f"{path} would be taken for a segmentation; leave out .seg.")
    check_place(path, map_files(path, names), force=force)
    return path


def check_map_grid(path: Path, volume_node: Any) -> None:
    """Refuse, before the work, a volume whose grid the file cannot hold.

    Raises:
        InputError: its axes are not at right angles.
    """
    check_right_angles(volume_node, path, "use a volume without shear")


def map_files(path: Path, names: Sequence[str]) -> tuple[Path, ...]:
    """The files of the maps, by prompt: ``path`` itself for a single one, else MAP-PROMPT."""
    if len(names) == 1:
        return (path,)
    suffix = path.name[-len(_suffix(path) or "") :]  # in the case it was typed
    return tuple(path.with_name(f"{path.name[: -len(suffix)]}-{name}{suffix}") for name in safe_names(names))


def save_map(values: np.ndarray, volume_node: Any, path: Path) -> None:
    """Write numbers on the grid of the volume's file, in place of what is there; linear transforms are applied.

    Args:
        values: (K, J, I) float32.

    Raises:
        InputError: the writing failed; an existing file is then as it was.
    """
    try:
        with temporary_folder(path.parent) as folder:
            unfinished = folder / path.name
            with on_grid_of(volume_node, values, "vtkMRMLScalarVolumeNode") as node, quiet():
                storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
                storage.SetFileName(str(unfinished))
                written = storage.WriteData(node)
            if not (written and unfinished.is_file() and is_whole(unfinished)):
                raise InputError(f"{path} could not be written; check the free space.")
            move_into_place(folder, [path])
    except OSError as error:
        raise InputError(f"{path} could not be written ({error.strerror}); choose another place.") from None


def _suffix(path: Path) -> str | None:
    return next((suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)), None)
