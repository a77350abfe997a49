"""Two programs on one store: one is told to wait, and one that is killed leaves neither half a model nor a lock."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock
import pytest
import torch
from safetensors.torch import save_file

from MedCLIPSAMLib.engine.errors import ModelError
from MedCLIPSAMLib.engine.models.catalogue import find_entry
from MedCLIPSAMLib.engine.models.importing import export_model, import_model
from MedCLIPSAMLib.engine.models.store import Store

from ..localize import rivals
from ..localize.rivals import FILE, MODEL, rival
from .test_models import names

BUSY = "Another program is at work on MedSAM ViT-B"


@pytest.fixture
def folder(model_store) -> Path:
    """Of the store."""
    return model_store


@pytest.fixture
def store(folder) -> Store:
    return Store()


@pytest.fixture
def reached(tmp_path) -> Path:
    """The file that a rival makes."""
    return tmp_path / "reached"


@pytest.fixture
def weights(tmp_path) -> Path:
    return saved(tmp_path / "one.safetensors", 1)


def saved(path: Path, value: float) -> Path:
    save_file({"image_encoder.pos_embed": torch.full((1, 2, 2, 768), value)}, path)
    return path


def content(store: Store) -> bytes:
    store.verify(MODEL)
    return store.weights_file(MODEL).read_bytes()


@pytest.mark.row("together-store")
def test_a_killed_import_leaves_nothing_and_blocks_nobody(store, folder, weights, reached, tmp_path):
    other = tmp_path / "other"
    other.write_bytes(b"of another model")
    with rival(rivals.import_file, reached, folder, weights):
        with pytest.raises(ModelError, match=f"{BUSY} in '.*': try again when it is done"):
            import_model(weights, store, MODEL)
        with pytest.raises(ModelError, match=BUSY):
            store.remove(MODEL)
        assert store.state(find_entry(MODEL)) == "not installed"
        store.add(find_entry("biomedclip"), {"file": other}, "the tests")
        assert names(store) == [f".part-{MODEL}", "biomedclip"], "what is being made is left alone"
    assert names(store) == [f".part-{MODEL}", "biomedclip"]
    import_model(weights, store, MODEL)
    assert content(store) == weights.read_bytes()
    assert names(store) == ["biomedclip", MODEL]


def test_what_others_left_goes_whatever_is_done_next(store, folder, weights, reached):
    with rival(rivals.import_file, reached, folder, weights):
        pass
    (folder / ".part-somebody's").mkdir()
    with pytest.raises(ModelError, match="BiomedCLIP cannot be removed"):
        store.remove("biomedclip")
    assert names(store) == [".part-somebody's"]


@pytest.mark.parametrize("next_step", ["import another", "import it", "remove it"])
def test_a_model_comes_back_if_its_successor_was_not_in_its_place(store, folder, weights, reached, tmp_path, next_step):
    import_model(weights, store, MODEL)
    with rival(rivals.replace_model, reached, folder, saved(tmp_path / "two.safetensors", 2), "former"):
        assert store.state(find_entry(MODEL)) == "not installed"
    if next_step == "import another":
        store.add(find_entry("biomedclip"), {"file": weights}, "the tests")
        assert content(store) == weights.read_bytes()
        assert names(store) == ["biomedclip", MODEL]
    elif next_step == "import it":
        third = saved(tmp_path / "three.safetensors", 3)
        import_model(third, store, MODEL)
        assert content(store) == third.read_bytes()
        assert names(store) == [MODEL]
    else:
        store.remove(MODEL)
        assert names(store) == []


def test_a_model_stays_once_it_is_in_its_place(store, folder, weights, reached, tmp_path):
    import_model(weights, store, MODEL)
    second = saved(tmp_path / "two.safetensors", 2)
    with rival(rivals.replace_model, reached, folder, second, MODEL):
        assert content(store) == second.read_bytes()
        with pytest.raises(ModelError, match=BUSY):
            import_model(weights, store, MODEL)
    with pytest.raises(ModelError):
        store.remove("biomedclip")
    assert content(store) == second.read_bytes()
    assert names(store) == [MODEL]


def test_a_model_that_cannot_take_its_place_gives_it_back(store, weights, tmp_path, monkeypatch):
    import_model(weights, store, MODEL)
    move = Path.rename

    def refused(self: Path, target: Path) -> Path:
        if self.name == MODEL and target.name == MODEL:
            raise PermissionError(13, "Permission denied")
        return move(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refused)
        with pytest.raises(ModelError, match="cannot be written"):
            import_model(saved(tmp_path / "two.safetensors", 2), store, MODEL)
    assert content(store) == weights.read_bytes()
    assert names(store) == [MODEL]


def test_a_model_that_was_being_removed_does_not_come_back(store, folder, weights, reached):
    import_model(weights, store, MODEL)
    with rival(rivals.remove_model, reached, folder), pytest.raises(ModelError, match=BUSY):
        import_model(weights, store, MODEL)
    with pytest.raises(ModelError, match="not installed"):
        store.remove(MODEL)
    assert names(store) == []


def test_two_exports_to_one_file_do_not_mix(store, folder, weights, reached, tmp_path):
    import_model(weights, store, MODEL)
    stick = tmp_path / "stick"
    stick.mkdir()
    path = stick / "model.zip"
    with (
        rival(rivals.export, reached, folder, path),
        pytest.raises(ModelError, match=r"Another program is writing '.*model\.zip': choose another name"),
    ):
        export_model(MODEL, store, path)
    assert [file.name for file in stick.iterdir()] == [".model.zip.part"]
    export_model(MODEL, store, path)
    assert [file.name for file in stick.iterdir()] == ["model.zip"]
    with zipfile.ZipFile(path) as archive:
        assert archive.read(f"{MODEL}/{FILE}") == weights.read_bytes()
    with pytest.raises(ModelError, match="exists: choose another name"):
        export_model(MODEL, store, path)
    with pytest.raises(ModelError, match=r"folder '.*nowhere' does not exist: create it first"):
        export_model(MODEL, store, stick / "nowhere" / "model.zip")
    assert [file.name for file in stick.iterdir()] == ["model.zip"]


def test_a_model_that_changes_while_it_is_exported_is_not_written(store, weights, tmp_path, monkeypatch):
    import_model(weights, store, MODEL)
    write, path = zipfile.ZipFile.write, tmp_path / "model.zip"

    def then_another_comes(self, *arguments) -> None:
        write(self, *arguments)
        import_model(saved(tmp_path / "two.safetensors", 2), Store(), MODEL)

    monkeypatch.setattr(zipfile.ZipFile, "write", then_another_comes)
    with pytest.raises(ModelError, match=r"Another program has changed MedSAM ViT-B: export it again\."):
        export_model(MODEL, store, path)
    assert not any(tmp_path.glob("*model.zip*"))


@pytest.mark.row("together-store")
def test_whatever_programs_do_at_once_a_model_is_of_one_of_them(store, folder, tmp_path):
    sources = [tmp_path / "one", tmp_path / "two"]
    for source in sources:
        source.mkdir()
        for file in ("weights", "vocabulary"):
            (source / file).write_bytes(source.name.encode() * 100_000)
    spawn = multiprocessing.get_context("spawn")
    work = [spawn.Process(target=rivals.import_and_remove, args=(folder, source, 3)) for source in sources]
    for process in work:
        process.start()
    for process in work:
        process.join()
        assert process.exitcode == 0
    store.add(find_entry("biomedclip"), {"file": sources[0] / "weights"}, "the tests")
    if store.state(find_entry(MODEL)) != "not installed":
        store.verify(MODEL)
        first, second = (path.read_bytes() for path in store.files(MODEL).values())
        assert first == second
    assert set(names(store)) <= {"biomedclip", MODEL}


@pytest.fixture
def readable() -> Iterator[Path]:
    """A folder that everybody may read; pytest's own are the user's alone."""
    place = Path(tempfile.mkdtemp())
    place.chmod(0o755)
    yield place
    for path in (place, *place.rglob("*")):
        path.chmod(0o755)
    shutil.rmtree(place)


@contextmanager
def not_as_root() -> Iterator[None]:
    """Root may write everything."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.row("model-store-read-only")
def test_a_store_that_may_only_be_read_is_read(readable):
    weights, folder = saved(readable / "one.safetensors", 1), readable / "models"
    import_model(weights, Store([folder]), MODEL)
    there = sorted(folder.rglob("*"))
    for path in (folder, *there, weights):
        path.chmod(0o555 if path.is_dir() else 0o444)
    store = Store([folder])
    with not_as_root():
        assert store.state(find_entry(MODEL)) == "ready"
        assert content(store) == weights.read_bytes()
        for change in (lambda: store.remove(MODEL), lambda: import_model(weights, store, MODEL)):
            with pytest.raises(ModelError, match=r"cannot be written \(Permission denied\)"):
                change()
    assert sorted(folder.rglob("*")) == there


def test_a_disk_without_locks_is_told(store, weights, monkeypatch):
    def no_locks(self: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr(filelock.FileLock, "_acquire", no_locks)
    with pytest.raises(ModelError, match=r"cannot be written \(Function not implemented\)"):
        import_model(weights, store, MODEL)
