"""Where models are kept on this computer: one folder for each, put there whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import platformdirs

from ..checksum import sha256
from ..errors import ModelError
from .catalogue import Entry, find_entry

VARIABLE = "MEDCLIPSAM_MODELS"  # environment: folders as in PATH, the first for new models, the others only read
State = Literal["built in", "ready", "not installed", "damaged"]

_RECORD = "medclipsam.json"  # beside the files of a model: their sizes and checksums when they came


class Store:
    """Folders with models, the first of which new ones go to.

    Args:
        folders: None takes those of the environment variable, or else the user's data folder.
    """

    def __init__(self, folders: list[Path] | None = None) -> None:
        named = [Path(part).expanduser() for part in os.environ.get(VARIABLE, "").split(os.pathsep) if part]
        self.folders = folders or named or [Path(platformdirs.user_data_dir("MedCLIPSAM", False)) / "models"]

    def state(self, entry: Entry) -> State:
        """Whether a model can be used, told from the names and sizes of its files; `verify` reads them."""
        if entry.built_in:
            return "built in"
        folder = self._find(entry.name)
        if folder is None:
            return "not installed"
        try:
            sizes = {name: kept["size"] for name, kept in _files(folder).items()}
        except ModelError:
            return "damaged"
        whole = bool(sizes) and all(_size(folder / name) == size for name, size in sizes.items())
        return "ready" if whole else "damaged"

    def folder(self, name: str) -> Path:
        """The folder of a model that is ready.

        Raises:
            ModelError: it is not in the catalogue, not installed, or damaged.
        """
        entry, folder = find_entry(name), self._find(name)
        if folder is None:
            how = "download or import it" if entry.can_be_downloaded else f"get it {entry.source}, and import it"
            raise ModelError(f"{entry.title} is not installed: {how}.")
        if self.state(entry) == "damaged":
            raise ModelError(f"{entry.title} in '{folder}' is damaged: remove it and import it again.")
        return folder

    def weights_file(self, name: str) -> Path:
        """The only file of a segmenter that is ready.

        Raises:
            ModelError: as of `folder`.
        """
        folder = self.folder(name)
        return folder / next(iter(_files(folder)))

    def verify(self, name: str) -> None:
        """Compares every file with its checksum: the publisher's where it is known, else that of its arrival.

        Raises:
            ModelError: as of `folder`, or a file has changed.
        """
        entry, folder = find_entry(name), self.folder(name)
        for file, kept in _files(folder).items():
            if sha256(folder / file) != entry.sha256.get(file, kept["sha256"]):
                raise ModelError(f"{entry.title} is damaged: '{folder / file}' has changed; import it again.")

    def remove(self, name: str) -> None:
        """Deletes a model.

        Raises:
            ModelError: it is not installed, or in a folder that is only read.
        """
        entry, folder = find_entry(name), self.folders[0] / name
        if not folder.is_dir():
            other = self._find(name)
            where = f"in '{other}', which others share" if other else "not installed"
            raise ModelError(f"{entry.title} cannot be removed: it is {where}.")
        with self._room(folder) as room:
            folder.rename(room / "former")

    def add(self, entry: Entry, files: Mapping[str, Path], source: str) -> Path:
        """Copies the files of a model, by the names that they get, in place of what the store has of it.

        Args:
            source: where they come from, for the record.

        Returns:
            The folder of the model.

        Raises:
            ModelError: a file is not that of the publisher, or cannot be written.
        """
        folder = self.folders[0] / entry.name
        with self._room(folder) as room:
            new = room / entry.name
            new.mkdir()
            record = {}
            for name, path in files.items():
                shutil.copyfile(path, new / name)
                record[name] = {"size": (new / name).stat().st_size, "sha256": sha256(new / name)}
                if entry.sha256.get(name, record[name]["sha256"]) != record[name]["sha256"]:
                    raise ModelError(f"'{path}' is not the published {name} of {entry.title}: fetch it again.")
            arrived = datetime.now(timezone.utc).isoformat(timespec="seconds")
            content = {"source": source, "arrived": arrived, "files": record}
            (new / _RECORD).write_text(json.dumps(content, indent=2), encoding="utf-8")
            if folder.exists():
                folder.rename(room / "former")
            new.rename(folder)
        return folder

    def files(self, name: str) -> dict[str, Path]:
        """The files of a model that is ready, by name.

        Raises:
            ModelError: as of `folder`.
        """
        folder = self.folder(name)
        return {file: folder / file for file in _files(folder)}

    def _find(self, name: str) -> Path | None:
        return next((folder / name for folder in self.folders if (folder / name).is_dir()), None)

    @contextmanager
    def _room(self, folder: Path) -> Iterator[Path]:
        """A private folder on the disk of the store, so that a move within it is whole or not at all."""
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(prefix=".part-", dir=folder.parent) as room:
                yield Path(room)
        except OSError as error:
            raise ModelError(f"'{folder.parent}' cannot be written ({error.strerror}): choose another store.") from None


def _files(folder: Path) -> dict[str, dict]:
    try:
        files = json.loads((folder / _RECORD).read_text("utf-8"))["files"]
        return {Path(str(name)).name: {"size": int(kept["size"]), **kept} for name, kept in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise ModelError(f"'{folder}' is damaged: remove the model and import it again.") from None


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None
