"""`medclipsam finetune` from a table to a model that all else takes, and what it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from MedCLIPSAMLib.cli import run
from MedCLIPSAMLib.engine.clip.registry import load_clip
from MedCLIPSAMLib.engine.models.catalogue import catalogue
from MedCLIPSAMLib.engine.models.own import CARD
from MedCLIPSAMLib.training.job import WORK
from MedCLIPSAMLib.training.logs import TABLE
from MedCLIPSAMLib.training.run import STATE

QUICK = ("--epochs", "2", "--batch-size", "10", "--train", "last:1", "--precision", "fp32", "--validation", "0.5")


@pytest.fixture
def finetune(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Exit code, output and errors of the command."""

    def call(*arguments: object) -> tuple[int, str, str]:
        code = run(["finetune", *map(str, arguments)])
        told = capsys.readouterr()
        return code, told.out, " ".join(told.err.split())

    return call


@pytest.fixture
def trained(finetune, pairs: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "own-model"
    assert finetune(pairs, "-o", folder, *QUICK)[0] == 0
    return folder


def test_the_new_model_is_taken_by_the_chain_and_by_the_store(trained, capsys, tmp_path):
    card = json.loads((trained / CARD).read_text("utf-8"))
    assert card["data"]["training pairs"] == card["data"]["validation pairs"] == 10
    assert (card["data"]["training patients"], card["base"]["name"], card["epochs"]) == (2, "quickstart", 2)
    assert sorted(file.name for file in (trained / WORK).iterdir()) == [TABLE, "tensorboard"]
    assert load_clip(trained, "cpu").name == "own-model"
    assert run(["models", "import", str(trained)]) == 0
    assert "own-model (Quick start, fine-tuned) is ready: --clip own-model" in " ".join(capsys.readouterr().out.split())
    assert catalogue()["own-model"].shows == catalogue()["quickstart"].shows
    assert run(["models", "list"]) == 0
    assert "own-model" in capsys.readouterr().out
    assert run(["models", "verify", "own-model"]) == 0
    archive = tmp_path / "own.zip"
    assert run(["models", "export", "own-model", str(archive)]) == 0
    assert run(["models", "remove", "own-model"]) == 0
    assert "own-model" not in catalogue()
    assert run(["models", "import", str(archive)]) == 0
    loaded, original = load_clip("own-model", "cpu"), load_clip(trained, "cpu")
    assert loaded.checksum == original.checksum


@pytest.mark.row("training-model")
def test_a_model_that_was_changed_or_is_another_is_not_imported(trained, capsys, tmp_path):
    assert run(["models", "import", str(trained)]) == 0
    card = json.loads((trained / CARD).read_text("utf-8"))

    def refused(change: dict[str, object]) -> str:
        (trained / CARD).write_text(json.dumps(card | change), encoding="utf-8")
        assert run(["models", "import", str(trained)]) == 2
        return " ".join(capsys.readouterr().err.split())

    assert "The store has another model named own-model" in refused({"purpose": "another"})
    assert "is the name of a model of the catalogue" in refused({"name": "biomedclip"})
    assert "cannot be the name of a model" in refused({"name": "../out"})
    assert f"whose {CARD} is damaged" in refused({"files": None})
    assert f"whose {CARD} is damaged" in refused({"files": {"../pairs.csv": "0"}})
    sums = card["files"] | {"anchors.json": "0"}
    assert "is not the file that the model was saved with" in refused({"files": sums})


@pytest.mark.row("training-killed")
def test_killed_and_started_again_it_finds_the_same_weights(finetune, pairs, tmp_path):
    course = ("--epochs", "12", *QUICK[2:], "--patience", "0")
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    arguments = [sys.executable, "-m", "MedCLIPSAMLib", "finetune", str(pairs), "-o", str(killed), *course]
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    state = killed / WORK / STATE
    deadline = time.monotonic() + 300
    while not state.is_file() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert state.is_file()
    assert not (killed / CARD).exists()
    code, _, errors = finetune(pairs, "-o", killed, *course, "--seed", "1")
    assert code == 2
    assert "has an unfinished training with other pairs, settings or another model" in errors
    assert finetune(pairs, "-o", killed, *course)[0] == 0
    assert finetune(pairs, "-o", whole, *course, "--chunk", "10")[0] == 0
    ours, theirs = (load_file(folder / "model.safetensors") for folder in (killed, whole))
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)
    assert (killed / WORK / TABLE).read_text() == (whole / WORK / TABLE).read_text()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--clip", "nowhere"), "There is no CLIP named 'nowhere'"),
        (("--validation", "others.csv"), "no share such as 0.2, and there is no such table"),
        (("--train", "first:2"), "--train 'first:2' is unknown"),
        (("--name", "Quick Start!"), "cannot be the name of a model"),
        (("--name", "quickstart"), "is the name of a model of the catalogue"),
    ],
)
def test_what_cannot_be_is_told_and_leaves_nothing(finetune, pairs, tmp_path, options, sentence):
    code, _, errors = finetune(pairs, "-o", tmp_path / "out", *options)
    assert code == 2
    assert sentence in errors
    assert not (tmp_path / "out").exists()


def test_a_text_that_the_model_cannot_read_is_told_before_any_work(finetune, pairs, tmp_path):
    pairs.write_text(pairs.read_text().replace("CT of the liver", "肝脏"), encoding="utf-8")
    code, _, errors = finetune(pairs, "-o", tmp_path / "out", *QUICK)
    assert code == 2
    assert "cannot read '肝脏'" in errors
    assert not (tmp_path / "out").exists()


def test_an_image_that_cannot_be_read_leaves_nothing(finetune, pairs, tmp_path):
    (tmp_path / "CT-liver-0.png").write_bytes(b"no picture")
    code, _, errors = finetune(pairs, "-o", tmp_path / "out", *QUICK)
    assert code == 2
    assert "CT-liver-0.png is damaged" in errors
    assert not (tmp_path / "out").exists()


def test_what_is_in_the_folder_is_kept(finetune, pairs, trained, tmp_path):
    before = (trained / "model.safetensors").read_bytes()
    code, _, errors = finetune(pairs, "-o", trained, *QUICK)
    assert (code, "has a finished model; choose another folder, or train anew with --force" in errors) == (2, True)
    assert (trained / "model.safetensors").read_bytes() == before
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    code, _, errors = finetune(pairs, "-o", other, *QUICK)
    assert (code, "is not empty" in errors) == (2, True)
    assert [file.name for file in other.iterdir()] == ["notes.txt"]


@pytest.mark.slow
@pytest.mark.row("training-processes")
def test_two_processes_find_what_one_finds(finetune, pairs, tmp_path):
    course = (*QUICK, "--batch-size", "10")
    alone, together = tmp_path / "alone", tmp_path / "together"
    assert finetune(pairs, "-o", alone, *course)[0] == 0
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29631"]
    done = subprocess.run(
        [*launch, "-m", "MedCLIPSAMLib", "finetune", str(pairs), "-o", str(together), *course],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    ours, theirs = (load_file(folder / "model.safetensors") for folder in (together, alone))
    assert max(float(np.abs(ours[name] - theirs[name]).max()) for name in theirs) < 2e-4
