"""`medclipsam compare`: one page of several models and methods, judged by labels where there are some."""

from __future__ import annotations

import base64
import csv
import re
import time
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from MedCLIPSAMLib.cli.comparison.contenders import Contender, read_contenders
from MedCLIPSAMLib.cli.comparison.judging import PeakMemory, hits, map_auc
from MedCLIPSAMLib.engine.errors import InputError

from .conftest import AFFINE

TWO = ("--with", "grey", "--with", "grey:dense", "-p", "bright", "--slice", "9")


@pytest.fixture
def labels(tmp_path: Path, bar: np.ndarray) -> tuple[str, ...]:
    nibabel.Nifti1Image(bar.astype(np.uint8), AFFINE).to_filename(tmp_path / "truth.nii.gz")
    (tmp_path / "names.json").write_text('{"1": "Bright"}')
    return "--labels", str(tmp_path / "truth.nii.gz"), "--names", str(tmp_path / "names.json")


class Links(HTMLParser):
    """Everything that a page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("src", "href")]


def test_a_page_that_needs_nothing_else(command, volume, labels, tmp_path):
    page, table = tmp_path / "page.html", tmp_path / "table.csv"
    ended = command("compare", volume, *TWO, *labels, "-o", page, "--csv", table)
    assert ended.code == 0, ended.err
    links = Links()
    links.feed(page.read_text("utf-8"))
    assert len(links.found) == 2
    for link in links.found:
        kind, _, data = link.partition(",")
        assert kind == "data:image/png;base64"
        assert min(Image.open(BytesIO(base64.b64decode(data))).size) > 200
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["with"] for row in rows] == ["grey", "grey:dense"]
    for row in rows:
        assert (row["prompt"], row["presence"], row["peak inside"]) == ("bright", "found", "yes")
        assert float(row["Dice"]) > 0.9
        assert float(row["AUC of the map"]) > 0.8
        assert float(row["saliency (s)"]) >= 0
        assert all(text in page.read_text("utf-8") for text in row.values())
        assert f"{row['with']}: bright: presence found" in ended.out
    assert f"Written: {page}, {table}" in ended.out


def test_without_labels_nothing_is_judged(command, volume, tmp_path):
    page = tmp_path / "page.html"
    assert command("compare", volume, *TWO, "-o", page, "--quiet").out == ""
    columns = re.findall("<th>(.*?)</th>", page.read_text("utf-8"))
    assert columns == ["with", "prompt", "presence", "score", "saliency (s)", "mask (s)", "memory (MiB)"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((*TWO, "--with", "grey"), "--with grey is there twice"),
        ((*TWO, "--labels", "OUT/truth.nii.gz", "--names", "OUT/names.json", "-p", "dark"), "no segment 'dark'"),
        ((*TWO[:6], "--slice", "20"), "slices 0 to 19"),
        (TWO[:6], "choose one by --slice"),
        ((*TWO, "--csv", "OUT/page.html"), "does not end in .csv"),
        ((*TWO, "--csv", "OUT/old.csv"), "exists"),
        ((*TWO, "--window", "9,3"), "empty"),
    ],
)
def test_bad_input_leaves_nothing(command, volume, labels, tmp_path, options, said):
    (tmp_path / "old.csv").write_text("old")
    before = sorted(tmp_path.iterdir())
    places = [option.replace("OUT", str(tmp_path)) for option in options]
    ended = command("compare", volume, *places, "-o", tmp_path / "page.html")
    assert ended.code == 2
    assert said in ended.err
    assert ended.err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_a_name_may_hold_a_colon():
    read = read_contenders(["ViT-B-16:openai", "ViT-B-16:openai:gradcam", "folder:m2ib"])
    assert read == (
        Contender("ViT-B-16:openai", None),
        Contender("ViT-B-16:openai", "gradcam"),
        Contender("folder", "m2ib"),
    )
    with pytest.raises(InputError, match="nothing to compare"):
        read_contenders([])


def test_the_measures_of_a_map():
    rng = np.random.default_rng(0)
    truth = np.zeros((20, 30), bool)
    truth[5:10, 5:15] = True
    heat = rng.integers(0, 5, truth.shape) + truth  # with ties
    assert map_auc(heat, truth) == pytest.approx(roc_auc_score(truth.ravel(), heat.ravel()))
    assert np.isnan(map_auc(heat, np.zeros_like(truth)))
    heat[7, 7] = 9
    assert hits(heat, truth)
    heat[0, 0] = 10
    assert not hits(heat, truth)


def test_memory_is_watched():
    memory = PeakMemory()
    with memory.watched():
        large = np.ones(2**24)  # 128 MiB
        time.sleep(0.2)  # for longer than the watch waits
        del large
    assert memory.mebibytes > 60
