"""Saving: refused before the work, whole or not at all, nothing replaced unasked."""

from __future__ import annotations

import errno
import json
import logging
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from PIL import Image

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.engine.volume import Volume, Window
from MedCLIPSAMLib.scene.files import saving as files
from MedCLIPSAMLib.scene.files.overlay import write_overlay
from MedCLIPSAMLib.scene.files.saving import check_output, save
from MedCLIPSAMLib.scene.pictures import UNKNOWN_SIZE, read_picture
from MedCLIPSAMLib.scene.remarks import add_remark
from MedCLIPSAMLib.scene.segmentation.segments import create_segmentation, write_segment
from MedCLIPSAMLib.scene.volumes import node_from_volume, read_volume, volume_from_node

from .. import grids

SUFFIXES = (".seg.nrrd", ".nii.gz", ".mrb")


@pytest.fixture
def nodes() -> tuple[Any, Any]:
    """A segmentation with liver, an empty spleen and a stomach, all apart, and its volume."""
    node = grids.volume_node()
    segmentation_node = create_segmentation(node)
    write_segment(segmentation_node, node, grids.blob(), "liver")
    write_segment(segmentation_node, node, grids.blob() & False, "spleen")
    write_segment(segmentation_node, node, np.roll(grids.blob(), 5, axis=0) & ~grids.blob(), "stomach")
    return segmentation_node, node


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_writes_what_it_says_and_leaves_nothing_else(nodes: tuple[Any, Any], suffix: str, tmp_path: Path, capfd):
    nodes_before = len(slicer.util.getNodes())
    written = save(*nodes, tmp_path / f"out{suffix}").files
    assert written[0] == tmp_path / f"out{suffix}"
    assert set(written) == set(tmp_path.iterdir()) == set(files.output_files(written[0]))
    assert capfd.readouterr() == ("", "")
    if suffix != ".mrb":  # a saved scene keeps the storage nodes it made
        assert len(slicer.util.getNodes()) == nodes_before


def test_label_values_are_in_the_order_of_the_segments_and_named_beside(nodes: tuple[Any, Any], tmp_path: Path):
    path, names = save(*nodes, tmp_path / "out.nii.gz").files
    assert names == tmp_path / "out.labels.json"
    assert json.loads(names.read_text(encoding="utf-8")) == {"1": "liver", "2": "spleen", "3": "stomach"}
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    expected = np.zeros(grids.SHAPE)
    expected[np.roll(grids.blob(), 5, axis=0)] = 3
    expected[grids.blob()] = 1
    np.testing.assert_array_equal(labels, expected)


@pytest.mark.row("output-overlap")
def test_overlapping_segments(nodes: tuple[Any, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """A label map has the earlier segment and says what the later ones lost; .seg.nrrd keeps all."""
    segmentation_node, node = nodes
    later = np.roll(grids.blob(), 1, axis=2)
    write_segment(segmentation_node, node, later, "gallbladder")
    write_segment(segmentation_node, node, grids.blob(), "twin")
    with caplog.at_level(logging.WARNING):
        saved = save(segmentation_node, node, tmp_path / "out.nii.gz")
    assert "out.nii.gz has less of gallbladder, twin than was found" in caplog.text
    stomach = np.roll(grids.blob(), 5, axis=0) & ~grids.blob()
    hidden = later & (grids.blob() | stomach)
    assert saved.lost == {"gallbladder": np.count_nonzero(hidden), "twin": np.count_nonzero(grids.blob())}
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(saved.files[0])))
    np.testing.assert_array_equal(labels == 1, grids.blob())
    np.testing.assert_array_equal(labels == 3, stomach)
    np.testing.assert_array_equal(labels == 4, later & ~hidden)
    saved = save(segmentation_node, node, tmp_path / "out.seg.nrrd")
    assert not saved.lost
    assert voxels_by_name(saved.files[0])["twin"] == np.count_nonzero(grids.blob())


def voxels_by_name(path: Path) -> dict[str, int]:
    loaded = slicer.modules.segmentations.logic().LoadSegmentationFromFile(str(path), True, "loaded")
    segmentation = loaded.GetSegmentation()
    return {
        segmentation.GetSegment(segment_id).GetName(): len(grids.segment_positions(loaded, segment_id))
        for segment_id in segmentation.GetSegmentIDs()
    }


@pytest.mark.row("output-overlap")
@pytest.mark.parametrize("suffix", [".seg.nrrd", ".nii.gz"])
def test_one_file_for_each_segment(nodes: tuple[Any, Any], suffix: str, tmp_path: Path):
    segmentation_node, node = nodes
    write_segment(segmentation_node, node, grids.blob(), "Left / right lobe?")
    nodes_before = len(slicer.util.getNodes())
    saved = save(segmentation_node, node, tmp_path / f"out{suffix}", separate=True)
    names = ["liver", "spleen", "stomach", "left-right-lobe"]
    assert not saved.lost
    assert set(saved.files) == set(tmp_path.iterdir())
    assert [file.name for file in saved.files if file.name.endswith(suffix)] == [
        f"out-{name}{suffix}" for name in names
    ]
    assert len(slicer.util.getNodes()) == nodes_before
    last = tmp_path / f"out-left-right-lobe{suffix}"
    if suffix == ".seg.nrrd":
        assert voxels_by_name(last) == {"Left / right lobe?": np.count_nonzero(grids.blob())}
    else:
        np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(last))), grids.blob())
        named = (tmp_path / "out-left-right-lobe.labels.json").read_text(encoding="utf-8")
        assert json.loads(named) == {"1": "Left / right lobe?"}
    with pytest.raises(InputError, match=r"out-liver\..* exists"):
        save(segmentation_node, node, tmp_path / f"out{suffix}", separate=True)


@pytest.fixture
def picture() -> tuple[Any, Any]:
    """A segmentation of two segments that overlap, and the picture of one slice that it belongs to."""
    node = node_from_volume(Volume(np.zeros((1, *MASK.shape), np.uint8), np.diag([-0.4, -0.5, 1, 1]), "other", "photo"))
    segmentation_node = create_segmentation(node)
    write_segment(segmentation_node, node, MASK[None], "lesion")
    write_segment(segmentation_node, node, MASK[None, ::-1], "肝脏")
    return segmentation_node, node


MASK = np.add.outer(np.arange(24), np.arange(30) * 4) % 50 < 20  # not the same turned or mirrored


@pytest.mark.row("output-picture")
def test_masks_as_pictures(picture: tuple[Any, Any], tmp_path: Path):
    """White on black, as the picture is seen; several segments are a file each."""
    saved = save(*picture, tmp_path / "out.png")
    assert [file.name for file in saved.files] == ["out-lesion.png", "out-肝脏.png"]
    assert not saved.lost
    for file, expected in zip(saved.files, (MASK, MASK[::-1]), strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(file)), np.where(expected, 255, 0))
    np.testing.assert_allclose(read_picture(saved.files[0]).spacing, (0.5, 0.4), rtol=1e-3)
    add_remark(picture[1], UNKNOWN_SIZE)
    assert "dpi" not in Image.open(save(*picture, tmp_path / "unknown.png").files[0]).info
    picture[0].GetSegmentation().RemoveSegment(picture[0].GetSegmentation().GetNthSegmentID(1))
    assert save(*picture, tmp_path / "OUT.PNG").files == (tmp_path / "OUT.PNG",)
    assert [file.name for file in save(*picture, tmp_path / "one.png", separate=True).files] == ["one-lesion.png"]


@pytest.mark.row("output-picture")
def test_a_volume_is_no_picture(nodes: tuple[Any, Any], tmp_path: Path):
    with pytest.raises(InputError, match=r"out\.png is a picture, and axial has 9 slices; use \.nii\.gz\."):
        save(*nodes, tmp_path / "out.png")
    with pytest.raises(InputError, match=r"out\.mrb is a scene, which has all segments in one file"):
        save(*nodes, tmp_path / "out.mrb", separate=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.row("output-picture")
def test_overlay_has_the_pixels_of_the_picture(picture: tuple[Any, Any], tmp_path: Path):
    segmentation_node, node = picture
    slicer.util.arrayFromVolume(node)[:] = 100
    write_overlay(segmentation_node, node, Window(0, 255), tmp_path / "both.png")
    both = np.asarray(Image.open(tmp_path / "both.png"))
    assert both.shape[0] > 24  # names below
    assert both.shape[1:] == (30, 3)
    segmentation_node.GetSegmentation().RemoveSegment(segmentation_node.GetSegmentation().GetNthSegmentID(1))
    write_overlay(segmentation_node, node, Window(0, 255), tmp_path / "one.png")
    one = np.asarray(Image.open(tmp_path / "one.png"))
    assert one.shape == (24, 30, 3)
    np.testing.assert_array_equal((one != 100).any(axis=-1), MASK)


@pytest.mark.row("output-picture")
def test_segments_on_an_overlay_can_be_told_apart(tmp_path: Path):
    """Also those whose own colours are pale, as of kidney and spleen, or the same."""
    node = node_from_volume(Volume(np.full((1, 40, 90), 100, np.uint8), np.diag([-1, -1, 1, 1]), "other"))
    segmentation_node = create_segmentation(node)
    for number, name in enumerate(("kidney", "spleen", "lesion", "other lesion", "brain", "bone")):
        mask = np.zeros((1, 40, 90), bool)
        mask[0, 10:30, 15 * number : 15 * number + 12] = True
        write_segment(segmentation_node, node, mask, name, colour=(0.9, 0.9, 0.8) if "lesion" in name else None)
    write_overlay(segmentation_node, node, Window(0, 255), tmp_path / "all.png")
    drawn = np.asarray(Image.open(tmp_path / "all.png"))[10, 2:90:15].astype(int)  # of the outlines
    differences = np.abs(drawn[:, None] - drawn).sum(axis=-1)
    assert (differences[np.triu_indices(6, 1)] > 100).all()


@pytest.mark.row("output-overlap")
def test_label_maps_are_where_the_volume_is(tmp_path: Path):
    """Under a linear transform, too."""
    node = grids.volume_node()
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(grids.TRANSFORMS["rigid"]))
    node.SetAndObserveTransformNodeID(transform.GetID())
    segmentation_node = create_segmentation(node)
    write_segment(segmentation_node, node, grids.blob(), "liver")
    path = save(segmentation_node, node, tmp_path / "out.nii.gz").files[0]
    loaded = volume_from_node(read_volume(path))
    k, j, i = np.argwhere(loaded.array)[0]
    world = loaded.ijk_to_ras @ (i, j, k, 1)
    back = np.linalg.solve(volume_from_node(node).ijk_to_ras, world)
    assert grids.blob()[tuple(np.rint(back[2::-1]).astype(int))]
    assert np.count_nonzero(loaded.array) == np.count_nonzero(grids.blob())


def test_scene_file_holds_volume_and_segmentation_under_its_own_name(nodes: tuple[Any, Any], tmp_path: Path):
    path, *_ = save(*nodes, tmp_path / "case 7.mrb").files
    with ZipFile(path) as archive:
        names = archive.namelist()
    assert "case 7/case 7.mrml" in names
    assert "case 7/Data/axial.nrrd" in names
    assert "case 7/Data/axial segmentation.seg.nrrd" in names


@pytest.mark.parametrize("suffix", [".seg.nrrd", ".nii.gz"])
def test_a_result_where_nothing_was_found_is_saved_too(suffix: str, tmp_path: Path):
    node = grids.volume_node()
    segmentation_node = create_segmentation(node)
    write_segment(segmentation_node, node, grids.blob() & False, "spleen")
    path, *_ = save(segmentation_node, node, tmp_path / f"out{suffix}").files
    if suffix == ".seg.nrrd":  # 3D Slicer writes one voxel for it
        loaded = slicer.modules.segmentations.logic().LoadSegmentationFromFile(str(path), True, "loaded")
        assert loaded.GetSegmentation().GetNthSegment(0).GetName() == "spleen"
    else:
        labels = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
        np.testing.assert_array_equal(labels, np.zeros(grids.SHAPE))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("out.nrrd", "no known ending; use .seg.nrrd, .nii.gz, .mrb, .seg.dcm, .rtstruct.dcm, .stl, .obj or .png"),
        ("out", "no known ending"),
        ("absent/out.mrb", "absent does not exist; create it"),
        ("folder.mrb", "is a folder"),
        ("taken.seg.nrrd", "taken.seg.nrrd exists"),
        ("named.nii.gz", "named.labels.json exists"),
    ],
)
def test_bad_output_is_refused_before_the_work(nodes: tuple[Any, Any], name: str, said: str, tmp_path: Path):
    (tmp_path / "folder.mrb").mkdir()
    (tmp_path / "taken.seg.nrrd").write_bytes(b"precious")
    (tmp_path / "named.labels.json").write_bytes(b"{}")
    for attempt in (lambda path: check_output(path), lambda path: save(*nodes, path)):
        with pytest.raises(InputError, match=said) as raised:
            attempt(tmp_path / name)
        assert str(raised.value).endswith(".")
    assert (tmp_path / "taken.seg.nrrd").read_bytes() == b"precious"
    assert len(list(tmp_path.iterdir())) == 3


def test_folder_that_cannot_be_written_to(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(files.os, "access", lambda *_: False)  # an administrator may write anywhere
    with pytest.raises(InputError, match="cannot be written to"):
        check_output(tmp_path / "out.mrb")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_force_replaces(nodes: tuple[Any, Any], suffix: str, tmp_path: Path):
    path = tmp_path / f"out{suffix}"
    path.write_bytes(b"old")
    assert check_output(path, force=True) == path
    save(*nodes, path, force=True)
    assert path.read_bytes() != b"old"


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("fault", [False, OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_failed_writing_leaves_everything_as_it_was(
    nodes: tuple[Any, Any], suffix: str, fault, monkeypatch, tmp_path: Path
):
    for file in files.output_files(tmp_path / f"out{suffix}"):
        file.write_bytes(b"old")
    before = contents(tmp_path)

    def half(segmentation_node: Any, volume_node: Any, path: Path, *others: Any) -> bool:
        path.write_bytes(b"half")
        if fault:
            raise fault
        return False

    monkeypatch.setattr(files, "_write", half)
    expected = KeyboardInterrupt if isinstance(fault, KeyboardInterrupt) else InputError
    with pytest.raises(expected):
        save(*nodes, tmp_path / f"out{suffix}", force=True)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("labels_were_there", [True, False])
def test_files_change_together(nodes: tuple[Any, Any], labels_were_there: bool, monkeypatch, tmp_path: Path):
    """A viewer that holds the old label map open, as on Windows, does not leave it with the names of the new one."""
    (tmp_path / "out.nii.gz").write_bytes(b"old")
    if labels_were_there:
        (tmp_path / "out.labels.json").write_bytes(b"old")
    before = contents(tmp_path)
    replace = Path.replace

    def held(self: Path, target: Path) -> Path:
        if target == tmp_path / "out.nii.gz":
            raise PermissionError(errno.EACCES, "Permission denied")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", held)
    with pytest.raises(InputError, match="Permission denied"):
        save(*nodes, tmp_path / "out.nii.gz", force=True)
    assert contents(tmp_path) == before


@pytest.mark.row("transform-bends")
@pytest.mark.parametrize("name", ["out.seg.nrrd", "out.nii.gz"])
def test_files_of_a_bent_segmentation_lie_on_the_file_of_the_volume(tmp_path: Path, name: str):
    """As 3D Slicer saves what is under a transform; resampled, no voxel would be what was found."""
    node = grids.volume_node("axial")
    node.SetAndObserveTransformNodeID(grids.warp_node().GetID())
    segmentation_node = create_segmentation(node)
    write_segment(segmentation_node, node, grids.blob(), "liver")
    save(segmentation_node, node, tmp_path / name)
    image = sitk.ReadImage(str(tmp_path / name))
    kji = np.argwhere(sitk.GetArrayFromImage(image) > 0)
    lps = np.array([image.TransformIndexToPhysicalPoint(index[::-1].tolist()) for index in kji])
    expected = grids.positions(grids.blob(), grids.GRIDS["axial"])
    np.testing.assert_allclose(grids.in_order(lps * (-1, -1, 1)), expected, atol=1e-3)
