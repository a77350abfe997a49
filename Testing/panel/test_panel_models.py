"""Models in Setup: each says whether it is here, and comes by a click, whatever the segmenting does meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from safetensors.torch import save_file

from MedCLIPSAMLib.engine.methods import SALIENCY, Method, Shown
from MedCLIPSAMLib.engine.models.catalogue import entries, find_entry
from MedCLIPSAMLib.engine.models.location import settings_file
from MedCLIPSAMLib.engine.models.store import Store

REPOSITORY = Path(__file__).parents[2]


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


def methods(desk: Any) -> dict[str, Any]:
    """The items of the list of saliency methods, by the value of each."""
    combo = desk.ui.saliencyComboBox
    return {combo.itemData(place): combo.model().item(place) for place in range(combo.count)}


def choose_model(desk: Any, name: str, role: str = "clip") -> None:
    combo = getattr(desk.ui, f"{role}ComboBox")
    combo.currentIndex = combo.findData(name)


def enabled(desk: Any) -> set[str]:
    return {name for name, item in methods(desk).items() if item.isEnabled()}


def test_methods_that_do_not_go_with_the_model_are_grey_and_say_why(desk):
    ui, known = desk.ui, ["automatic", *SALIENCY]
    assert (list(methods(desk)), ui.saliencyComboBox.currentText) == (known, "automatic")
    assert methods(desk)["gradcam"].text() == "GradCAM"
    assert set(known) - enabled(desk) == {"attention"}
    for model in (entry for entry in entries("clip") if entry.name != "quickstart"):
        choose_model(desk, model.name)
        fitting = {name for name, method in SALIENCY.items() if method.goes_with(model.shows)}
        assert enabled(desk) == {"automatic", *fitting}
        for name, item in methods(desk).items():
            assert (item.toolTip() == "") == (name in enabled(desk))
    choose_model(desk, "gloria")
    told = "GLoRIA (chest X-ray) has no blocks of a vision transformer that could be looked into."
    assert methods(desk)["m2ib"].toolTip() == told
    choose_model(desk, "quickstart")
    assert methods(desk)["m2ib"].toolTip() == ""
    choose_model(desk, "sam-vit-b", "segmenter")
    assert set(known) - enabled(desk) == {"attention", "two-looks"}
    assert methods(desk)["two-looks"].toolTip() == "It needs the segmenter LiteMedSAM."


@pytest.mark.parametrize("kind", get_args(Shown))
def test_a_new_method_goes_by_its_name_and_is_told_of_too(kind, monkeypatch):
    from MedCLIPSAMLib.panel.setup.saliency import methods, misfit

    monkeypatch.setitem(SALIENCY, "new", Method(kind, "new:New"))
    assert methods()[-1] == ("new", "new")
    clips = entries("clip")
    assert {clip.name for clip in clips if misfit("new", clip.name, "lite-medsam") == ""} == {
        clip.name for clip in clips if kind in clip.shows
    }


def test_a_method_that_is_grey_is_passed_over_by_keys(desk):
    import qt  # pyright: ignore[reportMissingImports]

    combo = desk.ui.saliencyComboBox
    choose_model(desk, "biomedclip")
    combo.currentIndex = combo.findData("gradient")
    press = qt.QKeyEvent(qt.QEvent.KeyPress, qt.Qt.Key_Down, qt.Qt.NoModifier)
    combo.keyPressEvent(press)
    assert desk.parameters.saliency == "nib", "the two between need image cells"


def test_a_method_gives_way_to_a_model_and_nothing_else_does(desk):
    ui = desk.ui
    desk.type(0, "liver")
    ui.axisComboBox.currentIndex = ui.axisComboBox.findData("axial")
    ui.saliencyComboBox.currentIndex = ui.saliencyComboBox.findData("gradcam")
    choose_model(desk, "biomedclip")
    assert desk.parameters.saliency == "gradcam", "it goes with both"
    before = (desk.parameters.rows, desk.parameters.axis, desk.parameters.segmenter, desk.parameters.device)
    ui.statusLabel.text = ""
    choose_model(desk, "medklip")
    assert (desk.parameters.clip, desk.parameters.saliency) == ("medklip", "automatic")
    assert ui.saliencyComboBox.currentText == "automatic"
    assert ui.statusLabel.text == (
        "The saliency method is automatic again, no longer GradCAM: MedKLIP (chest X-ray) has no blocks of a vision"
        " transformer that could be looked into."
    )
    assert (desk.parameters.rows, desk.parameters.axis, desk.parameters.segmenter, desk.parameters.device) == before
    ui.statusLabel.text = ""
    choose_model(desk, "quickstart")
    assert ui.statusLabel.text == "", "automatic goes with every model"
    ui.saliencyComboBox.currentIndex = ui.saliencyComboBox.findData("two-looks")
    choose_model(desk, "sam-vit-b", "segmenter")
    assert (desk.parameters.segmenter, desk.parameters.saliency) == ("sam-vit-b", "automatic")
    assert ui.statusLabel.text.endswith("no longer Two looks at image cells: It needs the segmenter LiteMedSAM.")


def test_a_method_gives_way_to_a_model_that_arrives(desk):
    from MedCLIPSAMLib.engine.worker.messages import Stored

    desk.parameters.saliency = "dense"
    desk.panel._models["clip"]._heard(Stored("gloria"))
    assert (desk.parameters.clip, desk.parameters.saliency) == ("gloria", "automatic")
    assert "no longer One look at image cells" in desk.ui.statusLabel.text


def test_of_a_folder_that_nobody_knows_the_engine_decides(desk, tmp_path):
    from Testing.engine.regional import write_regional

    folder = str(write_regional(tmp_path / "mine", "medklip"))
    desk.parameters.saliency, desk.parameters.clip = "gradcam", folder
    assert enabled(desk) == {"automatic", *SALIENCY}
    assert desk.parameters.saliency == "gradcam"
    desk.type(0, "lung")
    desk.segment()
    told = "The saliency method gradcam does not go with the model mine; choose of attention."
    assert desk.ui.statusLabel.text == told
    desk.ui.saliencyComboBox.currentIndex = desk.ui.saliencyComboBox.findData("attention")
    desk.segment()
    assert desk.ui.statusLabel.text == "Done."


def test_what_a_script_sets_stays_and_the_engine_answers(desk):
    desk.type(0, "liver")
    for method, told in (
        ("attention", "The saliency method attention does not go with the model quickstart; choose of m2ib, "),
        ("of tomorrow", "There is no saliency method 'of tomorrow': choose one of m2ib, "),
    ):
        desk.parameters.saliency = method
        assert desk.ui.saliencyComboBox.currentData == method
        desk.segment()
        assert desk.ui.statusLabel.text.startswith(told)
        assert desk.parameters.saliency == method
    desk.ui.saliencyComboBox.currentIndex = 0
    desk.segment()
    assert desk.ui.statusLabel.text == "Done."


def test_the_method_is_that_of_the_run_and_travels_with_the_scene(desk, tmp_path):
    import slicer

    from MedCLIPSAMLib.scene.segmentation.provenance import read_provenance

    def used() -> str:
        segment = desk.parameters.segmentation.GetSegmentation().GetNthSegment(0)
        provenance = read_provenance(segment)
        assert provenance is not None
        return provenance.settings["saliency"]

    combo = desk.ui.saliencyComboBox
    desk.type(0, "liver")
    desk.look_at(1)
    desk.segment()
    assert used() == "two-looks", "what the model recommends"
    desk.preview()
    combo.currentIndex = combo.findData("dense")
    assert desk.evidence is None, "a preview is of the method that it was made with"
    assert desk.preview().saliency_method == "dense"
    desk.segment()
    assert used() == "dense"
    desk.ui.undoButton.click()
    assert (used(), desk.parameters.saliency) == ("two-looks", "dense")

    first = desk.ui.parameterSetSelector.currentNode()
    desk.ui.parameterSetSelector.addNode()
    assert combo.currentText == "automatic"
    desk.ui.parameterSetSelector.setCurrentNode(first)
    assert combo.currentText == "One look at image cells"
    path = tmp_path / "scene.mrml"
    slicer.mrmlScene.Commit(str(path))
    slicer.mrmlScene.Clear()
    slicer.mrmlScene.SetURL(str(path))
    slicer.mrmlScene.Connect()
    desk.widget.initializeParameterNode()
    assert combo.currentText == "One look at image cells"


def test_the_panel_does_not_load_pytorch():
    """It is slow to import, and belongs to the engine's process."""
    code = (
        "import sys; from Testing.host import application; application.start(); sys.path.insert(0, 'MedCLIPSAM');"
        " import MedCLIPSAMLib.panel.panel; print('torch' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert told.stdout.splitlines()[-1] == "False"


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
