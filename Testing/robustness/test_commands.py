"""Prompts, options and outputs that cannot be, or look as if they could not: what the command line makes of them."""

from __future__ import annotations

import json
import os
import resource as limits
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from MedCLIPSAMLib.scene.files import saving as scene_files
from MedCLIPSAMLib.scene.segmentation.provenance import Provenance

from .dicom_inputs import series
from .inputs import body, image
from .matrix import MATRIX

OUT = "OUT/out.seg.nrrd"
LIVER = ("-p", "liver")


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("row", "options"),
    [
        pytest.param(row, options, marks=pytest.mark.row(row))
        for row, options in [
            ("prompt-empty", ("-p", "", "-o", OUT)),
            ("prompt-empty", ("-p", " \t ", "-o", OUT)),
            ("prompt-empty", ("-p", "liver;", "-o", OUT)),
            ("prompt-long", ("-p", 10_000 * "x", "-o", OUT)),
            ("prompt-long", ("-p", f"name={10_000 * 'x'}", "-o", OUT)),
            ("prompt-control", ("-p", "liver\x07spleen", "-o", OUT)),
            ("prompt-control", ("-p", "liver\nspleen", "-o", OUT)),
            ("prompt-control", ("-p", "liver\u2028spleen", "-o", OUT)),
            ("prompt-bytes", ("-p", "liver\udcff", "-o", OUT)),
            ("output-folder", (*LIVER, "-o", "OUT/folder.seg.nrrd")),
            ("output-folder", (*LIVER, "-o", OUT, "--report", "OUT/folder.json")),
            ("output-exists", (*LIVER, "-o", "OUT/old.seg.nrrd")),
            ("output-exists", (*LIVER, "-o", OUT, "--report", "OUT/old.json")),
            ("output-ending", (*LIVER, "-o", "OUT/out.nrrd.txt")),
            ("output-ending", (*LIVER, "-o", "OUT/out")),
            ("output-twice", (*LIVER, "-o", OUT, "--evidence", OUT)),
            ("output-twice", (*LIVER, "-o", "VOLUME", "--force")),
        ]
    ],
)
def test_refused(
    row: str, options: tuple[str, ...], no_models: Callable[..., Any], volume: Path, tmp_path: Path
) -> None:
    for name in ("folder.seg.nrrd", "folder.json"):
        (tmp_path / name).mkdir()
    for name in ("old.seg.nrrd", "old.json"):
        (tmp_path / name).write_text("old")
    before = files(tmp_path)
    ended = no_models("segment", volume, *_placed(options, volume, tmp_path))
    assert ended.code == 2, ended
    assert fnmatch(ended.err.strip(), MATRIX[row].sees), ended.err
    assert files(tmp_path) == before


@pytest.mark.row("options-contradict")
@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--exact", "--saliency", "dense"), ("--exact", "--saliency dense")),
        (("--saliency", "dense", "--steps", "3"), ("--steps", "dense")),
        (("--saliency", "gradient", "--beta", "0.1"), ("--beta", "gradient")),
        (("--point", "spleen=1,2,3"), ("spleen", "liver")),
        (("--point", "liver=-45,-50,30", "--slices", "0:3"), ("slice 10", "choose slices with it")),
        (("--slices", "9:3"), ("9:3",)),
        (("--quiet", "--json", "--report", "OUT/out.seg.nrrd"), ("out.seg.nrrd",)),
    ],
)
def test_contradictions(options: Any, named: Any, no_models: Callable[..., Any], volume: Path, tmp_path: Path) -> None:
    before = files(tmp_path)
    ended = no_models("segment", volume, *_placed((*LIVER, "-o", OUT, *options), volume, tmp_path))
    assert ended.code == 2, ended
    assert all(part in ended.err for part in named), ended.err
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    "text",
    [
        *(
            pytest.param(f"{text}=liver", marks=pytest.mark.row("prompt-name"))
            for text in ("foie", "Leber, groß", "печень", "肝臓", "كبد", "कलेजा", "foie 🫀", "i\u0307\u0327")
        ),
        *(
            pytest.param(text, marks=pytest.mark.row("prompt-markup"))
            for text in (
                "[bold]liver[/bold]",
                "<b>liver</b>",
                "../../liver",
                "C:\\liver:*?",
                "{0} %s %(x)s ${HOME}",
                '{"name": "liver"}',
                "liver|spleen~kidney",
                "-liver",
                "' OR 1",
                ".",
            )
        ),
    ],
)
def test_prompts_as_they_are_typed(text: str, command: Callable[..., Any], volume: Path, tmp_path: Path) -> None:
    output, why = tmp_path / "out.seg.nrrd", tmp_path / "why"
    ended = command("segment", volume, f"--prompt={text}", "-o", output, "--evidence", why, "--json")
    assert ended.code == 0, ended.err
    assert "Warning" not in ended.err
    (prompt,) = json.loads(ended.out)["prompts"]
    name = text.removesuffix("=liver")
    assert (prompt["name"], prompt["found"]) == (name, False)
    header = sitk.ReadImage(output)
    tags = dict(tag.split(":", 1) for tag in header.GetMetaData("Segment0_Tags").split("|") if ":" in tag)
    assert Provenance.from_tags(tags).prompt.name == name
    made = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")}
    assert made == {volume.name, "out.seg.nrrd", "why"}, "no file outside"


@pytest.mark.row("file-names")
@pytest.mark.parametrize("name", ["a b", "Übergrößen 肝臓", 'o\'clock "x"', "50% [1]", "a;b&c", "-x"])
@pytest.mark.parametrize("ending", [".seg.nrrd", ".nii.gz", ".mrb"])
def test_names(name: str, ending: str, command: Callable[..., Any], tmp_path: Path) -> None:
    folder = tmp_path / name
    folder.mkdir()
    volume = image(folder / f"{name}.nrrd", body()[0])
    output, report = folder / f"out {name}{ending}", folder / f"{name}.json"
    options = ("-p", "bright", "--window", "0,255", "-o", output, "--report", report, "--evidence", folder / "why")
    ended = command("segment", volume, *options)
    assert ended.code == 0, ended.err
    assert f"Written: {output}" in ended.out
    assert output.stat().st_size
    assert json.loads(report.read_text("utf-8"))["prompts"][0]["found"]


@pytest.mark.row("output-read-only")
@pytest.mark.parametrize(
    ("option", "name"),
    [("-o", "x.mrb"), ("-o", "x.rtstruct.dcm"), ("-o", "x.obj"), ("--report", "x.json"), ("--evidence", "x")],
)
def test_a_folder_that_may_not_be_written_to(
    option: str, name: str, no_models: Callable[..., Any], volume: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user of the tests may well be one who may write everywhere."""
    closed = tmp_path / "closed"
    closed.mkdir()
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != closed and allowed(path, mode))
    options = {"-o": tmp_path / "out.mrb", option: closed / name}
    ended = no_models("segment", volume, *LIVER, *(part for pair in options.items() for part in pair))
    assert ended.code == 2, ended
    assert fnmatch(ended.err.strip(), MATRIX["output-read-only"].sees), ended.err
    assert not any(closed.iterdir())


@contextmanager
def full_disk(free: int) -> Iterator[None]:
    """Files cannot grow beyond ``free`` bytes: the system refuses to write, as on a full disk."""
    before = limits.getrlimit(limits.RLIMIT_FSIZE)
    limits.setrlimit(limits.RLIMIT_FSIZE, (free, before[1]))
    try:
        yield
    finally:
        limits.setrlimit(limits.RLIMIT_FSIZE, before)


@pytest.mark.row("output-disk-full")
@pytest.mark.parametrize("ending", scene_files.SUFFIXES)
@pytest.mark.parametrize("free", [0, 100, 250])
def test_the_disk_fills(
    ending: str, free: int, command: Callable[..., Any], volume: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if ending == ".png":  # of a picture; a mask takes few bytes
        volume, free = tmp_path / "bars.png", free // 4
        Image.fromarray(body()[0][10].astype(np.uint8)).save(volume)
    if ending == ".seg.dcm":
        pytest.importorskip("highdicom", exc_type=ImportError, reason="the extra dicom is not installed")
    if ending.endswith(".dcm"):
        volume = series(tmp_path / "scan")
    output = tmp_path / f"out{ending}"
    output.write_text("old")
    before, save = files(tmp_path), scene_files.save

    def save_at_last(*arguments: Any, **named: Any) -> Any:
        with full_disk(free):
            return save(*arguments, **named)

    monkeypatch.setattr(scene_files, "save", save_at_last)
    ended = command("segment", volume, "-p", "bright", "--window", "0,255", "-o", output, "--force")
    assert ended.code == 2, ended
    assert "could not be written" in ended.err
    assert files(tmp_path) == before


@pytest.mark.row("output-exists")
def test_force_replaces_by_a_whole_file(command: Callable[..., Any], volume: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.nii.gz"
    output.write_text("old")
    ended = command("segment", volume, "-p", "bright", "--window", "0,255", "-o", output, "--force")
    assert ended.code == 0, ended.err
    assert sitk.GetArrayFromImage(sitk.ReadImage(output)).any()


@pytest.mark.row("file-missing")
def test_no_such_file(no_models: Callable[..., Any], tmp_path: Path) -> None:
    ended = no_models("segment", tmp_path / "none.nii.gz", *LIVER, "-o", tmp_path / "out.mrb")
    assert ended.code == 2, ended
    assert fnmatch(ended.err.strip(), MATRIX["file-missing"].sees)
    assert not files(tmp_path)


def _placed(options: tuple[str, ...], volume: Path, folder: Path) -> list[str]:
    return [option.replace("VOLUME", str(volume)).replace("OUT", str(folder)) for option in options]
