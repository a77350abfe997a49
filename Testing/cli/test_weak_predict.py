"""`medclipsam weak predict` with a small network: against nnU-Net's own prediction, and what is refused."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from PIL import Image
from scipy.stats import entropy

from MedCLIPSAMLib.weak import environment

from ..weak import networks

pytest.importorskip("nnunetv2")


@pytest.fixture
def fold(tmp_path: Path) -> Path:
    return networks.write_model(tmp_path / "model", count=2)


def by_nnunet(fold: Path, volume: Path) -> np.ndarray:
    """(k, j, i): mean foreground of both snapshots, as nnU-Net reads the file and predicts."""
    from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    found = []
    with contextlib.redirect_stdout(io.StringIO()):
        predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
        for name in ("checkpoint_0.pth", "checkpoint_1.pth"):
            predictor.initialize_from_trained_model_folder(str(fold.parent), ("all",), name)
            image, properties = SimpleITKIO().read_images((str(volume),))
            _, probabilities = predictor.predict_single_npy_array(image, properties, None, None, True)
            found.append(probabilities[1])
    return np.mean(found, axis=0)


def test_the_mean_of_the_snapshots_decides_on_the_voxels_of_the_volume(command, fold, volume, tmp_path):
    files = {name: tmp_path / f"{name}.nii.gz" for name in ("mask", "uncertainty", "probability")}
    options = [part for name in ("uncertainty", "probability") for part in (f"--{name}", files[name])]
    ended = command("weak", "predict", volume, "-m", fold, "-o", files["mask"], *options, "--threshold", 0.45)
    assert ended.code == 0
    assert "2 snapshots" in ended.out
    expected, given = by_nnunet(fold, volume), sitk.ReadImage(str(volume))
    read = {name: sitk.ReadImage(str(file)) for name, file in files.items()}
    for image in read.values():
        assert image.GetSize() == given.GetSize()
        assert image.GetOrigin() == pytest.approx(given.GetOrigin())
        assert image.GetDirection() == pytest.approx(given.GetDirection())
    mask, bits, mean = (sitk.GetArrayFromImage(read[name]) for name in files)
    assert mean == pytest.approx(expected, abs=1e-5)
    assert 0 < mask.mean() < 1
    assert np.array_equal(mask == 1, mean > 0.45)
    assert bits == pytest.approx(entropy([mean, 1 - mean], base=2), abs=1e-4)
    assert (tmp_path / "mask.labels.json").read_text().split() == ["{", '"1":', '"bar"', "}"]


def test_a_volume_stored_otherwise_is_segmented_alike(command, fold, volume, tmp_path):
    sitk.WriteImage(sitk.DICOMOrient(sitk.ReadImage(str(volume)), "SRA"), str(tmp_path / "turned.nii.gz"))
    maps = []
    for name, file in (("one", volume), ("other", tmp_path / "turned.nii.gz")):
        target = tmp_path / f"{name}.nii.gz"
        arguments = ("-m", fold, "-o", tmp_path / f"{name}.seg.nrrd", "--probability", target)
        assert command("weak", "predict", file, *arguments).code == 0
        maps.append(nibabel.as_closest_canonical(nibabel.Nifti1Image.from_filename(target)).get_fdata())
    assert maps[0] == pytest.approx(maps[1], abs=1e-4)  # spacings are rounded otherwise


def test_exact_is_the_published_threshold_and_score(command, fold, tmp_path):
    random = np.random.default_rng(0)
    picture = tmp_path / "picture.png"
    Image.fromarray(random.integers(0, 255, (48, 40), np.uint8)).save(picture)
    scores = {}
    for name, options in (("ours", ("--threshold", 0.2)), ("published", ("--exact",))):
        ended = command("weak", "predict", picture, "-m", fold, "-o", tmp_path / f"{name}.seg.nrrd", *options)
        assert ended.code == 0
        scores[name] = ended.out
    assert "3 snapshots" in scores["published"]  # with the best
    assert "2 snapshots" in scores["ours"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("-m", "nowhere"), "is no folder"),
        (("-m", "empty"), "no model of `weak train`"),
        (("--uncertainty", "map.png"), "use .nrrd or .nii.gz"),
        (("--uncertainty", "out.seg.nrrd"), "is named twice"),
        (("--probability", "nowhere/map.nrrd"), "does not exist"),
        (("-o", "out.txt"), "no known ending"),
        (("--threshold", "2"), "less than or equal to 1"),
    ],
)
def test_bad_input_is_refused_before_any_work(command, fold, volume, tmp_path, monkeypatch, options, said):
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    ended = command("weak", "predict", volume, "-m", fold, "-o", "out.seg.nrrd", *options)
    assert ended.code == 2
    assert said in " ".join(ended.err.split())
    assert not list(tmp_path.glob("out*"))


def test_without_nnunet_a_sentence_says_how_it_comes(command, fold, volume, tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "find_spec", lambda name: None)
    ended = command("weak", "predict", volume, "-m", fold, "-o", tmp_path / "out.seg.nrrd")
    assert ended.code == 2
    assert "pip install 'medclipsam[weak]'" in ended.err


def test_a_damaged_snapshot_leaves_no_file(command, fold, volume, tmp_path):
    (fold / "checkpoint_1.pth").write_bytes(b"PK\x03\x04")
    ended = command("weak", "predict", volume, "-m", fold, "-o", tmp_path / "out.seg.nrrd")
    assert ended.code == 2
    assert "checkpoint_1.pth is damaged" in ended.err
    assert not (tmp_path / "out.seg.nrrd").exists()
