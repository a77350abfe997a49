"""Which files are studies, and whose they are."""

from __future__ import annotations

import shutil

import pydicom
import pytest

from MedCLIPSAMLib.weak.dataset import splits
from MedCLIPSAMLib.weak.studies import find_studies

from ..samples import pydicom_data


@pytest.mark.parametrize(
    ("place", "patient"),
    [
        ("p07_slice3.png", "p07"),
        ("p07_series2_slice3.nii.gz", "p07"),
        ("patient_7_slice_3.nrrd", "patient_7"),
        ("sub-01_ses-02_T1w.nii.gz", "sub-01"),
        ("benign (12).png", "benign (12)"),
        ("head_axial.png", "head_axial"),
        ("anna/monday/scan_1_a.nii.gz", "anna"),
    ],
)
def test_names_tell_whose_a_study_is(tmp_path, place, patient):
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / place).touch()
    (study,) = find_studies(tmp_path)
    assert (study.place, study.patient) == (place, patient)


def test_the_patient_of_dicom_is_that_of_its_header(tmp_path):
    file = pydicom_data("MR-SIEMENS-DICOM-WithOverlays.dcm")
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
        shutil.copy(file, tmp_path / folder / "slice")
    told = str(pydicom.dcmread(file, stop_before_pixels=True).PatientID)
    found = find_studies(tmp_path)
    assert [study.place for study in found] == ["one", "other"]
    assert {study.patient for study in found} == {told}


def test_labels_beside_their_picture_and_other_files_are_no_studies(tmp_path):
    for name in ("b.png", "a.png", "a_mask.png", "lonely_mask.png", "labels.json", ".hidden.png"):
        (tmp_path / name).touch()
    assert [study.place for study in find_studies(tmp_path)] == ["a.png", "b.png", "lonely_mask.png"]
    assert find_studies(tmp_path)[0].stem == "a"


def test_folds_hold_out_each_patient_once():
    patients = {f"case{number}": f"person{number % 7}" for number in range(21)}
    folds = splits(patients)
    assert len(folds) == 5
    assert sorted(case for fold in folds for case in fold["val"]) == sorted(patients)
    for fold in folds:
        assert sorted(fold["train"] + fold["val"]) == sorted(patients)
        assert not {patients[case] for case in fold["train"]} & {patients[case] for case in fold["val"]}


def test_one_patient_makes_no_folds():
    assert splits({"a": "anna", "b": "anna"}) == []


def test_a_case_is_named_after_its_place_in_letters_that_every_disk_takes(tmp_path):
    deep = tmp_path / "a" / "ü"
    deep.mkdir(parents=True)
    (deep / "c d.nii.gz").touch()
    (study,) = find_studies(tmp_path)
    assert study.stem == "a-c-d"
