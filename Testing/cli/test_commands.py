"""The other commands, and the command line itself."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from MedCLIPSAMLib import __version__, cli
from MedCLIPSAMLib.cli.commands import demo
from MedCLIPSAMLib.engine.models.catalogue import catalogue
from MedCLIPSAMLib.engine.sam import registry as segmenters
from MedCLIPSAMLib.engine.sam.registry import load_segmenter

from .conftest import AFFINE

WINDOW = ("--window", "0,255")


def test_preview(command, volume, tmp_path):
    picture = tmp_path / "picture.png"
    ended = command("preview", volume, "-p", "bright", "-p", "liver", *WINDOW, "--slice", 9, "-o", picture)
    assert ended.code == 0, ended.err
    assert "bright: found on slice 9" in ended.out
    assert "liver: not found on slice 9" in ended.out
    assert "grey was not trained to find liver; it knows bright, white." in ended.out
    pixels = np.asarray(Image.open(picture).convert("RGB")).astype(int)
    green = (pixels == (0, 255, 0)).all(2)
    assert green.any(), "the outline of the mask"
    rows, columns = np.nonzero(green)
    assert columns.min() > 0.75 * pixels.shape[1], "the mask is in the last panel"
    assert rows.max() < pixels.shape[0] / 2, "and only for the prompt which was found"


def test_preview_with_points_on_several_slices(command, volume, tmp_path):
    """Of a prompt clicked on slices 5 and 10, either can be looked at, and so can the others."""
    points = ("--point", "bright=-45,-50,15", "--point", "bright=-45,-50,30")
    for number in (5, 9):
        picture = tmp_path / f"{number}.png"
        ended = command("preview", volume, "-p", "bright", *WINDOW, *points, "--slice", number, "-o", picture)
        assert ended.code == 0, ended.err
        assert f"bright: found on slice {number}" in ended.out


def test_preview_keeps_proportions(command, tmp_path):
    """A square of 40 x 40 mm on pixels of 1 x 4 mm is square in the picture."""
    array = np.zeros((80, 20, 3), np.int16)
    array[4:76, 1:19] = 80
    array[20:60, 5:15] = 200
    nibabel.Nifti1Image(array, np.diag([-1.0, -4.0, 4.0, 1.0])).to_filename(tmp_path / "flat.nii.gz")
    picture = tmp_path / "picture.png"
    ended = command("preview", tmp_path / "flat.nii.gz", "-p", "bright", *WINDOW, "--slice", 1, "-o", picture)
    assert ended.code == 0, ended.err
    pixels = np.asarray(Image.open(picture).convert("RGB")).astype(int)
    first_panel = pixels[:, : pixels.shape[1] // 4]
    square = (first_panel == 200).all(2)
    height, width = (np.count_nonzero(square.sum(axis) > 20) for axis in (1, 0))  # more than in a letter
    assert height == pytest.approx(width, rel=0.05)
    assert height > 50


@pytest.mark.parametrize("ending", [".seg.nrrd", ".nii.gz"])
def test_evaluate_what_segment_wrote(command, volume, bar, tmp_path, ending):
    labels, names, output = tmp_path / "labels.nii.gz", tmp_path / "names.json", tmp_path / f"out{ending}"
    nibabel.Nifti1Image((bar * 4).astype(np.uint8), AFFINE).to_filename(labels)
    names.write_text('{"4": "bright", "5": "liver"}')
    assert command("segment", volume, "-p", "bright", "-p", "x=liver", *WINDOW, "-o", output).code == 0
    ended = command("evaluate", output, labels, "--names", names, "--json")
    account = json.loads(ended.out)
    assert account["segments"]["bright"]["dice"] > 0.93
    assert account["segments"]["bright"]["hausdorff95"] < 3
    assert account["unmatched"] == ["x"]
    table = command("evaluate", output, labels, "--names", names).out
    assert f"{account['segments']['bright']['dice']:.3f}" in table
    assert "no label" in table


def test_evaluate_brings_segments_to_the_grid_of_the_labels(command, bar, tmp_path):
    """Twice as fine, turned to RAS, and cut: the same place in space."""
    nibabel.Nifti1Image(bar.astype(np.uint8), AFFINE).to_filename(tmp_path / "coarse.nii.gz")
    fine = bar.repeat(2, 0).repeat(2, 1).repeat(2, 2)[::-1, ::-1]
    corner = AFFINE @ [bar.shape[0] - 0.75, bar.shape[1] - 0.75, -0.25, 1]
    matrix = np.diag([0.75, 1.0, 1.5, 1.0])
    matrix[:, 3] = corner
    nibabel.Nifti1Image(fine[4:, 6:].astype(np.uint8), matrix @ _shift(4, 6, 0)).to_filename(tmp_path / "fine.nii.gz")
    (tmp_path / "names.json").write_text('{"1": "bright"}')
    for segmentation, labels in (("coarse", "fine"), ("fine", "coarse")):
        ended = command(
            "evaluate", tmp_path / f"{segmentation}.nii.gz", tmp_path / f"{labels}.nii.gz",
            "--names", tmp_path / "names.json", "--json",
        )  # fmt: skip
        assert json.loads(ended.out)["segments"]["bright"]["dice"] == 1


def _shift(i: float, j: float, k: float) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, 3] = i, j, k
    return matrix


def test_models_list_names_every_model(command, no_network):
    ended = command("models", "list")
    assert ended.code == 0, ended.err
    assert all(name in ended.out for name in catalogue())


def test_a_model_travels_from_store_to_store(command, no_network, tmp_path, monkeypatch):
    weights = tmp_path / "tuned.safetensors"
    save_file({"image_encoder.pos_embed": torch.zeros(1, 64, 64, 768)}, weights)
    ended = command("models", "import", weights, "--as", "medsam-vit-b")
    assert (ended.code, ended.out) == (0, "MedSAM ViT-B is ready: --sam medsam-vit-b\n")
    assert "medsam-vit-b" in command("models", "path", "medsam-vit-b").out
    assert "medsam-vit-b: as it should be\n" in command("models", "verify").out
    assert command("models", "export", "medsam-vit-b", tmp_path / "stick.zip").code == 0
    monkeypatch.setenv("MEDCLIPSAM_MODELS", str(tmp_path / "other"))
    assert "medsam-vit-b" not in command("models", "verify").out
    assert command("models", "import", tmp_path / "stick.zip").code == 0
    assert "ready" in command("models", "info", "medsam-vit-b").out
    (tmp_path / "other" / "medsam-vit-b" / "medsam-vit-b.safetensors").write_bytes(b"cut")
    ended = command("models", "verify")
    assert (ended.code, "is damaged" in ended.err) == (2, True)
    assert command("models", "remove", "medsam-vit-b").code == 0
    assert "not installed" in command("models", "info", "medsam-vit-b").out
    assert command("models", "info", "medsan").code == 2


def test_a_model_that_lacks_tensors_is_not_as_it_should_be(command, no_network, tmp_path, monkeypatch):
    save_file({"image_encoder.pos_embed": torch.zeros(1, 64, 64, 768)}, tmp_path / "part.safetensors")
    assert command("models", "import", tmp_path / "part.safetensors", "--as", "medsam-vit-b").code == 0
    monkeypatch.setattr(segmenters, "load_segmenter", load_segmenter)
    ended = command("models", "verify", "medsam-vit-b")
    assert (ended.code, ended.out) == (2, "")
    assert "looks like medsam-vit-b, but tensors are missing" in " ".join(ended.err.split())


def test_the_store_is_moved(command, no_network, tmp_path, monkeypatch):
    folder = tmp_path / "new" / "models"
    ended = command("models", "path", "--set", folder)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == (
        f"Models are kept in {folder} from now on; those in the former folder stay there.\n"
        f"But the environment variable MEDCLIPSAM_MODELS comes first: while it is set, "
        f"it is {os.environ['MEDCLIPSAM_MODELS']}.\n"
    )
    assert command("models", "path").out == f"{os.environ['MEDCLIPSAM_MODELS']}\n"
    monkeypatch.delenv("MEDCLIPSAM_MODELS")
    assert command("models", "path").out == f"{folder}\n"
    save_file({"image_encoder.pos_embed": torch.zeros(1, 64, 64, 768)}, tmp_path / "tuned.safetensors")
    assert command("models", "import", tmp_path / "tuned.safetensors", "--as", "medsam-vit-b").code == 0
    assert (folder / "medsam-vit-b").is_dir()
    (tmp_path / "file").touch()
    for arguments, said in (
        (("--set", tmp_path / "file"), "cannot be written to"),
        (("--set", ""), "--set has no folder"),
        (("--set", folder, "--reset"), "exclude one another"),
        (("medsam-vit-b", "--reset"), "exclude one another"),
    ):
        ended = command("models", "path", *arguments)
        assert (ended.code, said in ended.err) == (2, True), ended.err
        assert command("models", "path").out == f"{folder}\n"
    ended = command("models", "path", "--reset")
    default = Path(os.environ["XDG_DATA_HOME"]) / "MedCLIPSAM" / "models"
    assert ended.out == f"Models are kept in {default} from now on; those in the former folder stay there.\n"
    assert "not installed" in command("models", "info", "medsam-vit-b").out


def test_damaged_settings_are_told_in_a_sentence(command, monkeypatch):
    monkeypatch.delenv("MEDCLIPSAM_MODELS")
    settings = Path(os.environ["XDG_CONFIG_HOME"]) / "MedCLIPSAM" / "settings.json"
    settings.parent.mkdir()
    settings.write_text("{")
    for arguments in (("list",), ("path",), ("info", "biomedclip"), ("verify",), ("remove", "biomedclip")):
        ended = command("models", *arguments)
        assert (ended.code, ended.err.splitlines()[-1]) == (
            2,
            f"Error: '{settings}' is damaged: choose the folder for models again.",
        )
    assert command("models", "path", "--reset").code == 0
    assert command("models", "list").code == 0


@pytest.mark.parametrize("name", [entry.name for entry in catalogue().values() if entry.built_in])
def test_of_a_built_in_model_nothing_untrue_is_said(command, no_network, tmp_path, name):
    told = command("models", "info", name)
    assert told.code == 0, told.err
    assert "arrive" not in told.out
    for verb, *rest in (("path",), ("remove",), ("download",), ("export", tmp_path / "x.zip")):
        ended = command("models", verb, name, *rest)
        assert (ended.code, ended.out) == (2, "")
        assert " is built in" in ended.err
        assert ended.err.endswith(
            ": it comes with the installation, so the store has no folder of it, and there is nothing to download,"
            " export or remove.\n"
        )
    assert not (tmp_path / "x.zip").exists()


def test_a_file_in_place_of_the_store_is_told_by_every_command(command, no_network, tmp_path, monkeypatch):
    file = tmp_path / "store"
    file.touch()
    monkeypatch.setenv("MEDCLIPSAM_MODELS", str(file))
    for arguments in (("list",), ("path",), ("info", "biomedclip"), ("verify",), ("import", tmp_path)):
        ended = command("models", *arguments)
        assert (ended.code, ended.err.splitlines()[-1]) == (
            2,
            f"Error: '{file}' is a file, no folder for models: "
            "let the environment variable MEDCLIPSAM_MODELS name another folder.",
        )


def test_demo(command, no_network, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "_PROMPTS", ("brain=bright", "liver"))
    monkeypatch.setattr(demo, "_MILLIMETRES", 6)
    out = tmp_path / "new" / "demo"
    ended = command("demo", "--out", out)
    assert ended.code == 0, ended.err
    assert {path.name for path in out.iterdir()} == {
        "mni152_t1.nii.gz",
        "mni152_t1.seg.nrrd",
        "slices.png",
        "view3d.png",
        "abdomen_mr.dcm",
        "organs.png",
    }
    assert all(str(path) in ended.out.replace("\n", "") for path in out.iterdir())
    assert re.search(r"Dice of brain .*: 0\.\d+", ended.out)
    assert re.search(r"liver +│ not found", ended.out)
    assert "organs.png): liver not found, spleen not found" in ended.out.replace("\n", " ")


def test_demo_with_a_pydicom_that_carries_no_abdomen(command, no_network, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "_PROMPTS", ("brain=bright",))
    monkeypatch.setattr(demo, "_MILLIMETRES", 6)
    monkeypatch.setattr(demo, "_ABDOMEN", "none.dcm")
    ended = command("demo", "--out", tmp_path / "demo")
    assert ended.code == 0, ended.err
    assert not (tmp_path / "demo" / "organs.png").exists()


def test_version(command):
    assert command("--version").out == f"medclipsam {__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["segment", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments):
    heavy = ("torch", "slicer", "vtk", "scipy", "matplotlib", "SimpleITK")
    script = (
        f"import sys; from MedCLIPSAMLib.cli import run; code = run({arguments!r});"
        f"sys.exit(code or [name for name in {heavy!r} if name in sys.modules] or None)"
    )
    root = Path(cli.__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": str(root)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8", env=environment)
    assert done.returncode == 0, done.stderr
    assert "medclipsam" in done.stdout


def test_nothing_to_do_shows_the_commands(command):
    ended = command()
    assert ended.code == 0
    assert all(name in ended.out for name in ("segment", "preview", "evaluate", "models", "demo"))
