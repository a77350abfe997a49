"""What the command line says of a run, and of what went wrong."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import torch

from MedCLIPSAMLib.cli import app, evidence
from MedCLIPSAMLib.cli.commands import demo
from MedCLIPSAMLib.engine.clip import registry as clips
from MedCLIPSAMLib.engine.clip.quickstart.model import load_quickstart
from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.engine.models import built_in
from MedCLIPSAMLib.engine.models.catalogue import catalogue
from MedCLIPSAMLib.scene.segmentation.provenance import Provenance

from ..engine.fakes import BlindClip
from .conftest import AFFINE

WINDOW = ("--window", "0,255")
BUILT_IN = [entry.name for entry in catalogue().values() if entry.built_in]


def tags(path: Path) -> dict[str, str]:
    """Those of the first segment of a file."""
    parts = sitk.ReadImage(path).GetMetaData("Segment0_Tags").split("|")
    return dict(part.split(":", 1) for part in parts if ":" in part)


@pytest.mark.row("unexpected-error")
@pytest.mark.parametrize(
    "arguments",
    [
        ("segment", "VOLUME", "-p", "bright", "-o", "OUT/out.seg.nrrd"),
        ("preview", "VOLUME", "-p", "bright", "--slice", "3", "-o", "OUT/out.png"),
        ("evaluate", "VOLUME", "VOLUME", "--names", "OUT/names.json"),
        ("demo", "--out", "OUT/demo"),
        ("models", "list"),
        ("models", "info", "biomedclip"),
        ("models", "verify"),
        ("models", "path"),
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_an_error_that_nobody_thought_of_is_one_line(command, volume, tmp_path, monkeypatch, arguments):
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("Sizes of tensors\n  must  match [200]")

    for place in (
        "MedCLIPSAMLib.cli.options.read_settings",
        "MedCLIPSAMLib.cli.commands.demo.read_settings",
        "MedCLIPSAMLib.cli.labels.read_names",
        "MedCLIPSAMLib.cli.commands.models.Store",
    ):
        monkeypatch.setattr(place, fail)
    places = [argument.replace("VOLUME", str(volume)).replace("OUT", str(tmp_path)) for argument in arguments]
    ended = command(*places)
    line = "Unexpected error RuntimeError (Sizes of tensors must match [200]); --debug shows where, please report it.\n"
    assert (ended.code, ended.out, ended.err) == (1, "", line)
    for debugged in (("--debug", *places), (*places, "--debug")):
        ended = command(*debugged)
        assert ended.code == 1
        assert ended.err.startswith("Traceback (most recent call last)")
        assert ", in fail" in ended.err
        assert ended.err.endswith(line)


def test_every_command_takes_debug():
    for group in (app.app, app.models):
        for registered in group.registered_commands:
            assert registered.callback is not None
            assert "debug" in registered.callback.__annotations__, registered.name


def test_of_a_user_error_debug_shows_where_too(command, volume, tmp_path):
    ended = command("segment", volume, "-p", " ", "-o", tmp_path / "out.seg.nrrd", "--debug")
    assert ended.code == 2
    assert "Traceback" in ended.err
    assert ended.err.splitlines()[-1].startswith("Error: ")
    assert "Traceback" not in command("segment", volume, "-p", " ", "-o", tmp_path / "out.seg.nrrd").err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("livr", "did you mean liver?"),
        ("Leber", "is German, and the models read English; did you mean liver?"),
        ("肝脏", "is Chinese, and the models read English; did you mean liver?"),
        ("no liver", "says what is not wanted"),
        ("spleen=everything except the spleen", "says what is not wanted"),
    ],
)
@pytest.mark.parametrize("verb", ["segment", "preview"])
def test_prompts_are_read_before_any_work(no_models, volume, tmp_path, monkeypatch, verb, text, said):
    def read(*_: object) -> None:
        raise AssertionError("the volume was read before the prompts")

    monkeypatch.setattr("MedCLIPSAMLib.scene.volumes.read_volume", read)
    more = ("--slice", "3", "-o", tmp_path / "out.png") if verb == "preview" else ("-o", tmp_path / "out.seg.nrrd")
    ended = no_models(verb, volume, "-p", "liver", "-p", text, *more)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert "'liver'" not in ended.err


def test_a_later_prompt_that_the_model_cannot_read_costs_no_slice(command, volume, tmp_path, monkeypatch):
    clip = BlindClip()

    def encode(texts):
        if "xyz" in texts:
            raise InputError("cannot read 'xyz'")
        return BlindClip.encode_text(clip, texts)

    monkeypatch.setattr(clip, "encode_text", encode)
    monkeypatch.setattr(clips, "load_clip", lambda name, device: clip)
    ended = command("segment", volume, "-p", "bright", "-p", "xyz", *WINDOW, "-o", tmp_path / "out.seg.nrrd")
    assert (ended.code, clip.looked) == (2, 0), ended
    assert not (tmp_path / "out.seg.nrrd").exists()


def test_a_model_of_free_text_is_asked_all_the_same(command, volume, tmp_path, monkeypatch):
    monkeypatch.setattr(clips, "load_clip", lambda name, device: BlindClip())
    ended = command(
        "segment", volume, "-p", "Leber", *WINDOW, "--clip", "biomedclip", "--slices", "9:9", "-o", tmp_path / "o.mrb"
    )
    assert ended.code == 0, ended.err
    assert "The text 'Leber' is German, and the models read English; did you mean liver?" in ended.err


@pytest.mark.row("presence-forced")
@pytest.mark.parametrize("how", ["--exact", "--slicewise"])
def test_what_is_forced_is_not_called_found(command, volume, tmp_path, monkeypatch, how):
    monkeypatch.setattr(clips, "load_clip", lambda name, device: BlindClip())
    picture, output, report, why = (tmp_path / name for name in ("p.png", "o.seg.nrrd", "r.json", "why"))
    drawn: list[str] = []
    original = evidence.draw_scores
    monkeypatch.setattr(
        evidence, "draw_scores", lambda *arguments: drawn.extend(map(str, arguments)) or original(*arguments)
    )
    looked = command("preview", volume, "-p", "liver", *WINDOW, how, "--slice", "9", "-o", picture)
    assert looked.code == 0, looked.err
    assert looked.out.splitlines()[0] == "liver: presence not judged on slice 9"
    ran = command(
        "segment", volume, "-p", "liver", *WINDOW, how, "--slices", "2:7", "-o", output, "--report", report,
        "--evidence", why,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "presence not judged; mask on" in " ".join(ran.out.split())
    assert "found" not in ran.out.replace("Found on", "")
    (prompt,) = json.loads(report.read_text())["prompts"]
    assert (prompt["judged"], prompt["found"], prompt["slices_found"]) == (False, None, None)
    assert all(part["found"] is None for part in prompt["slices"])
    with (why / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["found"] for row in rows} == {"not judged"}
    assert prompt["slices_with_mask"] == sum(int(row["mask"]) for row in rows)
    assert any("presence not judged" in part for part in drawn)
    assert "found" not in drawn
    assert tags(output)["MedCLIPSAM.found"] == "null"
    assert Provenance.from_tags(tags(output)).found is None


@pytest.mark.parametrize("name", ["m2ib", "gradcam", "gscorecam"])
def test_what_was_published_may_be_exact(command, volume, tmp_path, monkeypatch, name):
    """By the built-in model, whose patches have gradients everywhere."""
    monkeypatch.setattr(clips, "load_clip", lambda name, device: load_quickstart(torch.device("cpu")))
    report = tmp_path / "r.json"
    ended = command(
        "segment", volume, "-p", "liver", *WINDOW, "--exact", "--saliency", name,
        "--slices", "9:9", "-o", tmp_path / "o.seg.nrrd", "--report", report,
    )  # fmt: skip
    assert ended.code == 0, ended.err
    settings = json.loads(report.read_text())["settings"]
    assert (settings["saliency"], settings["exact"]) == (name, True)
    if name != "m2ib":
        assert settings["part"] == "output"


def test_reports_carry_points_and_all_files_are_named(command, volume, tmp_path):
    output, report, why = (tmp_path / name for name in ("out.nii.gz", "report.json", "why"))
    ended = command(
        "segment", volume, "-p", "bright", *WINDOW, "--point", "bright=-45,-50,30", "--not-point", "bright=-10,-10,30",
        "-o", output, "--report", report, "--evidence", why,
    )  # fmt: skip
    assert ended.code == 0, ended.err
    account = json.loads(report.read_text())
    assert account["prompts"][0]["points"] == [
        {"ras": [-45, -50, 30], "positive": True},
        {"ras": [-10, -10, 30], "positive": False},
    ]
    made = {path for path in tmp_path.rglob("*") if path.is_file() and path != volume}
    written = {Path(line.removeprefix("Written: ")) for line in ended.out.splitlines() if line.startswith("Written: ")}
    assert written == made
    assert {Path(path) for path in account["output"] + account["evidence"]} == made - {report}


def test_names_of_pictures_are_short(command, volume, tmp_path):
    long = "an axial CT of the abdomen with a very long description of what is to be found in it"
    for number, name in enumerate((long, "肝脏", "x" * 200, "bright")):
        why = tmp_path / f"why{number}"
        ended = command(
            "segment", volume, "-p", f"{name}=bright", *WINDOW, "-o", tmp_path / f"{number}.mrb", "--evidence", why
        )
        assert ended.code == 0, ended.err
        names = {path.name for path in why.iterdir()}
        assert len(names) == 3
        assert all(len(name) <= len("01-scores.png") + 21 and "--" not in name for name in names), names


def test_pictures_are_drawn_from_what_the_run_saw(command, volume, tmp_path, monkeypatch):
    clip = BlindClip()
    monkeypatch.setattr(clips, "load_clip", lambda name, device: clip)
    looks: list[int] = []
    monkeypatch.setattr(evidence, "_write_scores", lambda *_: looks.append(clip.bottlenecks))
    ended = command(
        "segment", volume, "-p", "bright", *WINDOW, "--slices", "5:9", "-o", tmp_path / "o.mrb", "--evidence",
        tmp_path / "why",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    assert looks == [clip.bottlenecks]
    assert "Drawing pictures" in ended.err


def test_no_lock_lies_beside_a_result(command, volume, tmp_path, monkeypatch):
    seen: list[set[str]] = []
    look = BlindClip.tokens_after
    monkeypatch.setattr(clips, "load_clip", lambda name, device: BlindClip())

    def looking(self, pixels, layer):
        seen.append({path.name for path in tmp_path.iterdir()})
        return look(self, pixels, layer)

    monkeypatch.setattr(BlindClip, "tokens_after", looking)
    before = {path.name for path in tmp_path.iterdir()}
    assert command("segment", volume, "-p", "bright", *WINDOW, "-o", tmp_path / "o.seg.nrrd").code == 0
    assert seen
    assert all(names == before for names in seen)


@pytest.mark.row("evaluate-both-empty")
def test_two_empty_masks_are_not_called_perfect(command, bar, tmp_path):
    labels = np.zeros(bar.shape, np.uint8)
    labels[bar] = 1
    labels[:2, :2, :2] = 3
    for name, array in (("made", np.where(labels == 3, 0, labels)), ("true", labels)):
        nibabel.Nifti1Image(array.astype(np.uint8), AFFINE).to_filename(tmp_path / f"{name}.nii.gz")
    (tmp_path / "names.json").write_text('{"1": "bright", "2": "liver", "3": "corner"}')
    (tmp_path / "made.labels.json").write_text('{"1": "bright", "2": "liver", "3": "corner"}')
    options = (tmp_path / "made.nii.gz", tmp_path / "true.nii.gz", "--names", tmp_path / "names.json")
    ended = command("evaluate", *options)
    lines = {line.split("│")[1].strip(): line for line in ended.out.splitlines() if line.startswith("│")}
    assert "both empty" in lines["liver"]
    assert "1.000" not in lines["liver"]
    assert "0.000" in lines["corner"]
    assert "0.500" in lines["mean of 2"]
    account = json.loads(command("evaluate", *options, "--json").out)
    assert account["segments"]["liver"] == {"dice": None, "surface_dice": None, "hausdorff95": None, "both_empty": True}
    assert account["mean"]["dice"] == 0.5


def test_a_model_that_is_not_installed_is_told_with_the_command(command, volume, tmp_path, monkeypatch):
    monkeypatch.undo()
    for model, how in (
        ("biomedclip", "download biomedclip"),
        ("medclip-samv2", "import PATH --as medclip-samv2"),
    ):
        ended = command("segment", volume, "-p", "liver", "--clip", model, "-o", tmp_path / "out.mrb")
        assert ended.code == 2
        assert ended.err.endswith(f" Type: medclipsam models {how}\n"), ended.err
        assert command("models", "info", model).out.endswith(f"Type: medclipsam models {how}\n")


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_models_are_verified_and_told(command, no_network, tmp_path, monkeypatch, name):
    assert command("models", "verify", name).out == f"{name}: as it should be\n"
    files = built_in.built_in_weights(catalogue()[name])
    told = "".join(command("models", "info", name).out.split())
    assert all(built_in.sha256(file) in told for file in files)
    changed = tmp_path / files[-1].name
    changed.write_bytes(files[-1].read_bytes()[:-1] + b"!")
    monkeypatch.setattr(built_in, "built_in_weights", lambda entry: (*files[:-1], changed))
    monkeypatch.setattr(built_in, "_recorded", lambda file: "0" * 64)
    ended = command("models", "verify", name)
    assert (ended.code, "is damaged" in ended.err) == (2, True)


def test_pip_knows_the_checksum_of_the_segmenter():
    (file,) = built_in.built_in_weights(catalogue()["lite-medsam"])
    assert built_in._recorded(file) == built_in.sha256(file)


def test_demo_takes_precision_and_device(command, no_network, tmp_path, monkeypatch):
    asked: list[tuple[object, object]] = []

    def open_session(source, prompts, clip, sam, device, settings, watch):
        asked.append((device, settings.precision))
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "open_session", open_session)
    monkeypatch.setattr(demo, "_MILLIMETRES", 6)
    assert command("demo", "--out", tmp_path / "demo", "--precision", "bf16", "--device", "cpu").code == 130
    assert asked == [("cpu", "bf16")]
    assert "--precision 'half' is unknown" in command("demo", "--precision", "half").err
