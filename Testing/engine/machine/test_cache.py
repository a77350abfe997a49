"""What a session keeps: in memory, then on disk, then not at all."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from MedCLIPSAMLib.engine.machine import cache as module
from MedCLIPSAMLib.engine.machine import temporary
from MedCLIPSAMLib.engine.machine.cache import TensorCache, default_budget

KILOBYTE = 1024


def block(value: float) -> dict[str, torch.Tensor]:
    """One kilobyte."""
    return {"a": torch.full((128,), float(value)), "b": torch.full((256,), value).bfloat16()}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    """Where temporary folders are made."""
    monkeypatch.setattr(temporary.tempfile, "tempdir", str(tmp_path))
    return tmp_path


def files(folder: Path) -> int:
    return sum(path.is_file() for path in folder.glob("*/files/*"))


def test_what_does_not_fit_goes_to_disk_oldest_first_and_comes_back(folder):
    cache = TensorCache(3 * KILOBYTE)
    for number in range(5):
        cache.put(str(number), block(number))
    assert files(folder) == 2
    for number in range(5):
        kept = cache.get(str(number))
        assert kept is not None
        assert kept["a"].tolist() == [number] * 128
        assert kept["b"].dtype == torch.bfloat16
    assert cache.get("5") is None


def test_what_was_used_last_stays_in_memory(folder):
    cache = TensorCache(2 * KILOBYTE)
    cache.put("old", block(1))
    cache.put("new", block(2))
    cache.get("old")
    cache.put("newest", block(3))
    assert [path.name.partition("#")[0] for path in folder.glob("*/files/*")] == ["new"]


def test_the_disk_is_bounded_too(folder, monkeypatch):
    usage = shutil.disk_usage(folder)._replace(free=8 * KILOBYTE)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage)
    cache = TensorCache(KILOBYTE)
    for number in range(6):
        cache.put(str(number), block(number))
    assert files(folder) == 2, "a quarter of what is free"
    assert [cache.get(str(number)) is not None for number in range(6)] == [False, False, False, True, True, True]


def test_the_folder_goes_with_the_cache(folder):
    cache = TensorCache(KILOBYTE)
    cache.put("1", block(1))
    assert any(folder.iterdir())
    del cache
    assert not any(folder.iterdir())


def test_a_failing_disk_costs_only_what_was_on_it(folder, monkeypatch):
    cache = TensorCache(2 * KILOBYTE)
    cache.put("1", block(1))
    cache.put("2", block(2))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.zict.File, "__setitem__", full)
    cache.put("3", block(3))
    assert cache.get("3") is not None
    assert cache.get("2") is not None
    cache.put("4", block(4))
    assert cache.get("3") is None, "what does not fit is forgotten"


def test_a_folder_that_was_cleaned_is_forgotten(folder):
    cache = TensorCache(KILOBYTE)
    cache.put("1", block(1))
    cache.put("2", block(2))
    shutil.rmtree(next(folder.iterdir()))
    assert cache.get("1") is None
    assert cache.get("2") is not None


def test_no_temporary_folder_at_all(monkeypatch):
    def refuse(*_, **__):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(temporary.tempfile, "mkdtemp", refuse)
    cache = TensorCache(2 * KILOBYTE)
    for number in range(3):
        cache.put(str(number), block(number))
    assert [cache.get(str(number)) is not None for number in range(3)] == [False, True, True]


def test_a_part_does_not_keep_the_whole():
    whole = torch.zeros(100, 128)
    kept = TensorCache(KILOBYTE).put("1", {"row": whole[3]})
    assert kept["row"].untyped_storage().nbytes() == 512


def test_only_what_is_missing_is_made():
    cache, asked = TensorCache(100 * KILOBYTE), []

    def make(missing: list[int]):
        asked.append(missing)
        return [block(position) for position in missing]

    cache.each(["0", "1"], make)
    made = cache.each(["2", "1", "3"], make)
    assert asked == [[0, 1], [0, 2]]
    assert [float(tensors["a"][0]) for tensors in made] == [0, 1, 2]


def test_a_quarter_of_free_memory_is_the_default_within_limits(monkeypatch):
    class Memory:
        available = 400 << 20

    monkeypatch.setattr(module.psutil, "virtual_memory", Memory)
    assert default_budget() == 100 << 20
    Memory.available = 0
    assert default_budget() == 64 << 20
    Memory.available = 100 << 30
    assert default_budget() == 256 << 20
