"""What all tests share: the package on the path, and the optional folder of larger test data."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Generator
from importlib.util import find_spec
from pathlib import Path

import pytest

from .robustness.matrix import MATRIX, counts

REPOSITORY = Path(__file__).resolve().parent.parent

if find_spec("MedCLIPSAMLib") is None:
    sys.path.insert(0, str(REPOSITORY / "MedCLIPSAM"))


@pytest.fixture(scope="session")
def shared() -> Path | None:
    """Clinical volumes and reference cases: $MEDCLIPSAM_SHARED, or the folder beside the repository."""
    folder = Path(os.environ.get("MEDCLIPSAM_SHARED", REPOSITORY.parent / "shared"))
    return folder if folder.is_dir() else None


@pytest.fixture(autouse=True)
def model_store(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Generator[Path, None, None]:
    """An empty store of models, and no settings of a user, whatever this computer has."""
    folder = tmp_path_factory.mktemp("models")
    monkeypatch.setenv("MEDCLIPSAM_MODELS", str(folder))
    home = tmp_path_factory.mktemp("home")
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(home))
    yield folder
    for written in (folder, home):
        shutil.rmtree(written, ignore_errors=True)  # an engine that is ending may still have a file there


_MARK, _NAME = re.compile(r"mark\.row\(([^)]*)\)"), re.compile(r'"([^"]+)"')
_OUTCOMES = pytest.StashKey[dict[str, list[bool]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--amx", choices=("yes", "no"), help="as on a processor that has AMX or has none, not as it is")


def pytest_configure(config: pytest.Config) -> None:
    """Tests name the rows of the table of faults that they try, and run as on the processor that was asked for."""
    if processor := config.getoption("--amx"):
        from .amx import say_amx  # loads PyTorch, which a run of a few tests need not wait for

        say_amx(processor == "yes")
    config.addinivalue_line("markers", "row(name): tries a row of Testing/robustness/matrix.csv")
    config.addinivalue_line("markers", "slow: takes minutes; left out by `make test`, not by `make robustness`")
    config.stash[_OUTCOMES] = {}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """No test names a row that the table does not have, and where all tests are collected, each row has one."""
    named = {name for item in items for name in _rows(item)}
    if unknown := named - set(MATRIX):
        raise pytest.UsageError(f"The table of faults has no row {', '.join(sorted(unknown))}.")
    elsewhere = {name for folder in config.getoption("ignore") or () for name in _written_in(Path(folder))}
    if config.args == ["Testing"] and (untried := set(MATRIX) - named - elsewhere):
        raise pytest.UsageError(f"No test tries the rows {', '.join(sorted(untried))} of the table of faults.")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A row is passed if all steps of all its tests are."""
    report = yield
    if report.when == "call" or not report.passed:
        for name in _rows(item):
            item.config.stash[_OUTCOMES].setdefault(name, []).append(report.passed)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """How many rows were tried, and passed."""
    if outcomes := config.stash[_OUTCOMES]:
        terminalreporter.section("inputs and faults")
        for line in counts(outcomes):
            terminalreporter.line(line)


def _written_in(folder: Path) -> set[str]:
    """Rows that tests of a folder name which run in a process of their own."""
    marks = [mark for file in folder.rglob("test_*.py") for mark in _MARK.findall(file.read_text("utf-8"))]
    return {name for mark in marks for name in _NAME.findall(mark)}


def _rows(item: pytest.Item) -> list[str]:
    return [name for mark in item.iter_markers("row") for name in mark.args]
