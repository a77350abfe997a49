"""What a user gets wrong: one sentence, exit code 2, nothing written, and nothing loaded before."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from .conftest import AFFINE, Ended

SEGMENT = ("-p", "liver", "-o", "OUT/out.seg.nrrd")
PREVIEW = ("-p", "liver", "--slice", "3", "-o", "OUT/out.png")


@pytest.fixture
def refused(no_models, tmp_path, volume):
    """Runs a command which must fail, where VOLUME and OUT stand for paths."""

    def call(*arguments: str, through=no_models) -> str:
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        places = [argument.replace("VOLUME", str(volume)).replace("OUT", str(tmp_path)) for argument in arguments]
        ended = through(*places)
        assert ended.code == 2, ended
        assert ended.out == ""
        assert ended.err.startswith("Error: ")
        assert ended.err.count("\n") == 1, "one sentence"
        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
        return ended.err

    return call


@pytest.mark.parametrize(
    ("verb", "options", "said"),
    [
        ("segment", ("-o", "OUT/out.seg.nrrd"), "There is no prompt"),
        ("segment", ("-p", " ", "-o", "OUT/out.seg.nrrd"), "empty"),
        ("segment", ("-p", "liver=", "-o", "OUT/out.seg.nrrd"), "empty"),
        ("segment", ("-p", "a", "-p", "A", "-o", "OUT/out.seg.nrrd"), "Two prompts"),
        ("segment", ("-p", "liver"), "Missing option"),
        ("segment", (*SEGMENT, "--prompts", "OUT/none.json"), "none.json cannot be read"),
        ("segment", (*SEGMENT, "--prompts", "VOLUME"), "bars.nii.gz: "),
        ("segment", (*SEGMENT, "--point", "spleen=1,2,3"), "of no prompt"),
        ("segment", (*SEGMENT, "--point", "liver=1,2"), "not NAME=R,A,S"),
        ("segment", (*SEGMENT, "--not-point", "liver=1,2,nan"), "not finite"),
        (
            "segment",
            (*SEGMENT, "--point", "liver=500,0,0"),
            "; give one in it: R from -88 to 0, A from -94 to 0, S from 0 to 57.",
        ),
        ("segment", (*SEGMENT, "--point", "liver=-45,-50,30", "--slices", "0:3"), "on slice 10"),
        ("segment", (*SEGMENT, "--slices", "3"), "no range"),
        ("segment", (*SEGMENT, "--slices", "9:3"), "no range"),
        ("segment", (*SEGMENT, "--slices", "5:20"), "slices 0 to 19"),
        ("segment", (*SEGMENT, "--axis", "oblique"), "--axis 'oblique' is unknown"),
        ("segment", (*SEGMENT, "--window", "3"), "no window"),
        ("segment", (*SEGMENT, "--window", "9,3"), "empty"),
        ("segment", (*SEGMENT, "--modality", "PET"), "--modality 'PET' is unknown"),
        ("segment", (*SEGMENT, "--saliency", "groupcam"), "--saliency 'groupcam' is unknown"),
        ("segment", (*SEGMENT, "--localize", "magic"), "--localize 'magic' is unknown"),
        ("segment", (*SEGMENT, "--voting", "loud"), "--voting 'loud' is unknown"),
        ("segment", (*SEGMENT, "--precision", "half"), "--precision 'half' is unknown"),
        ("segment", (*SEGMENT, "--steps", "0"), "--steps"),
        ("segment", (*SEGMENT, "--beta", "inf"), "--beta is not finite"),
        ("segment", (*SEGMENT, "--exact", "--saliency", "dense"), "leave out --exact"),
        ("segment", (*SEGMENT, "--exact", "--saliency", "layercam"), "m2ib, gradcam, scorecam, gscorecam: leave out"),
        ("segment", (*SEGMENT, "--saliency", "dense", "--layer", "3"), "--layer is of the saliency m2ib"),
        ("segment", ("-p", "liver", "-o", "OUT/out.txt"), "no known ending"),
        ("segment", ("-p", "liver", "-o", "OUT/none/out.mrb"), "does not exist"),
        ("segment", ("-p", "liver", "-o", "OUT/folder.mrb"), "is a folder"),
        ("segment", ("-p", "liver", "-o", "OUT/old.seg.nrrd"), "exists"),
        ("segment", ("-p", "liver", "-o", "VOLUME", "--force"), "named twice"),
        ("segment", (*SEGMENT, "--report", "OUT/out.seg.nrrd"), "named twice"),
        ("segment", (*SEGMENT, "--report", "OUT/old.json"), "exists"),
        ("segment", (*SEGMENT, "--report", "OUT/report.txt"), "does not end in .json"),
        ("segment", (*SEGMENT, "--evidence", "OUT/full"), "not empty"),
        ("segment", (*SEGMENT, "--evidence", "OUT/old.json"), "is a file"),
        ("segment", (*SEGMENT, "--colour", "red"), "No such option"),
        ("preview", ("-p", " ", *PREVIEW[2:]), "empty"),
        ("preview", (*PREVIEW[:2], "--slice", "20", "-o", "OUT/out.png"), "slices 0 to 19"),
        ("preview", (*PREVIEW[:4], "-o", "OUT/old.png"), "exists"),
        ("preview", (*PREVIEW[:4], "-o", "OUT/out.jpg"), "does not end in .png"),
        ("preview", (*PREVIEW, "--point", "liver=500,0,0"), "outside of bars"),
        ("preview", (*PREVIEW, "--exact", "--saliency", "dense"), "leave out --exact"),
    ],
)
def test_options(refused, tmp_path, verb, options, said):
    (tmp_path / "folder.mrb").mkdir()
    (tmp_path / "full").mkdir()
    for name in ("old.seg.nrrd", "old.json", "old.png", "full/file"):
        (tmp_path / name).write_text("old")
    assert said in refused(verb, "VOLUME", *options)


@pytest.mark.parametrize(("verb", "options"), [("segment", SEGMENT), ("preview", PREVIEW)])
def test_volumes(refused, tmp_path, verb, options):
    (tmp_path / "text.nii.gz").write_text("no image")
    (tmp_path / "notes.txt").write_text("no image")
    assert "does not exist" in refused(verb, "OUT/none.nii.gz", *options)
    assert "text.nii.gz" in refused(verb, "OUT/text.nii.gz", *options)
    assert "has no ending that is read" in refused(verb, "OUT/notes.txt", *options)


@pytest.fixture
def real_models(capsys):
    """The command line without stand-ins for the models."""
    from MedCLIPSAMLib.cli import run

    def call(*arguments: str) -> Ended:
        code = run(arguments)
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    return call


@pytest.mark.parametrize(("verb", "options"), [("segment", SEGMENT), ("preview", PREVIEW)])
class TestModels:
    @pytest.fixture(autouse=True)
    def _undo_stand_ins(self, monkeypatch, no_models):
        monkeypatch.undo()

    def test_unknown(self, refused, real_models, verb, options):
        said = refused(verb, "VOLUME", *options, "--clip", "clipper", through=real_models)
        assert "no CLIP named 'clipper'" in said

    def test_folder_without_model(self, refused, real_models, tmp_path, verb, options):
        (tmp_path / "empty").mkdir()
        said = refused(verb, "VOLUME", *options, "--clip", "OUT/empty", through=real_models)
        assert "holds no image-text model" in said

    def test_unknown_device(self, refused, real_models, verb, options):
        said = refused(verb, "VOLUME", *options, "--device", "abacus", through=real_models)
        assert "'abacus' is not available" in said


@pytest.mark.parametrize(("verb", "options"), [("segment", SEGMENT), ("preview", PREVIEW)])
class TestSegmenters:
    @pytest.fixture(autouse=True)
    def _only_the_clip_is_a_stand_in(self, monkeypatch, no_models):
        from MedCLIPSAMLib.engine.clip import registry

        from ..engine.fakes import GreyClip

        monkeypatch.undo()
        monkeypatch.setattr(registry, "load_clip", lambda name, device: GreyClip())

    def test_unknown(self, refused, real_models, verb, options):
        said = refused(verb, "VOLUME", *options, "--sam", "sammy", through=real_models)
        assert "'sammy'" in said

    def test_without_its_file(self, refused, real_models, verb, options):
        said = refused(verb, "VOLUME", *options, "--sam", "sam-vit-b", through=real_models)
        assert "SAM ViT-B is not installed: download or import it" in said

    def test_checkpoint_of_another_model(self, refused, real_models, tmp_path, verb, options):
        save_file({"conv1.weight": torch.zeros(2, 2)}, tmp_path / "resnet.safetensors")
        said = refused(verb, "VOLUME", *options, "--sam", "OUT/resnet.safetensors", through=real_models)
        assert "no checkpoint of SAM" in said

    def test_layer_that_the_model_does_not_have(self, refused, real_models, verb, options):
        said = refused(verb, "VOLUME", *options, "--saliency", "m2ib", "--layer", "5", through=real_models)
        assert "choose from 0 to 0" in said

    def test_option_of_another_saliency(self, refused, real_models, verb, options):
        said = refused(verb, "VOLUME", *options, "--beta", "3", through=real_models)
        assert "--saliency m2ib" in said


class TestEvaluate:
    @pytest.fixture(autouse=True)
    def _files(self, tmp_path, bar):
        nibabel.Nifti1Image(bar.astype(np.uint8), AFFINE).to_filename(tmp_path / "labels.nii.gz")
        nibabel.Nifti1Image(bar * 0.5, AFFINE).to_filename(tmp_path / "halves.nii.gz")
        nibabel.Nifti1Image(bar * np.int16(1000) - np.int16(900), AFFINE).to_filename(tmp_path / "ct.nii.gz")
        (tmp_path / "names.json").write_text('{"1": "bright"}')
        (tmp_path / "other.json").write_text('{"7": "liver"}')
        (tmp_path / "text.seg.nrrd").write_text("no segmentation")

    @pytest.mark.parametrize(
        ("segmentation", "labels", "names", "said"),
        [
            ("none.seg.nrrd", "labels.nii.gz", "names.json", "does not exist"),
            ("none.nii.gz", "labels.nii.gz", "names.json", "does not exist"),
            ("labels.nii.gz", "none.nii.gz", "names.json", "does not exist"),
            ("labels.nii.gz", "labels.nii.gz", "none.json", "cannot be read"),
            ("labels.nii.gz", "labels.nii.gz", "labels.nii.gz", "names cannot be read"),
            ("labels.nii.gz", "labels.nii.gz", "other.json", "no label that is named"),
            ("labels.nii.gz", "halves.nii.gz", "names.json", "not whole numbers"),
            ("labels.nii.gz", "ct.nii.gz", "names.json", "ct.nii.gz has values below 0, as images have them; give a"),
            ("ct.nii.gz", "labels.nii.gz", "names.json", "ct.nii.gz has values below 0, as images have them; give a"),
            ("text.seg.nrrd", "labels.nii.gz", "names.json", "no segmentation"),
            ("names.json", "labels.nii.gz", "names.json", "has no ending that is read"),
        ],
    )
    def test_files(self, refused, segmentation, labels, names, said):
        assert said in refused("evaluate", f"OUT/{segmentation}", f"OUT/{labels}", "--names", f"OUT/{names}")


def test_two_segments_of_one_name(refused, tmp_path, volume):
    """3D Slicer allows it; only one of them would be judged."""
    from MedCLIPSAMLib.scene.files.saving import save
    from MedCLIPSAMLib.scene.host import start
    from MedCLIPSAMLib.scene.segmentation.segments import create_segmentation, write_segment
    from MedCLIPSAMLib.scene.volumes import read_volume, volume_from_node

    start()
    node = read_volume(volume)
    segmentation_node = create_segmentation(node)
    mask = volume_from_node(node).array > 100
    for _ in range(2):
        segment_id = write_segment(segmentation_node, node, mask, "bright")
        segmentation_node.GetSegmentation().GetSegment(segment_id).SetName("bright")
    save(segmentation_node, node, tmp_path / "twice.seg.nrrd")
    (tmp_path / "names.json").write_text('{"200": "bright"}')
    said = refused("evaluate", "OUT/twice.seg.nrrd", "VOLUME", "--names", "OUT/names.json")
    assert "two segments named 'bright'" in said


def test_demo_into_a_file(refused, tmp_path):
    (tmp_path / "file").write_text("old")
    assert "is a file" in refused("demo", "--out", "OUT/file")


def test_unknown_command(refused):
    assert "No such command" in refused("segmentate")


def test_a_folder_that_cannot_be_written_to(refused, tmp_path: Path, monkeypatch):
    import os

    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    assert "cannot be written to" in refused("segment", "VOLUME", *SEGMENT)
    assert "cannot be written to" in refused("preview", "VOLUME", *PREVIEW)
