"""`medclipsam validate` on labelled people: what it reads, what it measures, what it leaves."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from MedCLIPSAMLib.cli.validation.measuring import Answer
from MedCLIPSAMLib.cli.validation.people import find_people, read_case
from MedCLIPSAMLib.cli.validation.pictures import Case, chosen
from MedCLIPSAMLib.cli.validation.table import calibration_error, summarise
from MedCLIPSAMLib.engine.errors import InputError

from ..samples import abdomen_organs, abdomen_slice


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """One abdomen as a picture of two organs, where no brain can be."""
    folder = tmp_path / "people" / "abdomens"
    folder.mkdir(parents=True)
    grey = np.clip((abdomen_slice().astype(float) + 160) * 255 / 400, 0, 255).astype(np.uint8)
    organs = abdomen_organs()
    labels = np.where(organs["liver"], 1, np.where(organs["spleen"], 2, 0)).astype(np.uint8)
    Image.fromarray(grey).save(folder / "p1__slice.png")
    Image.fromarray(labels).save(folder / "p1__slice_mask.png")
    (folder / "labels.json").write_text('{"1": "liver", "2": "spleen"}')
    (folder / "validation.json").write_text('{"modality": "CT", "absent": ["brain"]}')
    return tmp_path / "people"


def test_a_row_for_each_structure_with_answers_and_pictures(command, people, tmp_path):
    out = tmp_path / "out"
    ended = command("validate", people, "-o", out, "--json")
    assert ended.code == 0, ended.err
    rows = {row["structure"]: row for row in json.loads(ended.out)["rows"]}
    assert set(rows) == {"liver", "spleen", "brain"}
    assert rows["liver"]["people"] == 1
    for structure in ("liver", "spleen"):
        row = rows[structure]
        assert row["boxed"] > 0.7
        assert (row["missed"], row["dice"] > 0) in ((0, True), (1, False))
    assert rows["brain"]["dice"] is None
    assert rows["brain"]["claimed"] == 0
    assert json.loads((out / "validation.json").read_text())["rows"] == json.loads(ended.out)["rows"]
    assert len(json.loads((out / "answers.json").read_text())["answers"]) == 3
    pictures = sorted(file.name for file in out.glob("*.png"))
    assert [name.partition("-")[2] for name in pictures] == ["liver.png", "spleen.png"]
    assert command("validate", people, "-o", out).code == 2, "the folder is not empty"


def test_volumes_and_prompts_of_several_labels(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    affine = np.diag([2.0, 2, 4, 1])
    labels = np.zeros((8, 9, 10), np.uint8)
    labels[2:4], labels[5:7] = 1, 2
    nibabel.save(nibabel.Nifti1Image(np.full((8, 9, 10), -900, np.int16), affine), folder / "pt_1_ct.nii.gz")
    nibabel.save(nibabel.Nifti1Image(labels, affine), folder / "pt_1_labels.nii.gz")
    nibabel.save(nibabel.Nifti1Image(labels, affine), folder / "pt_1_ptv.nii.gz")
    (folder / "labels.json").write_text('{"1": "vertebra L1", "2": "vertebra L2"}')
    (folder / "validation.json").write_text('{"prompts": {"vertebra": ["vertebra L1", "vertebra L2"]}}')
    (case,) = find_people(tmp_path)
    assert (case.person, case.image.name) == ("pt_1", "pt_1_ct.nii.gz")
    assert case.source.numbers("vertebra") == [1, 2]
    volume, read = read_case(case)
    assert volume.array.shape == read.shape == (10, 9, 8)
    assert (read == 1).sum() == (labels == 1).sum()


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "no labelled images"),
        ({"labels.json": "{", "a.png": "", "a_mask.png": ""}, "labels.json"),
        ({"labels.json": '{"1": "liver"}', "validation.json": "[1]"}, "no description of labelled people"),
        (
            {"labels.json": '{"1": "liver"}', "validation.json": '{"prompts": {"liver": ["lever"]}}'},
            "names the label 'lever'",
        ),
    ],
)
def test_what_is_wrong_with_a_folder_is_said(tmp_path, files, said):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=said):
        find_people(tmp_path)


def test_labels_of_another_size_are_refused(people):
    file = next(people.glob("*/*_mask.png"))
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(file)
    (case,) = find_people(people)
    with pytest.raises(InputError, match="another size"):
        read_case(case)


def answer(person: str, dice: float | None, there: tuple[bool, ...], found: tuple[bool, ...]) -> Answer:
    scores = tuple(0.9 if each else 0.1 for each in found)
    return Answer("s", "CT", "axial", person, person, "liver", dice is not None, dice, dice, scores, there, found)


def test_people_count_once_and_slices_each():
    (row,) = summarise(
        [
            answer("a", 0.5, (True, False), (True, True)),
            answer("a", 0.7, (True,), (True,)),
            answer("b", 1.0, (True, True), (False, True)),
            answer("c", None, (False,), (False,)),
        ]
    )
    assert (row.people, row.slices) == (2, 6)
    assert row.dice == pytest.approx(0.8)
    assert row.quartiles == pytest.approx((0.7, 0.8, 0.9))
    assert row.missed == pytest.approx(0.25)
    assert row.claimed == pytest.approx(0.5)
    there = [True, False, True, True, True, False]
    assert row.auc == pytest.approx(roc_auc_score(there, [0.9, 0.9, 0.9, 0.1, 0.9, 0.1]))


def test_calibration_is_the_distance_of_what_is_said_from_what_is_true():
    scores, there = np.array([0.05, 0.05, 0.95, 0.95]), np.array([False, False, True, True])
    assert calibration_error(scores, there) == pytest.approx(0.05)
    assert calibration_error(scores, ~there) == pytest.approx(0.95)
    assert calibration_error(np.ones(2), np.array([True, False])) == pytest.approx(0.5)


def test_best_middle_and_worst_are_shown_once_each():
    plane = np.zeros((900, 400), np.uint8)
    cases = [Case.at_most(dice, str(dice), plane, plane > 0, plane > 0) for dice in (0.2, 0.9, 0.5)]
    assert [(name, case.dice) for name, case in chosen(cases)] == [("best", 0.9), ("middle", 0.5), ("worst", 0.2)]
    assert len(chosen(cases[:1])) == 1
    assert max(cases[0].grey.shape) <= 320
