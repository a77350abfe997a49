"""Another program at work on the same models, which stops at one place of its work, to be killed there."""

from __future__ import annotations

import multiprocessing
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from MedCLIPSAMLib.engine.errors import ModelError
from MedCLIPSAMLib.engine.models.catalogue import find_entry, shipped
from MedCLIPSAMLib.engine.models.store import Store

MODEL, FILE = "medsam-vit-b", "medsam-vit-b.safetensors"


@contextmanager
def rival(work: Callable[..., None], reached: Path, *arguments: Any) -> Iterator[Any]:
    """A process that has come to the place where its work stops; ended by SIGKILL with the block, if not in it."""
    process = multiprocessing.get_context("spawn").Process(target=work, args=(reached, *arguments))
    process.start()
    try:
        while not reached.exists():
            assert process.is_alive(), "it ended before it came to the place"
            time.sleep(0.02)
        yield process
    finally:
        process.kill()
        process.join()


def import_file(reached: Path, store: Path, path: Path) -> None:
    """Stops in the middle of copying."""
    from MedCLIPSAMLib.engine.models.importing import import_model

    def copy(source: Path, target: Path) -> None:
        Path(target).write_bytes(Path(source).read_bytes()[:100])
        _stop(reached)

    shutil.copyfile = copy  # type: ignore[assignment]
    import_model(path, Store([store]), MODEL)


def replace_model(reached: Path, store: Path, path: Path, moved_to: str) -> None:
    """Stops when a folder was moved to that name."""
    move = Path.rename

    def rename(self: Path, target: Any) -> Path:
        moved = move(self, target)
        if Path(target).name == moved_to:
            _stop(reached)
        return moved

    Path.rename = rename  # type: ignore[method-assign]
    Store([store]).add(find_entry(MODEL), {FILE: path}, "a rival")


def remove_model(reached: Path, store: Path) -> None:
    """Stops when half of the model is deleted."""

    def delete(folder: Path, **_: Any) -> None:
        next(Path(folder).rglob(FILE)).unlink()
        _stop(reached)

    shutil.rmtree = delete  # type: ignore[assignment]
    Store([store]).remove(MODEL)


def download(reached: Path, store: Path, name: str, url: str, checksum: str) -> None:
    """Stops when a third of the file is on the disk."""
    from MedCLIPSAMLib.engine.models.download import download_model

    entry = find_entry(name)
    shipped()[name] = replace(entry, url=url, sha256={entry.files[0]: checksum})

    def progress(here: int, _total: int) -> None:
        if here > 15_000_000:
            _stop(reached)

    download_model(name, Store([store]), progress)


def export(reached: Path, store: Path, path: Path) -> None:
    """Stops in the middle of the zip file."""
    from MedCLIPSAMLib.engine.models.importing import export_model

    write = zipfile.ZipFile.write

    def written(self: zipfile.ZipFile, *arguments: Any) -> None:
        write(self, *arguments)
        _stop(reached)

    zipfile.ZipFile.write = written  # type: ignore[method-assign]
    export_model(MODEL, Store([store]), path)


def import_and_remove(store: Path, folder: Path, seconds: float) -> None:
    """Puts the files of a folder into the store, and now and then removes them, as often as nobody else is at it."""
    entry, end = find_entry(MODEL), time.monotonic() + seconds
    rounds = 0
    while time.monotonic() < end:
        rounds += 1
        try:
            if rounds % 5 == 0:
                Store([store]).remove(MODEL)
            else:
                Store([store]).add(entry, {file.name: file for file in folder.iterdir()}, folder.name)
        except ModelError as error:
            if "at work on" not in str(error) and "not installed" not in str(error):
                raise


def _stop(reached: Path) -> None:
    reached.touch()
    time.sleep(600)
