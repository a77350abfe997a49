"""What is said of a model or a store that cannot be used so: what is wrong, and what to do instead."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import torch

from MedCLIPSAMLib.engine.clip.registry import load_clip
from MedCLIPSAMLib.engine.errors import InputError, ModelError
from MedCLIPSAMLib.engine.models.catalogue import catalogue
from MedCLIPSAMLib.engine.models.importing import export_model, import_model
from MedCLIPSAMLib.engine.models.location import VARIABLE, choose_folder
from MedCLIPSAMLib.engine.models.store import Store

SAM_B = {"image_encoder.pos_embed": torch.zeros(1, 64, 64, 768)}
BUILT_IN = [entry.name for entry in catalogue().values() if entry.built_in]


@pytest.fixture
def weights(tmp_path) -> Path:
    path = tmp_path / "tuned.pth"
    torch.save(SAM_B, path)
    return path


@pytest.mark.parametrize("ending", [".pt", ".pth", ".bin", ".safetensors", ".tar", ""])
def test_a_model_is_exported_into_a_zip_file_only(weights, tmp_path, ending):
    import_model(weights, Store(), "medsam-vit-b")
    stick = tmp_path / "stick"
    stick.mkdir()
    path = stick / f"model{ending}"
    said = rf"^'{re.escape(str(path))}' does not end in \.zip, which an import needs: choose a name that does\.$"
    with pytest.raises(ModelError, match=said):
        export_model("medsam-vit-b", Store(), path)
    assert not any(stick.iterdir())
    export_model("medsam-vit-b", Store(), stick / "MODEL.ZIP")
    assert import_model(stick / "MODEL.ZIP", Store(), "medsam-vit-b").name == "medsam-vit-b"


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_store_has_no_built_in_model(tmp_path, name):
    store = Store()
    said = rf"^{catalogue()[name].title} is built in.*: it comes with the installation"
    for use in (store.folder, store.verify, store.remove, lambda name: export_model(name, store, tmp_path / "x.zip")):
        with pytest.raises(ModelError, match=said):
            use(name)


def test_a_built_in_model_is_not_imported_by_its_name(tmp_path):
    torch.save({"image_encoder.patch_embed.seq.0.c.weight": torch.zeros(3)}, tmp_path / "lite.pth")
    with pytest.raises(ModelError, match="LiteMedSAM, which is built in: there is nothing to import"):
        import_model(tmp_path / "lite.pth", Store(), "lite-medsam")


def test_the_store_is_no_file(tmp_path, monkeypatch):
    own, file = tmp_path / "own", tmp_path / "file"
    file.touch()
    advice = f"let the environment variable {VARIABLE} name another folder"
    for value in (str(file), f"{own}{os.pathsep}{file}"):
        monkeypatch.setenv(VARIABLE, value)
        with pytest.raises(InputError, match=rf"^'{file}' is a file, no folder for models: {advice}\.$"):
            Store()
    too_long = tmp_path / ("x" * 300)
    monkeypatch.setenv(VARIABLE, str(too_long))
    with pytest.raises(InputError, match=rf"^'{too_long}' cannot be read \(File name too long\): {advice}\.$"):
        Store()
    monkeypatch.setenv(VARIABLE, str(own))
    assert Store().folders == [own], "it is made when a model comes"


def test_the_chosen_folder_is_no_file(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE)
    folder = tmp_path / "models"
    choose_folder(folder)
    folder.rmdir()
    assert Store().folders == [folder]
    folder.touch()
    said = rf"^'{folder}' is a file, no folder for models: choose the folder for models again\.$"
    with pytest.raises(InputError, match=said):
        Store()


@pytest.mark.parametrize("name", ["sam-vit-b", "lite-medsam", "sam-vit-b:weights.pth"])
def test_of_a_segmenter_the_text_image_models_are_named(name):
    known = "quickstart, biomedclip, medclip-samv2, clip-vit-b-16, gloria"
    said = f"no CLIP named '{name}': give {known}, .*a model's folder, or an open_clip NAME:TAG"
    with pytest.raises(ModelError, match=said):
        load_clip(name, "cpu")


def test_a_zip_file_is_to_be_imported_first(tmp_path):
    for name in ("stick.zip", "STICK.ZIP"):
        (tmp_path / name).touch()
        with pytest.raises(ModelError, match=rf"{name}' is a zip file: import it with `medclipsam models import`"):
            load_clip(tmp_path / name, "cpu")


def test_who_names_another_model_is_told_what_to_do(weights):
    said = "is sam-vit-b or medsam-vit-b, not sam-vit-l: leave out --as, or choose the files of sam-vit-l"
    with pytest.raises(ModelError, match=said):
        import_model(weights, Store(), "sam-vit-l")
