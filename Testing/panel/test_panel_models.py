"""Models in Setup: each says whether it is here, and comes by a click, whatever the segmenting does meanwhile."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from MedCLIPSAMLib.engine.models.catalogue import find_entry
from MedCLIPSAMLib.engine.models.location import settings_file
from MedCLIPSAMLib.engine.models.store import Store


def test_models_say_whether_they_are_here_and_are_imported(desk, tmp_path, monkeypatch, model_store):
    import qt  # pyright: ignore[reportMissingImports]

    ui = desk.ui
    titles = [ui.segmenterComboBox.itemText(place) for place in range(ui.segmenterComboBox.count)]
    assert titles == ["LiteMedSAM", "SAM ViT-B", "SAM ViT-L", "SAM ViT-H", "MedSAM ViT-B"]
    assert (ui.clipStateLabel.text, ui.segmenterStateLabel.text) == ("ready", "ready")
    assert not ui.segmenterDownloadButton.enabled
    ui.segmenterComboBox.currentIndex = 1
    assert ui.segmenterStateLabel.text == "not installed; download 375 MB, or import it"
    assert ui.segmenterDownloadButton.enabled
    ui.segmenterComboBox.currentIndex = 4
    assert "get it from its authors" in ui.segmenterStateLabel.text
    assert not ui.segmenterDownloadButton.enabled

    file, folder = (action for action in ui.segmenterImportButton.menu().actions())
    save_file({"image_encoder.pos_embed": torch.zeros(1, 64, 64, 768)}, tmp_path / "tuned.safetensors")
    monkeypatch.setattr(qt.QFileDialog, "getOpenFileName", lambda *_: str(tmp_path / "tuned.safetensors"))
    file.trigger()
    assert ui.segmenterStateLabel.text == "Importing tuned.safetensors..."
    assert not ui.segmenterImportButton.enabled
    assert desk.parameters.segmenter == "medsam-vit-b"
    desk.wait(lambda: ui.segmenterImportButton.enabled)
    assert ui.segmenterStateLabel.text == "ready"
    assert (model_store / "medsam-vit-b").is_dir()

    (tmp_path / "empty").mkdir()
    monkeypatch.setattr(qt.QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path / "empty"))
    folder.trigger()
    desk.wait(lambda: ui.segmenterImportButton.enabled)
    assert "has no weights" in ui.segmenterStateLabel.text

    (model_store / "medsam-vit-b" / "medsam-vit-b.safetensors").write_bytes(b"cut")
    ui.segmenterComboBox.currentIndex = 0
    ui.segmenterComboBox.currentIndex = 4
    assert ui.segmenterStateLabel.text == "damaged; import it again"
    desk.type(0, "liver")
    desk.ui.segmentButton.click()
    desk.wait(lambda: "is damaged" in ui.statusLabel.text)
    assert desk.segments == 0


def test_a_model_that_is_missing_is_told_when_it_is_needed(desk):
    desk.type(0, "liver")
    desk.ui.clipComboBox.currentIndex = 1
    desk.ui.segmentButton.click()
    desk.wait(lambda: not desk.panel.run.running)
    assert desk.ui.statusLabel.text == "BiomedCLIP is not installed: download or import it."


def test_a_download_is_told_and_stopped(desk, monkeypatch):
    from MedCLIPSAMLib.engine.session.evidence import Progress
    from MedCLIPSAMLib.engine.worker.messages import Download, Failure, Stored

    row = desk.panel._models["clip"]
    asked: list[Any] = []
    monkeypatch.setattr(row._link, "ask", lambda request, heard: asked.append((request, heard)) or len(asked))
    desk.ui.clipComboBox.currentIndex = 1
    desk.ui.clipDownloadButton.click()
    (request, heard) = asked[-1]
    assert request == Download("biomedclip")
    heard(Progress("biomedclip", "download", 120_000_000, 790_000_000))
    assert desk.ui.clipStateLabel.text == "Downloading: 120 of 790 MB"
    assert desk.ui.clipDownloadButton.toolTip == "Stop."
    desk.ui.clipDownloadButton.click()
    assert desk.ui.clipStateLabel.text.startswith("not installed")
    desk.ui.clipDownloadButton.click()
    asked[-1][1](Failure("BiomedCLIP cannot be fetched from Hugging Face hub: no network."))
    assert "no network" in desk.ui.clipStateLabel.text
    asked[-1][1](Stored("biomedclip"))
    assert desk.parameters.clip == "biomedclip"


@pytest.fixture
def at_home(monkeypatch, request) -> Any:
    """The panel of a user who has set nothing, not in the environment either."""
    monkeypatch.delenv("MEDCLIPSAM_MODELS")
    return request.getfixturevalue("desk")


def choose(desk: Any, monkeypatch: Any, folder: Path) -> None:
    """Presses the button, and chooses a folder in its dialog."""
    import qt  # pyright: ignore[reportMissingImports]

    monkeypatch.setattr(qt.QFileDialog, "getExistingDirectory", lambda *_: str(folder))
    desk.ui.modelsFolderButton.findChild(qt.QPushButton).click()


def test_the_folder_of_the_environment_is_shown_and_stays(desk, model_store):
    assert desk.ui.modelsFolderButton.directory == str(model_store)
    assert not desk.ui.modelsFolderButton.enabled
    assert desk.ui.modelsFolderButton.toolTip.startswith("The environment variable MEDCLIPSAM_MODELS says")
    desk.ui.setupCollapsibleButton.collapsed = False
    assert not desk.ui.modelsFolderStateLabel.visible
    assert not list(Path(os.environ["XDG_CONFIG_HOME"]).iterdir()), "what is shown is not chosen by that"


def test_a_folder_is_chosen_and_the_engine_uses_it(at_home, tmp_path, monkeypatch):
    import qt  # pyright: ignore[reportMissingImports]

    desk, ui, folder = at_home, at_home.ui, tmp_path / "new"
    assert ui.modelsFolderButton.enabled
    assert ui.modelsFolderButton.directory == str(Path(os.environ["XDG_DATA_HOME"]) / "MedCLIPSAM" / "models")
    assert not list(Path(os.environ["XDG_CONFIG_HOME"]).iterdir())
    Store([folder]).add(find_entry("sam-vit-l"), {}, "the tests")
    ui.segmenterComboBox.currentIndex = 2
    assert ui.segmenterStateLabel.text.startswith("not installed")
    choose(desk, monkeypatch, folder)
    assert Store().folders == [folder]
    assert ui.modelsFolderButton.directory == str(folder)
    assert ui.segmenterStateLabel.text == "damaged; import it again"

    ui.segmenterComboBox.currentIndex = 4
    save_file({"image_encoder.pos_embed": torch.zeros(1, 64, 64, 768)}, tmp_path / "medsam.safetensors")
    monkeypatch.setattr(qt.QFileDialog, "getOpenFileName", lambda *_: str(tmp_path / "medsam.safetensors"))
    ui.segmenterImportButton.menu().actions()[0].trigger()
    desk.wait(lambda: ui.segmenterImportButton.enabled)
    assert ui.segmenterStateLabel.text == "ready"
    assert (folder / "medsam-vit-b").is_dir()


def test_a_folder_that_cannot_be_used_is_told_and_the_old_one_stays(at_home, tmp_path, monkeypatch):
    desk, ui = at_home, at_home.ui
    ui.setupCollapsibleButton.collapsed = False
    choose(desk, monkeypatch, tmp_path / "old")
    (tmp_path / "file").touch()
    choose(desk, monkeypatch, tmp_path / "file" / "models")
    assert "cannot be written to" in ui.modelsFolderStateLabel.text
    assert ui.modelsFolderStateLabel.visible
    assert ui.modelsFolderButton.directory == str(tmp_path / "old")
    assert Store().folders == [tmp_path / "old"]
    choose(desk, monkeypatch, tmp_path / "new")
    assert not ui.modelsFolderStateLabel.visible


def test_damaged_settings_are_told_and_mended(at_home, tmp_path, monkeypatch):
    desk, ui, file = at_home, at_home.ui, settings_file()
    ui.setupCollapsibleButton.collapsed = False
    file.parent.mkdir()
    file.write_text("{")
    sentence = f"'{file}' is damaged: choose the folder for models again."
    ui.segmenterComboBox.currentIndex = 2
    assert (ui.modelsFolderStateLabel.text, ui.segmenterStateLabel.text) == (sentence, sentence)
    assert ui.clipStateLabel.text == "ready", "what is built in does not need them"
    choose(desk, monkeypatch, Path(ui.modelsFolderButton.directory))
    assert not ui.modelsFolderStateLabel.visible
    assert ui.segmenterStateLabel.text.startswith("not installed")


def test_models_of_the_former_folder_are_not_used_on(at_home, tmp_path, monkeypatch):
    desk = at_home
    desk.type(0, "liver")
    desk.look_at(1)
    desk.preview()
    former = desk.panel.link._process
    choose(desk, monkeypatch, tmp_path)
    assert desk.evidence is None
    assert desk.preview().found
    assert desk.panel.link._process is not former
