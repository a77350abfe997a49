"""Models come into the store whole or not at all, are known by their tensors, and are found damaged when they are."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from MedCLIPSAMLib.engine.clip.registry import load_clip
from MedCLIPSAMLib.engine.errors import ModelError
from MedCLIPSAMLib.engine.files.checksum import sha256
from MedCLIPSAMLib.engine.models.catalogue import catalogue, find_entry
from MedCLIPSAMLib.engine.models.importing import export_model, import_model
from MedCLIPSAMLib.engine.models.recognise import models_of
from MedCLIPSAMLib.engine.models.store import Store
from MedCLIPSAMLib.engine.sam.registry import load_segmenter

from ..biomedclip import TINY, random_state, write_hub, write_hugging_face

SAM_B = {"image_encoder.pos_embed": torch.zeros(1, 64, 64, 768)}
SAM_H = {"image_encoder.pos_embed": torch.zeros(1, 64, 64, 1280)}


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    return random_state(TINY)


@pytest.fixture
def hub(tmp_path, state) -> Path:
    return write_hub(tmp_path / "snapshot", TINY, state)


@pytest.fixture
def store(model_store) -> Store:
    return Store()


def names(store: Store) -> list[str]:
    """Of everything in the store, unfinished or not, but for the locks, which stay."""
    return sorted(path.name for path in store.folders[0].iterdir() if not path.name.startswith(".lock-"))


def test_the_catalogue_tells_all_that_a_user_asks():
    for entry in catalogue().values():
        assert entry.purpose
        assert entry.citation
        assert entry.license
        assert entry.source
        assert entry.megabytes > 0
        assert entry.can_be_downloaded == bool(entry.files)
        assert all(len(bytes.fromhex(value)) == 32 for value in entry.sha256.values())
    with pytest.raises(
        ModelError, match="no model 'biomedclap' in the catalogue; choose one of quickstart, biomedclip"
    ):
        find_entry("biomedclap")


def test_a_folder_of_the_hub_is_imported_and_loaded_by_its_name(hub, store):
    assert store.state(find_entry("biomedclip")) == "not installed"
    with pytest.raises(ModelError, match="BiomedCLIP is not installed: download or import it"):
        load_clip("biomedclip")
    assert import_model(hub, store).name == "biomedclip"
    assert store.state(find_entry("biomedclip")) == "ready"
    assert names(store) == ["biomedclip"]
    shutil.rmtree(hub)
    model = load_clip("biomedclip", "cpu")
    assert model.encode_text(["a liver"]).shape == (1, TINY.joint)


def test_both_layouts_from_a_hub_cache_give_the_same_features(tmp_path, hub, state, store):
    cache = tmp_path / "models--somebody--biomedclip"
    (cache / "blobs").mkdir(parents=True)
    snapshot = cache / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    for file in hub.iterdir():
        blob = cache / "blobs" / sha256(file)
        shutil.copyfile(file, blob)
        (snapshot / file.name).symlink_to(blob)
    import_model(cache, store)
    import_model(write_hugging_face(tmp_path / "tuned", TINY, state), store)
    texts = ["a liver", "the spleen"]
    one, other = (load_clip(name, "cpu").encode_text(texts) for name in ("biomedclip", "medclip-samv2"))
    assert torch.allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("inside", ["", "biomedclip/", "a/b/"])
def test_a_zip_file_is_imported(hub, store, tmp_path, inside):
    with zipfile.ZipFile(tmp_path / "stick.zip", "w") as archive:
        for file in hub.iterdir():
            archive.write(file, f"{inside}{file.name}")
    assert import_model(tmp_path / "stick.zip", store).name == "biomedclip"
    store.verify("biomedclip")


def test_what_is_exported_is_imported_elsewhere(hub, store, tmp_path):
    import_model(hub, store)
    export_model("biomedclip", store, tmp_path / "stick.zip")
    other = Store([tmp_path / "other computer" / "models"])
    assert import_model(tmp_path / "stick.zip", other).name == "biomedclip"
    assert {file: sha256(path) for file, path in other.files("biomedclip").items()} == {
        file: sha256(path) for file, path in store.files("biomedclip").items()
    }
    with pytest.raises(ModelError, match="exists: choose another name"):
        export_model("biomedclip", store, tmp_path / "stick.zip")


def test_weights_alone_tell_what_is_missing(hub, store):
    (hub / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"weights of BiomedCLIP, but beside them is no tokenizer.json or vocab.txt"):
        import_model(hub / "open_clip_pytorch_model.bin", store)
    (hub / "open_clip_config.json").unlink()
    with pytest.raises(ModelError, match=r"no open_clip_config.json and no tokenizer.json or vocab.txt"):
        import_model(hub, store)
    assert names(store) == []


def test_segmenters_are_known_by_their_tensors(store, tmp_path):
    torch.save(SAM_H, tmp_path / "whatever.pt")
    with pytest.raises(ModelError, match=r"is not the published sam_vit_h_4b8939.pth of SAM ViT-H"):
        import_model(tmp_path / "whatever.pt", store)
    save_file(SAM_B, tmp_path / "tuned.safetensors")
    assert import_model(tmp_path / "tuned.safetensors", store).name == "medsam-vit-b"
    assert store.weights_file("medsam-vit-b").name == "medsam-vit-b.safetensors"
    with pytest.raises(ModelError, match=r"tensors are missing"):  # it was found by its name
        load_segmenter("medsam-vit-b", "cpu")
    with pytest.raises(ModelError, match="SAM ViT-B is not installed"):
        load_segmenter("sam-vit-b", "cpu")
    with pytest.raises(ModelError, match="is sam-vit-b or medsam-vit-b, not sam-vit-l"):
        import_model(tmp_path / "tuned.safetensors", store, "sam-vit-l")
    for patch, found in ((16, ("clip-vit-b-16",)), (32, ())):
        clip = {"visual.class_embedding": torch.zeros(8), "visual.conv1.weight": torch.zeros(768, 3, patch, patch)}
        assert models_of(clip) == found


@pytest.mark.row("model-damaged")
def test_damage_is_found(hub, store):
    import_model(hub, store)
    folder = store.folder("biomedclip")
    weights = folder / "open_clip_pytorch_model.bin"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert store.state(find_entry("biomedclip")) == "ready", "a look at sizes does not tell"
    with pytest.raises(ModelError, match=r"BiomedCLIP is damaged: .*open_clip_pytorch_model.bin' has changed"):
        store.verify("biomedclip")
    weights.write_bytes(whole[: len(whole) // 2])
    assert store.state(find_entry("biomedclip")) == "damaged"
    with pytest.raises(ModelError, match="is damaged: remove it and import it again"):
        load_clip("biomedclip")
    elsewhere = ({"files": {name: {"size": 3, "sha256": "00"}}} for name in ("", ".", "..", "../a", "/a"))
    for record in ([], *elsewhere):
        (folder / "medclipsam.json").write_text(json.dumps(record))
        assert store.state(find_entry("biomedclip")) == "damaged"
        with pytest.raises(ModelError, match="is damaged: remove"):
            store.files("biomedclip")
    store.remove("biomedclip")
    assert names(store) == []


class Command:
    """Runs a command when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (os.system, (f"touch '{self.path}'",))


@pytest.mark.row("model-code")
def test_code_in_a_checkpoint_is_not_run(store, tmp_path):
    trace = tmp_path / "ran"
    (tmp_path / "evil.pth").write_bytes(pickle.dumps({"image_encoder.pos_embed": Command(trace)}, protocol=2))
    torch.save({**SAM_B, "more": Command(trace)}, tmp_path / "evil2.pth")
    for name in ("evil.pth", "evil2.pth"):
        with pytest.raises(ModelError):
            import_model(tmp_path / name, store)
    assert not trace.exists()
    assert names(store) == []


@pytest.mark.row("model-remote-code")
@pytest.mark.parametrize("layout", [write_hub, write_hugging_face])
def test_code_that_a_configuration_names_is_not_run(store, state, tmp_path, monkeypatch, layout):
    trace, folder = tmp_path / "ran", layout(tmp_path / "evil", TINY, state)
    (folder / "modeling_evil.py").write_text(f"open({str(trace)!r}, 'w')")
    for file in folder.glob("*config.json"):
        config = json.loads(file.read_text())
        config |= {"trust_remote_code": True, "auto_map": {"AutoModel": "modeling_evil.Evil"}}
        file.write_text(json.dumps(config))
    monkeypatch.chdir(folder)
    entry = import_model(folder, store)
    load_clip(entry.name, "cpu").encode_text(["liver"])
    load_clip(folder, "cpu").encode_text(["liver"])
    assert not trace.exists()
    assert not list(store.folder(entry.name).glob("*.py"))


@pytest.mark.row("model-zip")
@pytest.mark.parametrize("member", ["../escaped.bin", "/tmp/escaped.bin", "a/../../escaped.bin", "C:/escaped.bin"])
def test_a_zip_file_that_reaches_outside_is_refused(hub, store, tmp_path, member):
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        for file in hub.iterdir():
            archive.write(file, file.name)
        archive.writestr(member, b"x")
    with pytest.raises(ModelError, match="would be written outside of its folder"):
        import_model(tmp_path / "evil.zip", store)
    assert not list(tmp_path.rglob("escaped.bin"))
    assert names(store) == []


@pytest.mark.row("model-zip")
def test_a_link_in_a_zip_file_is_refused(store, tmp_path):
    link = zipfile.ZipInfo("vocab.txt")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(ModelError, match="outside of its folder"):
        import_model(tmp_path / "evil.zip", store)


@pytest.mark.row("model-damaged")
@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"image_encoder.pos_embed": torch.full((1, 2, 2, 768), float("nan"))}, "values that are no numbers"),
        ({"other.weight": torch.zeros(3)}, "is no model of the catalogue"),
        ({"image_encoder.patch_embed.seq.0.c.weight": torch.zeros(3)}, "LiteMedSAM, which is built in"),
    ],
)
def test_other_weights_are_refused_with_a_sentence(store, tmp_path, content, said):
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(ModelError, match=said):
        import_model(tmp_path / "weights.pth", store)
    assert names(store) == []


@pytest.mark.row("model-damaged")
def test_a_cut_file_and_an_empty_folder_are_refused(store, tmp_path, hub):
    whole = (hub / "open_clip_pytorch_model.bin").read_bytes()
    (hub / "open_clip_pytorch_model.bin").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="damaged, cut short"):
        import_model(hub, store)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="has no weights"):
        import_model(tmp_path / "empty", store)
    with pytest.raises(ModelError, match="There is nothing at"):
        import_model(tmp_path / "nowhere", store)
    (tmp_path / "cut.zip").write_bytes(b"PK\x03\x04nothing more")
    with pytest.raises(ModelError):
        import_model(tmp_path / "cut.zip", store)


@pytest.mark.row("model-damaged")
def test_a_model_is_replaced_only_by_a_whole_one(hub, store, monkeypatch):
    import_model(hub, store)
    before = sha256(store.folder("biomedclip") / "open_clip_pytorch_model.bin")

    def full(source: Path, target: Path) -> None:
        Path(target).write_bytes(b"part")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", full)
        with pytest.raises(ModelError, match=r"cannot be written \(No space left on device\)"):
            import_model(hub, store)
    assert names(store) == ["biomedclip"]
    store.verify("biomedclip")
    assert sha256(store.folder("biomedclip") / "open_clip_pytorch_model.bin") == before


@pytest.mark.row("model-store-read-only")
def test_others_read_a_shared_store_and_do_not_change_it(hub, tmp_path, monkeypatch):
    shared, own = tmp_path / "department", tmp_path / "own"
    import_model(hub, Store([shared]))
    monkeypatch.setenv("MEDCLIPSAM_MODELS", f"{own}{os.pathsep}{shared}")
    store = Store()
    assert store.folder("biomedclip") == shared / "biomedclip"
    with pytest.raises(ModelError, match="which others share"):
        store.remove("biomedclip")
    assert not own.exists()
    assert (shared / "biomedclip").is_dir()


@pytest.mark.row("model-store-read-only")
def test_a_store_that_cannot_be_written_is_told(hub, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="cannot be written"):
        import_model(hub, Store([tmp_path / "file" / "models"]))
