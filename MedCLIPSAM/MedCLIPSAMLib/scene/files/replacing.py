"""Several finished files take their places together, or none of them does."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from ...engine.machine.temporary import temporary_folder


def move_into_place(folder: Path, targets: Sequence[Path]) -> None:
    """Move finished files to `targets`, which may exist; where one cannot be moved, all stay as they were.

    Args:
        folder: temporary, with a file named as each of the targets, and on their disk, where a move is whole or
            not at all.
        targets: at least one.
    """
    *earlier, last = targets
    formers = {target: folder / f"{target.name}.former" for target in earlier if target.exists()}
    for target, former in formers.items():
        shutil.copy2(target, former)
    try:
        for target in (*earlier, last):
            (folder / target.name).replace(target)
    except BaseException:
        for target in earlier:
            if target in formers:
                formers[target].replace(target)
            else:
                target.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Writes a text file; what was there stays as it was if that fails with OSError."""
    with temporary_folder(path.parent) as folder:
        (folder / path.name).write_text(text, encoding="utf-8")
        move_into_place(folder, [path])
