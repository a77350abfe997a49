"""Reports, pictures and evidence on disk: refused before the work, never half-written."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ..engine.errors import InputError
from ..engine.machine import locking
from ..engine.machine.temporary import temporary_folder
from ..scene.files.replacing import move_into_place

_LETTERS = 20  # of a prompt in the name of a file


def file_stem(number: int, name: str) -> str:
    """What the names of a prompt's files begin with: short, and of letters that every disk takes."""
    words = re.findall(r"[a-z0-9]+", name.lower())
    short = ""
    for word in words:
        if short and len(short) + len(word) >= _LETTERS:
            break
        short = f"{short}-{word[:_LETTERS]}"
    return f"{number:02}{short}"


def check_file(path: Path, *suffixes: str, force: bool) -> None:
    """Refuse the path of a new file, which ends in one of some suffixes.

    Raises:
        InputError: another ending, a folder, there already without `force`, or its folder cannot be written to.
    """
    if not path.name.lower().endswith(suffixes):
        raise InputError(f"{path} does not end in {' or '.join(suffixes)}; give a name which does.")
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the name of a file.")
    _check_parent(path)
    if path.exists() and not force:
        raise InputError(f"{path} exists; choose another name or use --force to replace it.")


def check_folder(path: Path, *, force: bool) -> None:
    """Refuse the path of a folder to fill.

    Raises:
        InputError: a file, not empty without `force`, or its folder cannot be written to.
    """
    if path.exists() and not path.is_dir():
        raise InputError(f"{path} is a file; give the name of a folder.")
    _check_parent(path)
    if path.is_dir():
        _check_writable(path)
        if not force and any(path.iterdir()):
            raise InputError(f"{path} is not empty; choose another folder or use --force to replace files in it.")


def check_apart(source: Path, *targets: Path | None) -> None:
    """Refuse to write over what is read, or twice to the same place.

    Raises:
        InputError: two of the paths are the same.
    """
    seen = {source.resolve()}
    for path in filter(None, targets):
        if path.resolve() in seen:
            raise InputError(f"{path} is named twice, to read or to write; give each file a name of its own.")
        seen.add(path.resolve())


@contextmanager
def reserved(*targets: Path | None) -> Iterator[None]:
    """No other run writes to `targets` meanwhile.

    Raises:
        InputError: another run is at one of them.
    """
    with ExitStack() as stack:
        for target in filter(None, targets):
            busy = InputError(f"{target}: another run is writing it; wait for that, or name another.")
            stack.enter_context(locking.reserved(target, busy))
        yield


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Where to write what becomes `path` once all is well, and vanishes otherwise."""
    target = path.resolve()  # a link stays one
    with _named(path), temporary_folder(target.parent) as folder:
        unfinished = folder / path.name
        yield unfinished
        unfinished.replace(target)


@contextmanager
def new_files(folder: Path) -> Iterator[Path]:
    """A folder whose files move to `folder` once all is well; what else is in that one stays."""
    with _named(folder), temporary_folder(folder.parent) as unfinished:
        yield unfinished
        folder.mkdir(exist_ok=True)
        move_into_place(unfinished, [folder / file.name for file in sorted(unfinished.iterdir())])


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """A disk that is full, and the like, is told with the name that the user gave."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None


def _check_parent(path: Path) -> None:
    if not path.parent.is_dir():
        raise InputError(f"The folder {path.parent} does not exist; create it first.")
    _check_writable(path.parent)


def _check_writable(folder: Path) -> None:
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"The folder {folder} cannot be written to; choose another one.")
