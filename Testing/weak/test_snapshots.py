"""Folders of models: what is taken from them, and which are refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from MedCLIPSAMLib.engine.errors import InputError, ModelError
from MedCLIPSAMLib.weak.schedule import Schedule
from MedCLIPSAMLib.weak.snapshots import Model, read_weights


@pytest.fixture
def fold(tmp_path: Path) -> Path:
    """A fold with the files of two epochs, empty, as the finding of a model does not read them."""
    fold = tmp_path / "SnapshotTrainer__nnUNetPlans__2d" / "fold_all"
    fold.mkdir(parents=True)
    about = {"configuration": "2d", "schedule": vars(Schedule(2, rule="late"))}
    (fold / "training.json").write_text(json.dumps(about))
    (fold.parent / "plans.json").write_text("{}")
    described = {"labels": {"background": 0, "ignore": 3, "spleen": 2, "liver": 1}}
    (fold.parent / "dataset.json").write_text(json.dumps(described))
    for name in ("checkpoint_0", "checkpoint_1", "e_checkpoint_1", "checkpoint_best", "checkpoint_final"):
        (fold / f"{name}.pth").touch()
    return fold


def test_the_snapshots_of_the_schedule_are_taken_and_labels_are_in_their_order(fold):
    model = Model.find(fold)
    assert [file.name for file in model.files] == ["checkpoint_0.pth", "checkpoint_1.pth"]
    assert model.labels == ["liver", "spleen"]
    assert Model.find(fold.parent) == model


@pytest.mark.parametrize(
    ("rule", "names"),
    [
        ("late", ["checkpoint_0", "checkpoint_1", "checkpoint_best", "checkpoint_final"]),
        ("sparse", ["checkpoint_best", "e_checkpoint_1"]),
        ("both", ["checkpoint_0", "checkpoint_1", "checkpoint_best", "checkpoint_final", "e_checkpoint_1"]),
    ],
)
def test_the_published_prediction_takes_more(fold, rule, names):
    about = {"configuration": "2d", "schedule": vars(Schedule(2, rule=rule))}
    (fold / "training.json").write_text(json.dumps(about))
    assert [file.stem for file in Model.find(fold, exact=True).files] == names


def test_other_folders_are_refused(fold, tmp_path):
    with pytest.raises(InputError, match="is no folder"):
        Model.find(tmp_path / "nowhere")
    with pytest.raises(InputError, match="no model of `weak train`"):
        Model.find(tmp_path)
    shutil.copytree(fold, fold.with_name("fold_0"))
    with pytest.raises(InputError, match="several folds"):
        Model.find(fold.parent)
    for file in fold.glob("*.pth"):
        file.unlink()
    with pytest.raises(InputError, match="no snapshot yet"):
        Model.find(fold)
    (fold.parent / "plans.json").write_text("{")
    with pytest.raises(InputError, match="no model of `weak train`"):
        Model.find(fold)


def test_a_damaged_snapshot_is_told(fold):
    with pytest.raises(ModelError, match=r"checkpoint_0\.pth is damaged"):
        read_weights(fold / "checkpoint_0.pth")
