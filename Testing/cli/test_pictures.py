"""Pictures through the commands: read, previewed, segmented, saved as pictures, and judged by pictures."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from ..scene.dicom.test_picture import x_ray
from .conftest import SPACING
from .test_segment import dice

PIXELS = (50, 70)  # rows, columns


@pytest.fixture
def lesion() -> np.ndarray:
    """(H, W) bool: not the same turned or mirrored."""
    mask = np.zeros(PIXELS, bool)
    mask[6:20, 40:62] = True
    return mask


@pytest.fixture
def picture(lesion: np.ndarray, tmp_path: Path) -> Path:
    """A colour photograph of something bright on grey, whose luminance the stand-ins know."""
    grey = np.where(lesion, 200, 80).astype(np.uint8)
    path = tmp_path / "photo.png"
    Image.fromarray(np.stack([grey, grey, np.where(lesion, 200, 70).astype(np.uint8)], axis=-1)).save(path)
    return path


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


@pytest.mark.row("output-picture")
@pytest.mark.row("picture-colour")
def test_a_mask_lies_where_it_is_seen(command, picture: Path, lesion: np.ndarray, tmp_path: Path):
    output, overlay, report = (tmp_path / name for name in ("mask.png", "overlay.png", "report.json"))
    ended = command(
        "segment", picture, "-p", "bright", "-o", output, "--overlay", overlay, "--report", report
    )  # fmt: skip
    assert ended.code == 0, ended.err
    mask = pixels(output)
    assert set(np.unique(mask)) == {0, 255}
    assert dice(mask > 0, lesion) > 0.93
    assert pixels(overlay).shape == (*PIXELS, 3)
    coloured = np.ptp(pixels(overlay).astype(int), axis=-1) > 0
    np.testing.assert_array_equal(coloured, mask > 0)
    account = json.loads(report.read_text())
    assert account["volume"]["size_ijk"] == [PIXELS[1], PIXELS[0], 1]
    assert account["volume"]["modality"] == "other"
    assert account["window"] == [0, 255]
    assert [remark.split()[0] for remark in account["volume"]["remarks"]] == ["Its", "Nothing"]
    (prompt,) = account["prompts"]
    assert prompt["volume_ml"] is None, "a picture has no thickness"
    assert prompt["voxels"] == np.count_nonzero(mask)
    assert "Area (pixels)" in ended.out
    for file in (output, overlay, report):
        assert f"Written: {file}" in ended.out
    assert "Its colours are taken as their luminance." in ended.err


@pytest.mark.row("output-picture")
def test_several_prompts_are_a_picture_each(command, picture: Path, lesion: np.ndarray, tmp_path: Path):
    arguments = ("segment", picture, "-p", "bright", "-p", "The lesion=bright", "-o", tmp_path / "mask.png")
    ended = command(*arguments)
    assert ended.code == 0, ended.err
    for name in ("mask-bright.png", "mask-the-lesion.png"):
        assert f"Written: {tmp_path / name}" in ended.out
        assert dice(pixels(tmp_path / name) > 0, lesion) > 0.93
    assert "Lost" not in ended.out
    assert not (tmp_path / "mask.png").exists()
    again = command(*arguments)
    assert again.code == 2
    assert "mask-bright.png exists" in again.err


@pytest.mark.row("picture-x-ray")
def test_an_x_ray_is_segmented_and_previewed(command, lesion: np.ndarray, tmp_path: Path):
    stored = np.where(lesion, 4095 - 3000, 4095 - 1800).astype(np.uint16)  # bright on a viewer, dark in the file
    file = x_ray(
        tmp_path / "thorax.dcm", stored, PhotometricInterpretation="MONOCHROME1", WindowCenter=2048, WindowWidth=4096,
        ImagerPixelSpacing=[0.2, 0.2],
    )  # fmt: skip
    ended = command("segment", file, "-p", "bright", "-o", tmp_path / "out.nii.gz")
    assert ended.code == 0, ended.err
    assert "measured at the detector" in ended.err
    image = nibabel.Nifti1Image.from_filename(tmp_path / "out.nii.gz")
    assert image.affine == pytest.approx(np.diag([-0.2, -0.2, 1, 1]))
    assert dice(np.asarray(image.dataobj)[..., 0].T == 1, lesion) > 0.9
    ended = command("preview", file, "-p", "bright", "-o", tmp_path / "seen.png")
    assert ended.code == 0, ended.err
    assert "found on slice 0" in ended.out
    assert pixels(tmp_path / "seen.png").std() > 10


def test_a_volume_needs_the_number_of_a_slice(no_models, volume: Path, tmp_path: Path):
    ended = no_models("preview", volume, "-p", "bright", "-o", tmp_path / "seen.png")
    assert ended.code == 2
    assert "slices 0 to 19; choose one by --slice" in ended.err


@pytest.mark.row("output-picture")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("-o", "mask.png"), "has 20 slices; use .nii.gz."),
        (
            ("-o", "out.nii.gz", "--overlay", "seen.png"),
            "has 20 slices; use --evidence.",
        ),
        (("-o", "out.mrb", "--separate"), "out.mrb is a scene, which has all segments in one file"),
        (("-o", "out.nii.gz", "--overlay", "seen.jpg"), "seen.jpg does not end in .png"),
        (("-o", "same.png", "--overlay", "same.png"), "same.png is named twice"),
    ],
)
def test_what_is_refused_before_a_model_is_loaded(
    no_models, volume: Path, options: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    ended = no_models("segment", volume, "-p", "bright", *options)
    assert ended.code == 2
    assert said in ended.err
    assert {path.name for path in tmp_path.iterdir()} == {"bars.nii.gz"}


@pytest.mark.row("output-overlap")
def test_overlaps_are_told_and_can_be_kept(command, volume: Path, bar: np.ndarray, tmp_path: Path):
    arguments = (
        "segment",
        volume,
        "-p",
        "bright",
        "-p",
        "twin=bright",
        "--window",
        "0,255",
        "-o",
        tmp_path / "out.nii.gz",
    )
    ended = command(*arguments, "--json")
    bright, twin = json.loads(ended.out)["prompts"]
    assert bright["lost_voxels"] == bright["lost_ml"] == 0
    assert twin["lost_voxels"] == twin["voxels"] > 0
    assert twin["lost_ml"] == twin["volume_ml"] == pytest.approx(bar.sum() * np.prod(SPACING) / 1000, rel=0.1)
    ended = command(*arguments, "--force")
    assert "Lost (ml)" in ended.out
    assert "Warning: prompts overlap, and the label map has less of twin than was found" in ended.out
    labels = np.asarray(nibabel.Nifti1Image.from_filename(tmp_path / "out.nii.gz").dataobj)
    assert dice(labels == 1, bar) > 0.93
    assert not (labels == 2).any()
    ended = command(*arguments, "--separate")
    assert "Lost" not in ended.out
    for name in ("bright", "twin"):
        labels = np.asarray(nibabel.Nifti1Image.from_filename(tmp_path / f"out-{name}.nii.gz").dataobj)
        assert dice(labels == 1, bar) > 0.93
        assert f"Written: {tmp_path / f'out-{name}.labels.json'}" in ended.out


@pytest.fixture
def names(tmp_path: Path) -> Path:
    path = tmp_path / "names.json"
    path.write_text('{"1": "lesion"}')
    return path


@pytest.mark.row("picture-labels")
@pytest.mark.parametrize("value", [1, 255])
@pytest.mark.parametrize("output", ["out.png", "out.nii.gz", "out.seg.nrrd"])
@pytest.mark.parametrize("dots", [None, (63.5, 50.8)])
def test_masks_are_judged_pixel_by_pixel(
    command, lesion: np.ndarray, names: Path, output: str, value: int, dots: tuple[float, float] | None, tmp_path: Path
):
    """Whether the picture knows the size of its pixels or not, which that of the labels does not."""
    scan = tmp_path / "scan.png"
    Image.fromarray(np.where(lesion, 200, 80).astype(np.uint8)).save(scan, dpi=dots or (72, 72))
    Image.fromarray(np.where(lesion, value, 0).astype(np.uint8)).save(tmp_path / "labels.png")
    ended = command("segment", scan, "-p", "lesion=bright", "-o", tmp_path / output)
    assert ended.code == 0, ended.err
    ended = command("evaluate", tmp_path / output, tmp_path / "labels.png", "--names", names, "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["segments"]["lesion"]["dice"] > 0.93


@pytest.mark.row("picture-labels")
def test_labels_of_another_size_are_refused(command, lesion: np.ndarray, names: Path, tmp_path: Path):
    Image.fromarray(np.where(lesion, 255, 0).astype(np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(np.where(lesion[1:], 255, 0).astype(np.uint8)).save(tmp_path / "b.png")
    ended = command("evaluate", tmp_path / "a.png", tmp_path / "b.png", "--names", names)
    assert ended.code == 2
    assert "a.png has 70 x 50 pixels, and the labels 70 x 49 on 1 slice; give a picture of the same size." in ended.err
