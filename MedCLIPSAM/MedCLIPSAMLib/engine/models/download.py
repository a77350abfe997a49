"""Models from their publishers, when a person asks: resumed where it broke off, checked, and only then stored."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from huggingface_hub import hf_hub_download
from huggingface_hub.file_download import http_get
from tqdm.auto import tqdm

from ..errors import Cancelled, MedCLIPSAMError, ModelError
from .catalogue import Entry, find_storable
from .store import Store

ReportBytes = Callable[[int, int], None]


def download_model(
    name: str, store: Store, progress: ReportBytes | None = None, cancelled: Callable[[], bool] | None = None
) -> Entry:
    """Fetches a model from its publisher into the store; what was fetched before a break is not fetched again.

    Proxies and a mirror of the hub are taken from the environment (HTTPS_PROXY, HF_ENDPOINT).

    Args:
        progress: told bytes that are here and bytes in all, about.
        cancelled: asked as often.

    Raises:
        ModelError: it is built in, there is no public address of it, it cannot be reached, what came is not what was
            published, or another program is at work on it.
        Cancelled: ``cancelled`` said so; the part that came is kept for the next time.
    """
    entry = find_storable(name)
    if not entry.can_be_downloaded:
        raise ModelError(f"{entry.title} cannot be downloaded: get it {entry.source}, and import it.")
    folder = store.folders[0] / f".download-{name}"
    bar = type("Bar", (_Bar,), {"told": _Told(entry, progress, cancelled)})
    with store.alone(name):  # two that go on with the same file would spoil it
        try:
            folder.mkdir(exist_ok=True)
            for file in entry.files:
                if entry.hub:
                    mirror = os.environ.get("HF_ENDPOINT")  # the library reads it only when it is imported
                    hf_hub_download(entry.hub, file, local_dir=folder, tqdm_class=bar, endpoint=mirror)
                else:
                    _fetch(entry.url, folder / file, bar)
        except MedCLIPSAMError:
            raise
        except Exception as error:  # the HTTP libraries below have kinds of their own
            raise ModelError(f"{entry.title} cannot be fetched from {entry.source}: {_in_short(error)}") from None
        try:
            store.add(entry, {file: folder / file for file in entry.files}, entry.source)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return entry


class _Told:
    """Bytes that came, over all files of a model."""

    def __init__(self, entry: Entry, progress: ReportBytes | None, cancelled: Callable[[], bool] | None) -> None:
        self._entry, self._progress, self._cancelled, self._here = entry, progress, cancelled, 0

    def add(self, count: float) -> None:
        self._here += int(count)
        if self._cancelled is not None and self._cancelled():
            raise Cancelled(f"The download of {self._entry.title} was cancelled.")
        if self._progress is not None:
            total = self._entry.megabytes * 1_000_000
            self._progress(min(self._here, total), total)


class _Bar(tqdm):
    """The hub's progress bar, heard instead of seen."""

    told: _Told

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **{**named, "disable": True})
        self.told.add(named.get("initial") or 0)

    def update(self, n: float | None = 1) -> bool | None:
        self.told.add(n or 0)
        return super().update(n)


def _fetch(url: str, path: Path, bar: Any) -> None:
    """One file by its address, whole under its name only."""
    if path.exists():
        return
    unfinished = path.with_name(f"{path.name}.incomplete")
    with unfinished.open("ab") as file:
        http_get(url, file, resume_size=file.tell(), displayed_filename=path.name, tqdm_class=bar)
    unfinished.rename(path)


def _in_short(error: Exception) -> str:
    return f"{str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__}."
