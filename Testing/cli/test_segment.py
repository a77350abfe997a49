"""`medclipsam segment` from options to files."""

from __future__ import annotations

import csv
import errno
import json
import os
import signal
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.engine.session.session import Session

from ..engine.fakes import GreyClip
from .conftest import AFFINE, SPACING

WINDOW = ("--window", "0,255")


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_labels_lie_on_the_structure(command, volume, bar, tmp_path):
    ended = command("segment", volume, "-p", "bright", *WINDOW, "-o", tmp_path / "out.nii.gz")
    assert ended.code == 0, ended.err
    image = nibabel.Nifti1Image.from_filename(tmp_path / "out.nii.gz")
    assert image.affine == pytest.approx(AFFINE)
    assert dice(np.asarray(image.dataobj) == 1, bar) > 0.93
    assert json.loads((tmp_path / "out.labels.json").read_text()) == {"1": "bright"}
    assert "10 of 20 slices" in ended.out
    assert "not trained" not in ended.out
    assert "saliency" in ended.out
    assert "together" in ended.out


def test_a_prompt_that_is_not_found_is_no_error(command, volume, tmp_path):
    ended = command("segment", volume, "-p", "hepar=liver", *WINDOW, "-o", tmp_path / "out.seg.nrrd")
    assert ended.code == 0
    assert "not found" in ended.out
    assert "grey was not trained to find hepar; it knows bright, white." in ended.out
    header = sitk.ReadImage(tmp_path / "out.seg.nrrd")
    assert header.GetMetaData("Segment0_Name") == "hepar"
    assert "MedCLIPSAM.found:false" in header.GetMetaData("Segment0_Tags")


def test_json_is_all_of_stdout(command, volume, bar, tmp_path):
    output, report = tmp_path / "out.mrb", tmp_path / "report.json"
    ended = command(
        "segment", volume, "-p", "bright", "-p", "liver", *WINDOW, "-o", output, "--report", report, "--json"
    )
    account = json.loads(ended.out)
    assert account == json.loads(report.read_text())
    bright, liver = account["prompts"]
    assert (bright["name"], bright["found"], bright["slices_found"]) == ("bright", True, 10)
    assert bright["volume_ml"] == pytest.approx(bar.sum() * np.prod(SPACING) / 1000, rel=0.1)
    assert (liver["found"], liver["voxels"], liver["volume_ml"]) == (False, 0, 0)
    assert (bright["taken_for"], liver["taken_for"]) == ("bright", "")
    assert account["vocabulary"] == ["bright", "white"]
    assert account["models"]["clip"]["sha256"] == GreyClip.checksum
    assert account["settings"]["window"] == {"low": 0, "high": 255}
    assert account["output"] == [str(output)]
    assert {"reading", "loading models", "saliency", "mask", "saving"} <= account["seconds"].keys()
    assert "bright" in ended.err, "progress goes to stderr"


def test_quiet_says_nothing(command, volume, tmp_path):
    ended = command("segment", volume, "-p", "bright", *WINDOW, "-q", "-o", tmp_path / "out.seg.nrrd")
    assert (ended.code, ended.out, ended.err) == (0, "", "")


def test_evidence(command, volume, tmp_path):
    folder = tmp_path / "why"
    ended = command(
        "segment", volume, "-p", "bright", "-p", "a/b $x$ [c]=liver", *WINDOW, "--evidence", folder,
        "-o", tmp_path / "out.seg.nrrd",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    stems = ("01-bright", "02-a-b-x-c")
    assert files(folder) == {"scores.csv", *(f"{s}-{kind}.png" for s in stems for kind in ("scores", "slices"))}
    rows = list(csv.DictReader((folder / "scores.csv").open()))
    assert len(rows) == 40
    assert [int(row["slice"]) for row in rows if row["found"] == "1"] == list(range(5, 15))
    assert all(float(row["score"]) > 0.5 for row in rows if row["found"] == "1")
    for picture in folder.glob("*.png"):
        assert np.asarray(Image.open(picture)).std() > 10, f"{picture.name} is empty"


def test_slices_and_points(command, volume, tmp_path):
    ended = command(
        "segment", volume, "-p", "bright", *WINDOW, "--slices", "8:11", "--point", "Bright=-45,-50,30",
        "-o", tmp_path / "out.seg.nrrd", "--json",
    )  # fmt: skip
    (prompt,) = json.loads(ended.out)["prompts"]
    assert [part["index"] for part in prompt["slices"]] == [8, 9, 10, 11]
    assert prompt["slices_found"] == 4


def test_a_prompt_set_and_a_prompt(command, volume, tmp_path):
    prompts = tmp_path / "set.json"
    prompts.write_text('{"version": 1, "prompts": [{"name": "Bar", "wordings": ["bright"]}]}')
    ended = command(
        "segment", volume, "-p", "liver", "--prompts", prompts, *WINDOW, "--json", "-o", tmp_path / "o.nii.gz"
    )
    assert [(prompt["name"], prompt["found"]) for prompt in json.loads(ended.out)["prompts"]] == [
        ("liver", False),
        ("Bar", True),
    ]


def test_force_replaces_its_files_and_no_others(command, volume, tmp_path):
    folder = tmp_path / "why"
    folder.mkdir()
    (folder / "mine.txt").write_text("kept")
    (folder / "scores.csv").write_text("old")
    output = tmp_path / "out.seg.nrrd"
    output.write_text("old")
    ended = command("segment", volume, "-p", "bright", *WINDOW, "--evidence", folder, "-o", output, "--force")
    assert ended.code == 0, ended.err
    assert (folder / "mine.txt").read_text() == "kept"
    assert (folder / "scores.csv").read_text() != "old"
    assert sitk.ReadImage(output).GetMetaData("Segment0_Name") == "bright"


@pytest.mark.row("output-no-locks")
@pytest.mark.parametrize("fault", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_disk_without_locks(command, volume, tmp_path, monkeypatch, fault):
    fcntl = pytest.importorskip("fcntl", reason="locks of other systems are others")
    there = fcntl.flock

    def flock(descriptor: int, operation: int) -> None:
        if operation & fcntl.LOCK_UN:
            there(descriptor, operation)
        else:
            raise OSError(fault, os.strerror(fault))

    monkeypatch.setattr(fcntl, "flock", flock)
    ended = command("segment", volume, "-p", "bright", *WINDOW, "-o", tmp_path / "out.nii.gz")
    assert ended.code == 0, ended.err
    assert files(tmp_path) == {volume.name, "out.nii.gz", "out.labels.json"}


def test_ctrl_c_leaves_nothing(command, volume, tmp_path, monkeypatch):
    before = files(tmp_path)
    look = GreyClip.look

    def interrupted(self, pixels):
        os.kill(os.getpid(), signal.SIGINT)
        return look(self, pixels)

    monkeypatch.setattr(GreyClip, "look", interrupted)
    handler = signal.getsignal(signal.SIGINT)
    ended = command(
        "segment", volume, "-p", "bright", *WINDOW, "-o", tmp_path / "out.nii.gz",
        "--evidence", tmp_path / "why", "--report", tmp_path / "report.json",
    )  # fmt: skip
    assert ended.code == 130
    assert "Interrupted" in ended.err
    assert files(tmp_path) == before
    assert signal.getsignal(signal.SIGINT) is handler


def test_ctrl_c_while_pictures_are_drawn_leaves_what_is_finished(command, volume, tmp_path, monkeypatch):
    from MedCLIPSAMLib.cli import evidence

    def interrupted(*arguments):
        raise KeyboardInterrupt  # as Python does on Ctrl-C, unless it was started with the signal ignored

    monkeypatch.setattr(evidence, "draw_overview", interrupted)
    before = files(tmp_path)
    ended = command(
        "segment", volume, "-p", "bright", *WINDOW, "-o", tmp_path / "o.seg.nrrd", "--evidence", tmp_path / "why"
    )
    assert ended.code == 130
    assert "o.seg.nrrd is saved" in ended.err
    assert files(tmp_path) == before | {"o.seg.nrrd"}
    assert sitk.ReadImage(tmp_path / "o.seg.nrrd").GetMetaData("Segment0_Name") == "bright"


@pytest.mark.row("output-link")
def test_links_are_followed(command, volume, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "old.seg.nrrd").write_text("old")
    for link, target in (("out.seg.nrrd", "old.seg.nrrd"), ("report.json", "new.json")):
        (tmp_path / link).symlink_to(elsewhere / target)
    options = ("-p", "bright", *WINDOW, "-o", tmp_path / "out.seg.nrrd", "--report", tmp_path / "report.json")
    assert "old.seg.nrrd exists; choose another name" in command("segment", volume, *options).err
    ended = command("segment", volume, *options, "--force")
    assert ended.code == 0, ended.err
    assert sitk.ReadImage(elsewhere / "old.seg.nrrd").GetMetaData("Segment0_Name") == "bright"
    assert (tmp_path / "out.seg.nrrd").is_symlink()
    assert (tmp_path / "report.json").is_symlink()
    assert json.loads((elsewhere / "new.json").read_text())["prompts"][0]["found"]
    assert files(elsewhere) == {"old.seg.nrrd", "new.json"}


def test_a_picture_that_fails_does_not_cost_the_segmentation(command, volume, tmp_path, monkeypatch):
    from MedCLIPSAMLib.cli import evidence

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")  # as a write says it, without a name

    monkeypatch.setattr(evidence, "draw_overview", full)
    before = files(tmp_path)
    ended = command(
        "segment", volume, "-p", "bright", *WINDOW, "-o", tmp_path / "o.seg.nrrd",
        "--evidence", tmp_path / "why", "--report", tmp_path / "report.json",
    )  # fmt: skip
    assert ended.code == 2
    assert "o.seg.nrrd is saved, but" in ended.err
    assert f"{tmp_path / 'why'}: No space left on device." in ended.err
    assert files(tmp_path) == before | {"o.seg.nrrd", "report.json"}
    assert sitk.ReadImage(tmp_path / "o.seg.nrrd").GetMetaData("Segment0_Name") == "bright"
    assert json.loads((tmp_path / "report.json").read_text())["prompts"][0]["found"]


@pytest.fixture
def failing(monkeypatch):
    """The run for the text "liver" fails: gives what it fails by."""
    segment = Session.segment

    def fail(error: Exception) -> None:
        def failing_segment(self, prompt, *more):
            if "liver" in prompt.wordings:
                raise error
            return segment(self, prompt, *more)

        monkeypatch.setattr(Session, "segment", failing_segment)

    return fail


def test_a_later_prompt_that_fails_does_not_cost_the_finished_ones(command, volume, tmp_path, failing):
    failing(InputError("The graphics card is full; choose device 'cpu'."))
    output, before = tmp_path / "o.seg.nrrd", files(tmp_path)
    prompts = ("-p", "bright", "-p", "liver", "-p", "white")
    ended = command("segment", volume, *prompts, *WINDOW, "-o", output, "--evidence", tmp_path / "why", "--json")
    assert ended.code == 2
    assert f"{output} is saved without liver, white, but: The graphics card is full; choose device 'cpu'." in ended.err
    assert [prompt["name"] for prompt in json.loads(ended.out)["prompts"]] == ["bright"]
    assert files(tmp_path) == before | {"o.seg.nrrd", "why"}
    header = sitk.ReadImage(output)
    assert header.GetMetaData("Segment0_Name") == "bright"
    assert "Segment1_Name" not in header.GetMetaDataKeys()


def test_a_fault_of_the_program_does_not_cost_the_finished_prompts(command, volume, tmp_path, failing):
    failing(ZeroDivisionError("nobody thought of it"))
    output = tmp_path / "o.seg.nrrd"
    output.write_text("old")
    assert command("segment", volume, "-p", "liver", "-p", "bright", *WINDOW, "-o", output, "--force").code == 1
    assert output.read_text() == "old", "nothing was finished"
    ended = command("segment", volume, "-p", "bright", "-p", "liver", *WINDOW, "-o", output, "--force")
    assert ended.code == 1
    assert "o.seg.nrrd is saved without liver" in ended.err
    assert "Unexpected error ZeroDivisionError" in ended.err
    assert sitk.ReadImage(output).GetMetaData("Segment0_Name") == "bright"
