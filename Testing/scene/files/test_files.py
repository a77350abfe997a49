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

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.scene.files import saving as files
from MedCLIPSAMLib.scene.files.saving import check_output, save
from MedCLIPSAMLib.scene.segmentation.segments import create_segmentation, write_segment

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
    written = save(*nodes, tmp_path / f"out{suffix}")
    assert written[0] == tmp_path / f"out{suffix}"
    assert set(written) == set(tmp_path.iterdir()) == set(files.output_files(written[0]))
    assert capfd.readouterr() == ("", "")
    if suffix != ".mrb":  # a saved scene keeps the storage nodes it made
        assert len(slicer.util.getNodes()) == nodes_before


def test_label_values_are_in_the_order_of_the_segments_and_named_beside(nodes: tuple[Any, Any], tmp_path: Path):
    path, names = save(*nodes, tmp_path / "out.nii.gz")
    assert names == tmp_path / "out.labels.json"
    assert json.loads(names.read_text(encoding="utf-8")) == {"1": "liver", "2": "spleen", "3": "stomach"}
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    expected = np.zeros(grids.SHAPE)
    expected[np.roll(grids.blob(), 5, axis=0)] = 3
    expected[grids.blob()] = 1
    np.testing.assert_array_equal(labels, expected)


def test_overlapping_segments(nodes: tuple[Any, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """A label map has the later segment and says so; .seg.nrrd keeps both."""
    segmentation_node, node = nodes
    later = np.roll(grids.blob(), 1, axis=2)
    write_segment(segmentation_node, node, later, "gallbladder")
    with caplog.at_level(logging.WARNING):
        path, _ = save(segmentation_node, node, tmp_path / "out.nii.gz")
    assert "out.nii.gz has the label of the later one" in caplog.text
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    np.testing.assert_array_equal(labels == 4, later)
    np.testing.assert_array_equal(labels == 1, grids.blob() & ~later)
    path, *_ = save(segmentation_node, node, tmp_path / "out.seg.nrrd")
    loaded = slicer.modules.segmentations.logic().LoadSegmentationFromFile(str(path), True, "loaded")
    segment_id = loaded.GetSegmentation().GetSegmentIdBySegmentName("liver")
    assert len(grids.segment_positions(loaded, segment_id)) == np.count_nonzero(grids.blob())


def test_scene_file_holds_volume_and_segmentation_under_its_own_name(nodes: tuple[Any, Any], tmp_path: Path):
    path, *_ = save(*nodes, tmp_path / "case 7.mrb")
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
    path, *_ = save(segmentation_node, node, tmp_path / f"out{suffix}")
    if suffix == ".seg.nrrd":  # 3D Slicer writes one voxel for it
        loaded = slicer.modules.segmentations.logic().LoadSegmentationFromFile(str(path), True, "loaded")
        assert loaded.GetSegmentation().GetNthSegment(0).GetName() == "spleen"
    else:
        labels = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
        np.testing.assert_array_equal(labels, np.zeros(grids.SHAPE))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("out.nrrd", "no known ending; use .seg.nrrd, .nii.gz or .mrb"),
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

    def half(segmentation_node: Any, volume_node: Any, path: Path) -> bool:
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


def test_non_linear_transform_is_refused(nodes: tuple[Any, Any], tmp_path: Path):
    segmentation_node, node = nodes
    segmentation_node.SetAndObserveTransformNodeID(grids.warp_node().GetID())
    with pytest.raises(InputError, match="non-linear transform warp"):
        save(segmentation_node, node, tmp_path / "out.seg.nrrd")
    assert list(tmp_path.iterdir()) == []
