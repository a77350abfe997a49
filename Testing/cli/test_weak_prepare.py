"""`medclipsam weak prepare`: which studies become cases, whose they are, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from .conftest import AFFINE

ASK = ("-p", "bright", "--window", "0,255")


@pytest.fixture
def studies(tmp_path: Path, volume: Path) -> Path:
    """Two people with the bar, one without, and a file that is no image."""
    folder = tmp_path / "studies"
    folder.mkdir()
    for name in ("p1_first", "p1_second", "p2_first"):
        shutil.copy(volume, folder / f"{name}.nii.gz")
    array = sitk.GetArrayFromImage(sitk.ReadImage(str(volume))).T.copy()
    array[array == 200] = 80
    nibabel.Nifti1Image(array, AFFINE).to_filename(folder / "p3_without.nii.gz")
    (folder / "p4_damaged.nii.gz").write_bytes(b"no image")
    return folder


def made_of(dataset: Path, name: str) -> tuple[np.ndarray, sitk.Image]:
    """(k, j, i) labels, and the image, of a case."""
    return (
        sitk.GetArrayFromImage(sitk.ReadImage(str(dataset / "labelsTr" / f"{name}.nii.gz"))),
        sitk.ReadImage(str(dataset / "imagesTr" / f"{name}_0000.nii.gz")),
    )


def test_studies_become_cases_and_the_rest_is_counted_with_its_reason(command, studies, tmp_path, bar):
    dataset = tmp_path / "nnUNet_raw" / "Dataset101_Bar"
    ended = command("weak", "prepare", studies, *ASK, "-o", dataset)
    assert ended.code == 0
    for line in ("3 cases", "2 studies left out", "1 bright: not found", "1 failed"):
        assert line in ended.out
    assert "p4_damaged.nii.gz cannot be read" in " ".join(ended.err.split())
    described = json.loads((dataset / "dataset.json").read_text())
    assert described["labels"] == {"background": 0, "bright": 1, "ignore": 2}
    assert described["numTraining"] == 3
    labels, image = made_of(dataset, "p1-first")
    assert (labels == 1).sum() == pytest.approx(bar.sum(), rel=0.05)
    assert image.GetSpacing() == pytest.approx((1.5, 2.0, 3.0))
    assert image.GetSize() == (60, 48, 20)
    page = (dataset / "thumbnails.html").read_text()
    assert page.count("data:image/png") == 3
    assert "p3_without.nii.gz: not found" in page
    assert not list(dataset.rglob(".medclipsam-*"))


def test_nobody_is_on_both_sides_of_a_fold(command, studies, tmp_path):
    dataset = tmp_path / "Dataset101_Bar"
    command("weak", "prepare", studies, *ASK, "-o", dataset)
    folds = json.loads((dataset / "splits_final.json").read_text())
    assert sorted(fold["val"] for fold in folds) == [["p1-first", "p1-second"], ["p2-first"]]
    for fold in folds:
        assert sorted(fold["train"] + fold["val"]) == ["p1-first", "p1-second", "p2-first"]


def test_a_table_says_whose_studies_are(command, studies, tmp_path):
    table = tmp_path / "patients.csv"
    table.write_text("study,patient\np1_second.nii.gz,p2\n")
    dataset = tmp_path / "Dataset101_Bar"
    assert command("weak", "prepare", studies, *ASK, "-o", dataset, "--patients", table).code == 0
    folds = json.loads((dataset / "splits_final.json").read_text())
    assert sorted(fold["val"] for fold in folds) == [["p1-first"], ["p1-second", "p2-first"]]


def test_wordings_that_disagree_leave_a_case_out(command, studies, tmp_path):
    asked = ("-p", "bar=bright; bright; white", *ASK[2:])
    ended = command("weak", "prepare", studies, *asked, "-o", tmp_path / "Dataset101_Bar")
    assert ended.code == 2
    assert "3 bar: agreement of wordings" in ended.err
    assert not (tmp_path / "Dataset101_Bar" / "dataset.json").exists()


def test_a_segmenter_that_is_not_sure_leaves_a_case_out(command, studies, tmp_path):
    ended = command("weak", "prepare", studies, *ASK, "-o", tmp_path / "Dataset101_Bar", "--min-score", 1)
    assert ended.code == 2
    assert "bright: segmenter's score" in ended.err


def test_what_is_done_is_not_done_again_and_what_failed_is(command, studies, tmp_path, volume):
    dataset = tmp_path / "Dataset101_Bar"
    arguments = ("weak", "prepare", studies, *ASK, "-o", dataset)
    command(*arguments)
    image = dataset / "imagesTr" / "p1-first_0000.nii.gz"
    before = image.stat().st_mtime_ns
    shutil.copy(volume, studies / "p4_damaged.nii.gz")
    (dataset / "medclipsam" / "p2-first.json").unlink()  # as if killed within the case
    ended = command(*arguments)
    assert "3 studies were done before" in ended.err
    assert "4 cases" in ended.out
    assert "failed" not in ended.out
    assert image.stat().st_mtime_ns == before
    ended = command(*arguments, "--min-score", 0.4)
    assert ended.code == 2
    assert "other prompts, models or options" in ended.err


def test_pictures_become_files_of_two_dimensions_and_their_masks_no_cases(command, tmp_path):
    folder = tmp_path / "studies"
    (folder / "anna").mkdir(parents=True)
    pixels = np.full((60, 80), 80, np.uint8)
    pixels[20:40, 30:50] = 200
    for name in ("a", "b", "b_mask"):
        Image.fromarray(pixels).save(folder / "anna" / f"{name}.png")
    dataset = tmp_path / "Dataset101_Bar"
    ended = command("weak", "prepare", folder, *ASK, "-o", dataset)
    assert "2 cases" in ended.out
    labels, image = made_of(dataset, "anna-a")
    assert image.GetSize() == (80, 60)
    assert np.array_equal(sitk.GetArrayFromImage(image), pixels)
    assert np.argwhere(labels == 1).mean(0) == pytest.approx((29.5, 39.5), abs=1)
    assert json.loads((dataset / "splits_final.json").read_text()) == []  # one person


def test_volumes_are_turned_to_one_order(command, studies, tmp_path, volume):
    sitk.WriteImage(sitk.DICOMOrient(sitk.ReadImage(str(volume)), "SRA"), str(studies / "p5_turned.nii.gz"))
    dataset = tmp_path / "Dataset101_Bar"
    command("weak", "prepare", studies, *ASK, "-o", dataset)
    (labels, image), (other_labels, other_image) = (made_of(dataset, name) for name in ("p1-first", "p5-turned"))
    assert np.array_equal(labels, other_labels)
    assert np.array_equal(sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(other_image))


def test_a_picture_among_volumes_fails_alone(command, studies, tmp_path):
    Image.fromarray(np.full((60, 80), 180, np.uint8)).save(studies / "z.png")
    ended = command("weak", "prepare", studies, *ASK, "-o", tmp_path / "Dataset101_Bar")
    assert "z.png is a single slice among volumes" in " ".join(ended.err.split())
    assert "3 cases" in ended.out


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Liver", "call it DatasetNNN_NAME"),
        ("Dataset7_Liver", "call it DatasetNNN_NAME"),
        ("Dataset102_Other", "belongs to"),
        ("Dataset103_Taken", "is not of `weak prepare`"),
    ],
)
def test_a_folder_that_cannot_be_the_dataset_is_refused(no_models, studies, tmp_path, name, said):
    (tmp_path / "nnUNet_preprocessed" / "Dataset102_Bar").mkdir(parents=True)
    (tmp_path / "nnUNet_raw" / "Dataset103_Taken" / "imagesTr").mkdir(parents=True)
    (tmp_path / "nnUNet_raw" / "Dataset103_Taken" / "imagesTr" / "a_0000.nii.gz").touch()
    ended = no_models("weak", "prepare", studies, *ASK, "-o", tmp_path / "nnUNet_raw" / name)
    assert ended.code == 2
    assert said in ended.err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("nowhere", "-p", "bright"), "is no folder"),
        (("empty", "-p", "bright"), "holds no study"),
        (("studies", "-p", "ignore"), "has the name of a label"),
        (("studies", "-p", "bright", "--patients", "nowhere.csv"), "cannot be read"),
        (("studies", "-p", "bright", "--patients", "unknown.csv"), "no study of"),
        (("studies", "-p", "bright", "--patients", "columns.csv"), "lacks a study or a patient"),
    ],
)
def test_bad_input_is_refused_before_any_work(no_models, studies, tmp_path, monkeypatch, given, said):
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("unknown.csv").write_text("study,patient\nnobody.nii.gz,p9\n")
    Path("columns.csv").write_text("file,person\np1_first.nii.gz,p9\n")
    ended = no_models("weak", "prepare", *given, "-o", "Dataset101_Bar")
    assert ended.code == 2
    assert said in ended.err
    assert not Path("Dataset101_Bar").exists()


def test_a_full_disk_leaves_nothing_half_written(command, studies, tmp_path, monkeypatch):
    dataset = tmp_path / "Dataset101_Bar"

    def full(image: object, path: str, compressed: bool) -> None:
        Path(path).write_bytes(b"half")
        raise RuntimeError("no space")

    monkeypatch.setattr(sitk, "WriteImage", full)
    ended = command("weak", "prepare", studies, *ASK, "-o", dataset)
    assert ended.code == 2
    assert "check the free space" in ended.err
    monkeypatch.undo()
    assert not [*(dataset / "imagesTr").iterdir(), *(dataset / "labelsTr").iterdir()]
