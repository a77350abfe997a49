"""Where models are kept: where the environment says, else the user's setting, else the user's data folder."""

from __future__ import annotations

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

import platformdirs

from ..errors import InputError

VARIABLE = "MEDCLIPSAM_MODELS"  # environment: folders as in PATH, the first for new models, the others only read

_SETTING = "models"


def folders_of_environment() -> list[Path]:
    """Those of the environment variable; none if it is not set."""
    return [Path(part).expanduser() for part in os.environ.get(VARIABLE, "").split(os.pathsep) if part]


def default_folder() -> Path:
    """In the user's data folder."""
    return platformdirs.user_data_path("MedCLIPSAM", False) / "models"


def settings_file() -> Path:
    """The user's settings, which the command line and 3D Slicer share."""
    return platformdirs.user_config_path("MedCLIPSAM", False) / "settings.json"


def chosen_folder() -> Path:
    """The folder that the user has set, or else the default.

    Raises:
        InputError: the file of settings is damaged or cannot be read.
    """
    file = settings_file()
    try:
        folder = Path(json.loads(file.read_bytes())[_SETTING])
        if not folder.is_absolute() or b"\0" in os.fsencode(folder):
            raise ValueError
    except FileNotFoundError:
        return default_folder()
    except OSError as error:
        raise InputError(f"'{file}' cannot be read ({error.strerror}): choose the folder for models again.") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputError(f"'{file}' is damaged: choose the folder for models again.") from None
    return folder


def folders_of_store() -> list[Path]:
    """Those of the environment variable, or else the chosen one; they need not exist yet.

    Raises:
        InputError: one of them is a file or cannot be looked at, or as of `chosen_folder`.
    """
    folders, advice = folders_of_environment(), f"let the environment variable {VARIABLE} name another folder"
    if not folders:
        folders, advice = [chosen_folder()], "choose the folder for models again"
    for folder in folders:
        try:
            is_file = folder.exists() and not folder.is_dir()
        except OSError as error:
            raise InputError(f"'{folder}' cannot be read ({error.strerror}): {advice}.") from None
        if is_file:
            raise InputError(f"'{folder}' is a file, no folder for models: {advice}.")
    return folders


def choose_folder(folder: Path) -> None:
    """Keeps models in a folder from now on, which is made if it is missing.

    Raises:
        InputError: it, or the file of settings, cannot be written to; the setting stays as it was.
    """
    folder = folder.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=folder).close()  # permissions alone do not tell, on Windows and on network drives
    except OSError as error:
        raise InputError(f"'{folder}' cannot be written to ({error.strerror}): choose another folder.") from None
    file = settings_file()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".part-", dir=file.parent) as room:
            new = Path(room) / file.name
            new.write_text(json.dumps({_SETTING: str(folder)}, indent=2), encoding="utf-8")
            new.replace(file)
    except OSError as error:
        raise _unwritable(file, error) from None


def choose_default() -> None:
    """Keeps models in the user's data folder again.

    Raises:
        InputError: the file of settings cannot be removed.
    """
    file = settings_file()
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(file, error) from None


def _unwritable(file: Path, error: OSError) -> InputError:
    return InputError(f"'{file}' cannot be written ({error.strerror}): see to the rights of its folder.")
