"""What `medclipsam weak train` refuses before it trains."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from MedCLIPSAMLib.cli import run
from MedCLIPSAMLib.engine.volume import Volume
from MedCLIPSAMLib.weak import environment
from MedCLIPSAMLib.weak.dataset import KEPT, Dataset, Record
from MedCLIPSAMLib.weak.grid import Grid


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Slices of three people, as `weak prepare` leaves them."""
    made = Dataset(tmp_path / "Dataset501_Head")
    made.begin({})
    array = np.zeros((1, 20, 24), np.uint8)
    array[:, 5:15, 5:15] = 100
    grid = Grid(Volume(array, np.diag([-1.0, -1, 1, 1]), "other"))
    for name in ("p0", "p1", "p2"):
        made.keep(name, Record(f"{name}.png", name, KEPT, flat=True), grid, array // 100, b"")
    made.finish(["brain"])
    return made.folder


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--fold", "7"), "has folds 0 to 2, and no fold 7"),
        (("--fold", "one"), "is no fold"),
        (("--configuration", "4d"), "use 2d, 3d_fullres"),
        (("--configuration", "3d_fullres"), "holds single slices"),
        (("--epochs", "10", "--cycles", "3"), "a multiple of the cycles"),
        (("--rule", "early"), "use late, sparse, both"),
        (("--device", "cuda:77"), "is not available here"),
    ],
)
def test_options_that_cannot_be_are_refused(dataset, capsys, options, said):
    assert run(["weak", "train", str(dataset), *options]) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_a_dataset_that_cannot_be_trained_is_refused(dataset, tmp_path, capsys, monkeypatch):
    def refusal(folder: Path) -> str:
        assert run(["weak", "train", str(folder)]) == 2
        return " ".join(capsys.readouterr().err.split())

    monkeypatch.setattr(environment, "find_spec", lambda name: None)
    assert "pip install 'medclipsam[weak]'" in refusal(dataset)
    assert "no finished dataset" in refusal(tmp_path / "Dataset502_Empty")
    (dataset / "discarded.txt").write_text("nobody\n")
    assert "names nobody, which is no case" in refusal(dataset)
    (dataset / "discarded.txt").write_text("p0\np1\np2\n")
    assert "all are discarded" in refusal(dataset)
    (dataset / "dataset.json").write_text("{")
    assert "delete it, and prepare again" in refusal(dataset)


def test_what_is_discarded_is_in_no_fold(dataset, capsys, monkeypatch):
    monkeypatch.setattr(environment, "find_spec", lambda name: None)
    (dataset / "discarded.txt").write_text("p1\n")
    assert run(["weak", "train", str(dataset)]) == 2  # nnU-Net is missing, which is told last
    for name in ("splits_final.json", "dataset.json"):
        assert "p0" in (dataset / name).read_text()
        assert "p1" not in (dataset / name).read_text()
