"""Real slices of a head: pseudo-labels, a training of two epochs that is interrupted, and its snapshots together."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from nilearn.datasets import load_mni152_template
from PIL import Image

from MedCLIPSAMLib.cli import run
from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.weak import training

OPTIONS = ("--epochs", "2", "--steps", "2", "--validation-steps", "1", "--rule", "late", "--device", "cpu")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six slices of the MNI152 head, of three people by their names, labelled by the built-in models."""
    folder = tmp_path_factory.mktemp("weak")
    (folder / "studies").mkdir()
    head = np.asarray(load_mni152_template(2).dataobj)[:, ::-1]
    for number, index in enumerate((36, 40, 44, 48, 52, 56)):
        pixels = (head[..., index].T / head.max() * 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "studies" / f"p{number // 2}_slice{index}.png")
    made = folder / "nnUNet_raw" / "Dataset501_Head"
    arguments = ["prepare", str(folder / "studies"), "-p", "brain=brain; a brain MRI", "-o", str(made)]
    assert run(["weak", *arguments]) == 0
    return made


def test_pictures_teach_a_network_that_goes_on_after_a_kill_and_segments(dataset, tmp_path, monkeypatch, capsys):
    pytest.importorskip("nnunetv2")
    (dataset / "discarded.txt").write_text("p2-slice56\n")
    command = ["weak", "train", str(dataset), *OPTIONS]
    told = []

    def killed(done: int) -> None:
        told.append(done)
        if done == 1:
            raise KeyboardInterrupt

    asked = training.Training("2d", "all", training.Schedule(2, rule="late"), 2, 1)
    trainee = training.Trainee(dataset, asked)
    trainee.preprocess()
    with pytest.raises(KeyboardInterrupt):
        trainee.train(training.torch.device("cpu"), killed)
    (fold,) = (dataset.parents[1] / "nnUNet_results" / dataset.name).glob("*/fold_all")
    assert {file.name for file in fold.glob("*.pth")} == {
        "checkpoint_0.pth",
        "checkpoint_best.pth",
        "checkpoint_latest.pth",
    }
    first = (fold / "checkpoint_0.pth").stat().st_mtime_ns
    assert run(command) == 0
    assert (fold / "checkpoint_0.pth").stat().st_mtime_ns == first  # the first epoch was not trained again
    assert {file.name for file in fold.glob("*.pth")} == {
        "checkpoint_0.pth",
        "checkpoint_1.pth",
        "checkpoint_best.pth",
        "checkpoint_final.pth",
    }
    assert len(json.loads((fold / "training.json").read_text())["cases"]) == 5
    assert str(fold) in capsys.readouterr().out
    longer = training.Trainee(dataset, training.Training("2d", "all", training.Schedule(4, rule="late"), 2, 1))
    with pytest.raises(InputError, match="begun with other cases or options"):
        longer.train(training.torch.device("cpu"), told.append)
    files = {name: tmp_path / f"{name}.nii.gz" for name in ("mask", "uncertainty", "probability")}
    options = ["--uncertainty", str(files["uncertainty"]), "--probability", str(files["probability"])]
    picture = dataset.parents[1] / "studies" / "p2_slice56.png"
    assert run(["weak", "predict", str(picture), "-m", str(fold), "-o", str(files["mask"]), *options]) == 0
    assert "2 snapshots" in capsys.readouterr().out
    mask, bits, mean = (sitk.GetArrayFromImage(sitk.ReadImage(str(file))) for file in files.values())
    assert mask.shape == bits.shape == mean.shape == (1, *Image.open(picture).size[::-1])
    assert np.array_equal(mask == 1, mean > 0.5)
    assert 0 < bits.max() <= 1
