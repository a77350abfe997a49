"""Where models are kept: the environment comes before the user's setting, and that before the user's data folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.engine.models import location
from MedCLIPSAMLib.engine.models.location import choose_default, choose_folder, settings_file
from MedCLIPSAMLib.engine.models.store import Store


@pytest.fixture(autouse=True)
def home(model_store, monkeypatch) -> Path:
    """Of a user who has set nothing, not in the environment either."""
    monkeypatch.delenv(location.VARIABLE)
    return Path(os.environ["XDG_DATA_HOME"])


def test_the_environment_comes_first_then_the_setting(home, tmp_path, monkeypatch):
    assert Store().folders == [home / "MedCLIPSAM" / "models"]
    choose_folder(tmp_path / "new" / "models")
    assert (tmp_path / "new" / "models").is_dir()
    assert Store().folders == [tmp_path / "new" / "models"]
    monkeypatch.setenv(location.VARIABLE, f"{tmp_path / 'own'}{os.pathsep}{tmp_path / 'shared'}")
    assert Store().folders == [tmp_path / "own", tmp_path / "shared"]
    monkeypatch.delenv(location.VARIABLE)
    choose_default()
    choose_default()
    assert Store().folders == [home / "MedCLIPSAM" / "models"]


def test_a_folder_is_the_same_from_everywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    choose_folder(Path("bücher ÿ"))
    monkeypatch.chdir("/")
    assert Store().folders == [tmp_path / "bücher ÿ"]


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path):
    choose_folder(tmp_path / "old")
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "models"):
        with pytest.raises(InputError, match=rf"'{folder}' cannot be written to \(.+\): choose another folder\.$"):
            choose_folder(folder)
    assert Store().folders == [tmp_path / "old"]


DAMAGED = [
    "", "{", "[]", "null", "{}", '{"models": 5}', '{"models": null}', '{"models": ""}', '{"models": "models"}',
    '{"models": "/a\\u0000b"}', '{"models": "/a\\ud800b"}', b'{"models": "/\xff"}', "[" * 100_000, b"\xff\xfe\x00",
]  # fmt: skip


@pytest.mark.parametrize("content", DAMAGED, ids=[str(number) for number in range(len(DAMAGED))])
def test_damaged_settings_are_named_and_replaced(tmp_path, content, monkeypatch):
    file = settings_file()
    file.parent.mkdir(parents=True)
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=rf"^'{file}' is damaged: choose the folder for models again\.$"):
        Store()
    monkeypatch.setenv(location.VARIABLE, str(tmp_path))
    assert Store().folders == [tmp_path], "they are not needed then"
    monkeypatch.delenv(location.VARIABLE)
    choose_folder(tmp_path)
    assert Store().folders == [tmp_path]


def test_settings_that_cannot_be_read_or_written_are_named(home, tmp_path):
    file = settings_file()
    file.mkdir(parents=True)
    with pytest.raises(InputError, match=rf"^'{file}' cannot be read \(Is a directory\)"):
        Store()
    for change in (lambda: choose_folder(tmp_path), choose_default):
        with pytest.raises(InputError, match=rf"^'{file}' cannot be written \(.+\)"):
            change()
    file.rmdir()
    file.parent.rmdir()
    (home / "MedCLIPSAM").touch()
    with pytest.raises(InputError, match=rf"^'{file}' cannot be written \(.+\)"):
        choose_folder(tmp_path)


def test_settings_are_written_whole_or_not_at_all(tmp_path, monkeypatch):
    choose_folder(tmp_path / "old")
    write = Path.write_text

    def full(path: Path, text: str, **options: str) -> int:
        write(path, text[:5], **options)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        with pytest.raises(InputError, match="No space left on device"):
            choose_folder(tmp_path / "new")
    assert json.loads(settings_file().read_text("utf-8")) == {"models": str(tmp_path / "old")}
    assert list(settings_file().parent.iterdir()) == [settings_file()]
