"""Temporary folders are private, and gone in the end, whatever ends the program that made them."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from MedCLIPSAMLib.engine.machine import temporary
from MedCLIPSAMLib.engine.machine.temporary import TemporaryFolder, temporary_folder

_PACKAGES = Path(temporary.__file__).parents[3]
_MAKE = f"""
import sys; sys.path.insert(0, {str(_PACKAGES)!r})
from pathlib import Path
from MedCLIPSAMLib.engine.machine.temporary import TemporaryFolder
folder = TemporaryFolder(Path({{place!r}}))
(folder.path / "voxels").write_text("secret")
print(folder.path, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another program that has made a temporary folder, an hour ago, and still runs."""
    code = _MAKE.format(place=str(tmp_path))
    program = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    path = Path(program.stdout.readline().strip())
    os.utime(path.parent, (time.time() - 3600, time.time() - 3600))
    yield program
    program.kill()
    program.wait()


@pytest.mark.row("temporary-files")
def test_only_the_user_may_look_inside(tmp_path: Path) -> None:
    with temporary_folder(tmp_path) as path:
        assert not list(path.iterdir())
        (made,) = tmp_path.iterdir()
        assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert not list(tmp_path.iterdir())


@pytest.mark.row("temporary-files")
def test_it_goes_with_its_object(tmp_path: Path) -> None:
    folder = TemporaryFolder(tmp_path)
    (folder.path / "file").write_text("text")
    del folder
    assert not list(tmp_path.iterdir())


@pytest.mark.row("temporary-files")
@pytest.mark.row("kill")
def test_what_a_killed_program_left_is_removed_by_the_next(tmp_path: Path, other: subprocess.Popen[str]) -> None:
    with temporary_folder(tmp_path):
        assert len(list(tmp_path.rglob("voxels"))) == 1, "the other one still runs"
    other.kill()
    other.wait()
    with temporary_folder(tmp_path):
        assert not list(tmp_path.rglob("voxels"))
    assert not list(tmp_path.iterdir())


def test_a_young_folder_may_belong_to_a_program_that_has_not_locked_it_yet(tmp_path: Path) -> None:
    young = tmp_path / ".medclipsam-young"
    young.mkdir()
    (young / "lock").touch()
    with temporary_folder(tmp_path):
        assert young.is_dir()


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    alien = tmp_path / ".medclipsam-of-a-user"
    alien.mkdir()
    (alien / "file").write_text("text")
    os.utime(alien, (0, 0))
    with temporary_folder(tmp_path):
        pass
    assert (alien / "file").read_text() == "text"
