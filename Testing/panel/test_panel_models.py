"""Models in Setup: each says whether it is here, and comes by a click, whatever the segmenting does meanwhile."""

from __future__ import annotations

from typing import Any

import torch
from safetensors.torch import save_file


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
    from MedCLIPSAMLib.engine.evidence import Progress
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
