"""One program at a file at a time, without anything to see beside it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.engine.machine.locking import reserved

BUSY = InputError("busy")


def locks() -> list[Path]:
    """Those in the user's folder for caches."""
    return sorted((Path(os.environ["XDG_CACHE_HOME"]) / "MedCLIPSAM" / "locks").glob("*"))


def test_a_second_one_is_told(tmp_path: Path) -> None:
    with reserved(tmp_path / "out", BUSY):
        for again in (tmp_path / "out", tmp_path / "folder" / ".." / "out"):
            with pytest.raises(InputError, match="busy"), reserved(again, BUSY):
                pass
        with reserved(tmp_path / "other", BUSY):
            assert len(locks()) == 2
        assert not list(tmp_path.iterdir())
    assert locks() == []
    with reserved(tmp_path / "out", BUSY):
        pass


def test_a_link_is_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "out")
    with (
        reserved(tmp_path / "out", BUSY),
        pytest.raises(InputError, match="busy"),
        reserved(tmp_path / "link", BUSY),
    ):
        pass


def test_what_killed_programs_left_goes(tmp_path: Path) -> None:
    with reserved(tmp_path / "out", BUSY):
        (folder,) = {lock.parent for lock in locks()}
    abandoned, young = folder / "a.lock", folder / "b.lock"
    for lock in (abandoned, young):
        lock.touch()
    os.utime(abandoned, (time.time() - 3600, time.time() - 3600))
    with reserved(tmp_path / "out", BUSY):
        assert young in locks()
        assert abandoned not in locks()


def test_a_folder_that_cannot_be_made_keeps_nobody_from_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with reserved(tmp_path / "out", BUSY), reserved(tmp_path / "out", BUSY):
        pass
