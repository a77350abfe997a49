"""Models on this computer: one folder for each, put there whole or not at all, by one program at a time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

from filelock import FileLock

from ..errors import ModelError, NotInstalledError
from ..files.checksum import sha256
from ..machine.locking import held
from .catalogue import Entry, entry_of, find_entry, find_storable
from .location import folders_of_store
from .own import CARD

State = Literal["built in", "ready", "not installed", "damaged"]

_RECORD = "medclipsam.json"  # beside the files of a model: their sizes and checksums when they came
# In the store, followed by the name of a model: its lock, and where it is made.
_LOCK, _ROOM = ".lock-", ".part-"
_FORMER, _GONE = "former", "gone"  # in such a room: what comes back if its successor does not come; what goes


class Store:
    """Folders with models, the first of which new ones go to.

    Args:
        folders: None takes those of the environment variable, or else the user's.

    Raises:
        InputError: as of `folders_of_store`, where ``folders`` is None.
    """

    def __init__(self, folders: list[Path] | None = None) -> None:
        self.folders = folders or folders_of_store()
        self._locks: dict[str, FileLock] = {}  # the same one for a model, so that its holder can take it again

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
            ModelError: it is not in the catalogue, built in, not installed, or damaged.
        """
        entry, folder = find_storable(name), self._find(name)
        if folder is None:
            how = "download or import it" if entry.can_be_downloaded else f"get it {entry.source}, and import it"
            raise NotInstalledError(f"{entry.title} is not installed: {how}.", entry.installed_by)
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

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Keeps other programs from changing a model; all can read it meanwhile.

        What programs that were killed have left in the store is cleared away first.

        Raises:
            ModelError: another program is at work on the model, or the store cannot be written.
        """
        store = self.folders[0]
        with ExitStack() as stack:
            try:
                store.mkdir(parents=True, exist_ok=True)
                stack.enter_context(self._lock(name))
            except OSError as error:
                raise _unwritable(store, error) from None
            self._clear_left_overs()
            yield

    def remove(self, name: str) -> None:
        """Deletes a model.

        Raises:
            ModelError: it is built in or not installed, or in a folder that is only read, or as of `alone`.
        """
        entry, folder = find_storable(name), self.folders[0] / name
        if self.folders[0].is_dir():  # a lock would make it
            with self.alone(name):
                if folder.is_dir():
                    with self._room(name) as room:
                        folder.rename(room / _GONE)
                    return
        other = self._find(name)
        where = f"in '{other}', which others share" if other else "not installed"
        raise ModelError(f"{entry.title} cannot be removed: it is {where}.")

    def add(self, entry: Entry, files: Mapping[str, Path], source: str) -> Path:
        """Copies the files of a model, by the names that they get, in place of what the store has of it.

        Args:
            source: where they come from, for the record.

        Returns:
            The folder of the model.

        Raises:
            ModelError: a file is not that of the publisher, or cannot be written, or as of `alone`.
        """
        folder = self.folders[0] / entry.name
        with self.alone(entry.name), self._room(entry.name) as room:
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
                folder.rename(room / _FORMER)
            new.rename(folder)
        return folder

    def files(self, name: str) -> dict[str, Path]:
        """The files of a model that is ready, by name.

        Raises:
            ModelError: as of `folder`.
        """
        folder = self.folder(name)
        return {file: folder / file for file in _files(folder)}

    def checksums(self, name: str) -> dict[str, str]:
        """SHA-256 of the files of a model that is ready, when they came.

        Raises:
            ModelError: as of `folder`.
        """
        return {file: kept["sha256"] for file, kept in _files(self.folder(name)).items()}

    def _find(self, name: str) -> Path | None:
        return next((folder / name for folder in self.folders if (folder / name).is_dir()), None)

    def _lock(self, name: str) -> AbstractContextManager[None]:
        store = self.folders[0]
        if name not in self._locks:
            self._locks[name] = FileLock(store / f"{_LOCK}{name}")
        entry = entry_of(name)  # one that was made on own data has none before it is there
        title = entry.title if entry else f"'{name}'"
        busy = ModelError(f"Another program is at work on {title} in '{store}': try again when it is done.")
        return held(self._locks[name], busy)

    def _clear_left_overs(self) -> None:
        for room in self.folders[0].glob(f"{_ROOM}*"):
            name = room.name.removeprefix(_ROOM)
            if entry_of(name) or any(room.glob(f"*/{CARD}")):  # else it is none of ours
                with suppress(ModelError, OSError), self._lock(name):  # a model at work has its room
                    self._clear(room, name)

    @contextmanager
    def _room(self, name: str) -> Iterator[Path]:
        """A private folder on the disk of the store, so that a move within it is whole or not at all."""
        room = self.folders[0] / f"{_ROOM}{name}"
        try:
            room.mkdir()
            try:
                yield room
            finally:
                self._clear(room, name)
        except OSError as error:
            raise _unwritable(self.folders[0], error) from None

    def _clear(self, room: Path, name: str) -> None:
        former, folder = room / _FORMER, self.folders[0] / name
        if former.exists():
            # Before anything is deleted: what is left of a model must never come back.
            former.rename(room / _GONE if folder.exists() else folder)
        shutil.rmtree(room, ignore_errors=True)


def _unwritable(folder: Path, error: OSError) -> ModelError:
    return ModelError(f"'{folder}' cannot be written ({error.strerror}): choose another store.")


def _files(folder: Path) -> dict[str, dict]:
    try:
        files = json.loads((folder / _RECORD).read_text("utf-8"))["files"]
        if any(name in ("", "..") or Path(name).name != name for name in files):  # it would lead out of the folder
            raise ValueError
        return {name: {"size": int(kept["size"]), "sha256": str(kept["sha256"])} for name, kept in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise ModelError(f"'{folder}' is damaged: remove the model and import it again.") from None


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None
