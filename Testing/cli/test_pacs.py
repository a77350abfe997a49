"""`medclipsam segment` to files for the PACS."""

from __future__ import annotations

import json
import sys
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from ..robustness.dicom_inputs import series
from ..robustness.matrix import MATRIX
from ..scene.pacs.sources import faults

WINDOW = ("--window", "0,255")
pytest.importorskip("highdicom", exc_type=ImportError, reason="the extra dicom is not installed")


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    return series(tmp_path / "scan")


def test_everything_at_once(command, scan, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    ended = command(
        "segment", scan, "-p", "bright", "-p", "liver", *WINDOW, "-o", out / "o.seg.dcm",
        "--report", out / "o.sr.dcm", "--report", out / "o.json",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    for name in ("o.seg.dcm", "o.sr.dcm", "o.json"):
        assert f"Written: {out / name}" in ended.out
    assert "Not in the file, which has no empty segments: liver." in ended.out
    seg, report = dcmread(out / "o.seg.dcm"), dcmread(out / "o.sr.dcm")
    account = json.loads((out / "o.json").read_text())
    assert account["left_out"] == ["liver"]
    assert [segment.SegmentLabel for segment in seg.SegmentSequence] == ["bright"]
    assert int(np.count_nonzero(seg.pixel_array)) == account["prompts"][0]["voxels"]
    assert str(report).count(f"'{account['prompts'][0]['volume_ml']}'") == 1
    assert seg.SegmentSequence[0].SegmentAlgorithmType == "AUTOMATIC"
    (algorithm,) = seg.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence
    assert 'prompt=["bright"]' in algorithm.AlgorithmParameters
    assert account["models"]["clip"]["sha256"] in algorithm.AlgorithmParameters
    assert [*faults(out / "o.seg.dcm"), *faults(out / "o.sr.dcm")] == []


@pytest.mark.parametrize("ending", [".rtstruct.dcm", ".stl", ".obj"])
def test_other_kinds(command, scan, tmp_path, ending):
    ended = command("segment", scan, "-p", "bright", *WINDOW, "-o", tmp_path / f"o{ending}", "--json")
    assert ended.code == 0, ended.err
    account = json.loads(ended.out)
    assert account["output"][0] == str(tmp_path / f"o{ending}")
    assert all(Path(file).is_file() for file in account["output"])


@pytest.mark.row("dicom-result-empty")
@pytest.mark.parametrize("ending", [".seg.dcm", ".rtstruct.dcm", ".stl", ".obj"])
def test_nothing_found_is_no_error(command, scan, tmp_path, ending):
    out = tmp_path / "out"
    out.mkdir()
    ended = command("segment", scan, "-p", "liver", *WINDOW, "-o", out / f"o{ending}", "--report", out / "o.sr.dcm")
    assert ended.code == 0, ended.err
    assert "No segmentation is written: nothing was found" in ended.out
    assert "Written" not in ended.out
    assert not any(out.iterdir())


@pytest.mark.row("dicom-result-no-dicom")
@pytest.mark.parametrize(
    "options", [("-o", "o.seg.dcm"), ("-o", "o.rtstruct.dcm"), ("-o", "o.mrb", "--report", "o.sr.dcm")]
)
def test_a_volume_that_is_no_dicom(no_models, volume, tmp_path, monkeypatch, options):
    monkeypatch.chdir(tmp_path)
    ended = no_models("segment", volume, "-p", "bright", *options)
    assert ended.code == 2
    assert fnmatch(ended.err.strip().splitlines()[-1], MATRIX["dicom-result-no-dicom"].sees), ended.err
    assert [file.name for file in tmp_path.iterdir()] == [volume.name]


@pytest.mark.row("dicom-result-no-package")
@pytest.mark.parametrize("options", [("-o", "o.seg.dcm"), ("-o", "o.mrb", "--report", "o.sr.dcm")])
def test_a_package_that_is_missing(no_models, scan, tmp_path, monkeypatch, options):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "highdicom.seg", None)
    ended = no_models("segment", scan, "-p", "bright", *options)
    assert ended.code == 2
    assert fnmatch(" ".join(ended.err.split()), MATRIX["dicom-result-no-package"].sees.replace("[", "[[]")), ended.err


@pytest.mark.parametrize(
    ("reports", "said"),
    [
        (("a.txt",), "a.txt does not end in .json or .sr.dcm"),
        (("a.json", "b.json"), "a.json and b.json are two reports of a kind; name one."),
    ],
)
def test_reports_that_are_none(no_models, scan, tmp_path, reports, said):
    options = (part for name in reports for part in ("--report", name))
    ended = no_models("segment", scan, "-p", "bright", "-o", tmp_path / "o.mrb", *options)
    assert (ended.code, said in ended.err) == (2, True), ended.err


def test_force_replaces_a_report(command, scan, tmp_path):
    (tmp_path / "o.sr.dcm").write_text("old")
    options = (
        "segment",
        scan,
        "-p",
        "bright",
        *WINDOW,
        "-o",
        tmp_path / "o.seg.dcm",
        "--report",
        tmp_path / "o.sr.dcm",
    )
    ended = command(*options)
    assert (ended.code, "exists" in ended.err) == (2, True)
    assert command(*options, "--force").code == 0
    assert dcmread(tmp_path / "o.sr.dcm").Modality == "SR"
