"""`medclipsam reproduce` as a whole: the page, going on after a kill, both ways to run the chain."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from MedCLIPSAMLib.cli import run
from MedCLIPSAMLib.cli.reproduction.running import Work
from MedCLIPSAMLib.engine.clip import registry as clips
from MedCLIPSAMLib.engine.clip.base import Recommendation
from MedCLIPSAMLib.engine.sam import registry as segmenters

from ...conftest import REPOSITORY
from ...engine.fakes import BlindClip, GreyClip, GreySegmenter
from ...samples import abdomen_organs, abdomen_slice
from .conftest import ellipse_mask

KILLED = """
import os, signal, sys
from MedCLIPSAMLib.cli import run
from MedCLIPSAMLib.cli.reproduction.ledger import Ledger
from MedCLIPSAMLib.engine.clip import registry as clips
from MedCLIPSAMLib.engine.sam import registry as segmenters
from Testing.engine.fakes import GreyClip, GreySegmenter

clips.load_clip = lambda name, device: GreyClip()
segmenters.load_segmenter = lambda name, device: GreySegmenter()
add = Ledger.add

def dying(self, result):
    if len(self.results) == 3:
        with self._path.open("a") as file:
            file.write("breast_tumors,own pro")
        os.kill(os.getpid(), signal.SIGKILL)
    add(self, result)

Ledger.add = dying
run(sys.argv[1:])
"""


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The pictures that a run works on."""
    names: list[str] = []
    do = Work.do

    def counting(self, asked, cancelled):
        names.append(asked.case.name)
        do(self, asked, cancelled)

    monkeypatch.setattr(Work, "do", counting)
    return names


def test_both_ways_and_a_trained_model_on_one_page(command, data, tmp_path):
    out = tmp_path / "out"
    ended = command("reproduce", data, "-o", out, "--weak", data / "breast_tumors" / "test_masks", "--json")
    assert ended.code == 0, ended.err
    account = json.loads(ended.out)
    own, one, weak = account["rows"]
    assert [row["way"] for row in account["rows"]] == ["own prompts", "one prompt", "weakly supervised"]
    assert own["dsc"] > 90
    assert own["not_found"] == 0
    assert (one["prompt"], one["dsc"], one["not_found"]) == ("breast tumor", 0, 3)  # a text that this model knows not
    assert (weak["dsc"], weak["nsd"], weak["published_dsc"]) == (100, 100, None)
    assert (own["images"], own["people"], own["published_dsc"]) == (3, 2, 77.76)
    said = " ".join(account["remarks"]["Breast tumours, ultrasound"])
    assert "These are not the published pictures" in said
    assert "left out: 1" in said
    assert json.loads((out / "reproduction.json").read_text("utf-8")) == account
    with (out / "reproduction.csv").open(encoding="utf-8", newline="") as file:
        assert [float(row["dsc"]) for row in csv.DictReader(file)] == [row["dsc"] for row in account["rows"]]
    page = (out / "reproduction.html").read_text("utf-8")
    assert "77.76" in page
    assert page.count('src="data:image/png;base64,') == page.count("<img") == 3
    assert not re.search(r"(src|href)=.?http|<script|<link", page)
    mask = np.asarray(Image.open(out / "masks" / "breast_tumors" / "own-prompts" / "p1__a.png"))
    assert np.count_nonzero((mask > 0) != ellipse_mask(30, 40)) < 40


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_killed_run_goes_on(command, data, tmp_path, opened):
    out = tmp_path / "out"
    paths = os.pathsep.join((str(REPOSITORY / "MedCLIPSAM"), str(REPOSITORY)))
    given = [sys.executable, "-c", KILLED, "reproduce", str(data), "-o", str(out)]
    ended = subprocess.run(given, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert not (out / "reproduction.html").exists()
    assert command("reproduce", data, "-o", out).code == 0
    assert opened == ["p1__b", "p2__a"]
    lines = (out / "results.csv").read_text("utf-8").splitlines()
    assert len(lines) == 1 + 2 * 3
    assert command("reproduce", data, "-o", out).code == 0
    assert len(opened) == 2, "nothing was left to do"


def test_what_changed_is_done_again_and_another_model_refused(command, data, tmp_path, opened, monkeypatch):
    out = tmp_path / "out"
    assert command("reproduce", data, "-o", out).code == 0
    Image.fromarray(np.where(ellipse_mask(40, 50), 210, 80).astype(np.uint8)).save(
        data / "breast_tumors" / "test_images" / "p1__a.png"
    )
    del opened[:]
    assert command("reproduce", data, "-o", out).code == 0
    assert opened == ["p1__a"]
    monkeypatch.setattr(GreyClip, "checksum", "2" * 64)
    refused = command("reproduce", data, "-o", out)
    assert refused.code == 2
    assert "a run of other models or settings" in " ".join(refused.err.split())
    assert command("reproduce", data, "-o", out, "--force").code == 0
    assert opened == ["p1__a", "p1__a", "p1__b", "p2__a"]


def test_force_spares_masks_that_no_run_has_made(command, data):
    breasts = data / "breast_tumors"
    (breasts / "test_masks").rename(breasts / "masks")
    (breasts / "test_images").rename(breasts / "images")
    ended = command("reproduce", data, "-o", breasts, "--force")
    assert ended.code == 2
    assert "was not made by this command" in " ".join(ended.err.split())
    assert len(list((breasts / "masks").iterdir())) == 3
    out = data.parent / "out"
    assert command("reproduce", data, "-o", out).code == 0
    own = out / "masks" / "breast_tumors" / "own-prompts"
    ended = command("reproduce", data, "-o", out, "--force", "--weak", own)
    assert ended.code == 2
    assert "give masks from elsewhere" in " ".join(ended.err.split())
    assert len(list(own.iterdir())) == 3


def test_ctrl_c_keeps_what_is_done(command, data, tmp_path, monkeypatch):
    out = tmp_path / "out"
    do = Work.do

    def interrupted(self, asked, cancelled):
        do(self, asked, cancelled)
        os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Work, "do", interrupted)
        ended = command("reproduce", data, "-o", out)
    assert ended.code == 130
    assert "the same command goes on from there" in " ".join(ended.err.split())
    assert sorted(file.name for file in out.iterdir()) == ["masks", "results.csv", "run.json"]
    assert len((out / "results.csv").read_text("utf-8").splitlines()) == 1 + 2
    assert command("reproduce", data, "-o", out).code == 0


def test_an_empty_mask_is_told_and_counts_only_where_something_is_drawn(command, data, tmp_path):
    for name in ("p1__a", "p1__b"):
        Image.fromarray(np.zeros((96, 120), np.uint8)).save(data / "breast_tumors" / "test_masks" / f"{name}.png")
    ended = command("reproduce", data, "-o", tmp_path / "out", "--json")
    own, one = json.loads(ended.out)["rows"]
    assert own["without_pixels"] == 0
    assert 30 < own["dsc"] < 34
    assert (one["without_pixels"], one["dsc"]) == (2, 0)


class Blind(BlindClip):
    """With as many blocks as BiomedCLIP."""

    block_count = 12
    recommended = Recommendation("m2ib", 7, 0.1)


def test_a_model_of_blocks_runs_with_the_settings_of_each_set(command, data, tmp_path, monkeypatch):
    for name in ("p1__b.png", "p2__a.jpg"):
        (data / "breast_tumors" / "test_masks" / name).unlink()
    lungs = data / "lung_CT"
    for name in ("images", "masks"):
        (lungs / name).mkdir(parents=True)
    truth = ellipse_mask(48, 25) | ellipse_mask(48, 95)
    Image.fromarray(np.where(truth, 200, 80).astype(np.uint8)).save(lungs / "images" / "ID1_1.png")
    Image.fromarray(truth.astype(np.uint8)).save(lungs / "masks" / "ID1_1.png")
    counted: list[int] = []

    class Counting(GreySegmenter):
        def decode(self, embedding, boxes=None, *more, **others):
            counted.append(0 if boxes is None else len(boxes))
            return super().decode(embedding, boxes, *more, **others)

    monkeypatch.setattr(clips, "load_clip", lambda name, device: Blind())
    monkeypatch.setattr(segmenters, "load_segmenter", lambda name, device: Counting())
    ended = command("reproduce", data, "-o", tmp_path / "out", "--json")
    assert ended.code == 0, ended.err
    account = json.loads(ended.out)
    breast, lung = account["settings"]["breast_tumors"], account["settings"]["lung_CT"]
    assert (breast["layer"], breast["beta"], breast["seed"], breast["exact"]) == (9, 1.0, 12, True)
    assert (lung["layer"], lung["beta"], lung["seed"]) == (7, 0.1, 42)
    assert 2 in counted, "each lung has a box of its own"
    (row,) = (row for row in account["rows"] if row["set_name"] == "lung_CT")
    assert (row["way"], row["people"], row["dsc_interval"]) == ("one prompt", 1, None)
    assert row["dsc"] > 80
    assert "settings that were published" in account["about"][0]


def test_the_built_in_model_on_a_real_slice(tmp_path, capsys):
    place = tmp_path / "data" / "lung_CT"
    for name in ("test_images", "test_masks"):
        (place / name).mkdir(parents=True)
    grey = np.clip((abdomen_slice().astype(float) + 160) * 255 / 400, 0, 255).astype(np.uint8)
    organs = abdomen_organs()
    for name in ("liver", "spleen"):
        Image.fromarray(grey).save(place / "test_images" / f"{name}.png")
        Image.fromarray(organs[name].astype(np.uint8)).save(place / "test_masks" / f"{name}.png")
    (place / "lung_CT_testing.json").write_text('{"liver.png": "liver", "spleen.png": "spleen"}')
    code = run(["reproduce", str(tmp_path / "data"), "-o", str(tmp_path / "out"), "--json"])
    ended = capsys.readouterr()
    assert code == 0, ended.err
    own, one = json.loads(ended.out)["rows"]
    assert own["dsc"] > 80
    assert one["dsc"] < 20
    assert "not those that were published" in json.loads(ended.out)["about"][0]
