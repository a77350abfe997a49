"""Reading image files into volume nodes, and sharing voxels with the engine."""

from __future__ import annotations

import gc
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from nilearn.datasets import load_mni152_template
from PIL import Image

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.engine.volume import SliceStack, Volume, Window, automatic_window
from MedCLIPSAMLib.scene import volumes
from MedCLIPSAMLib.scene.geometry import ijk_to_engine
from MedCLIPSAMLib.scene.pictures import LUMINANCE, UNKNOWN_SIZE
from MedCLIPSAMLib.scene.remarks import remarks
from MedCLIPSAMLib.scene.segmentation.segments import create_segmentation, read_segment, write_segment
from MedCLIPSAMLib.scene.volumes import colour_remark, node_from_volume, read_volume, volume_from_node

from ..samples import pydicom_data
from . import grids
from .dicom.test_picture import x_ray
from .refusing import refused


def test_mni152_head_as_nilearn_has_it(tmp_path: Path):
    load_mni152_template(resolution=2).to_filename(tmp_path / "mni152.nii.gz")
    template: Any = nibabel.load(tmp_path / "mni152.nii.gz")
    node = read_volume(tmp_path / "mni152.nii.gz")
    volume = volume_from_node(node)
    assert node.GetName() == volume.name == "mni152"
    assert volume.modality == "MR"
    np.testing.assert_allclose(volume.ijk_to_ras, template.affine, atol=1e-5)
    np.testing.assert_allclose(volume.array, np.asanyarray(template.dataobj).transpose(2, 1, 0), rtol=1e-6)


def air_and_water() -> np.ndarray:
    array = np.full((10, 30, 20), -1000, np.int16)
    array[:, 8:22, 5:15] = 40
    return array


def test_clinical_ct(shared: Path | None, tmp_path: Path):
    """A real CT where there is one, else one like it."""
    if shared is not None:
        path = shared / "clinical" / "abdomen_ct.nii.gz"
    else:
        path = tmp_path / "abdomen_ct.nii.gz"
        nibabel.save(nibabel.Nifti1Image(air_and_water().transpose(2, 1, 0), np.diag([3.0, 3, 3, 1])), path)
    image: Any = nibabel.load(path)
    volume = volume_from_node(read_volume(path))
    assert volume.modality == "CT"
    np.testing.assert_allclose(volume.ijk_to_ras, image.affine, atol=1e-5)
    np.testing.assert_array_equal(volume.array, np.asanyarray(image.dataobj).transpose(2, 1, 0))


def text(path: Path) -> None:
    path.write_text("hello")


def truncated(path: Path) -> None:
    # Noise, so that compression does not hide the cut behind the header.
    sitk.WriteImage(sitk.GetImageFromArray(np.random.default_rng(0).random((9, 40, 40))), str(path))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def vectors(path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((4, 5, 6, 3), np.float32), isVector=True), str(path))


def complex_voxels(path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5, 6), np.complex64), np.eye(4)), path)


def sheared(path: Path) -> None:
    matrix = grids.TRANSFORMS["sheared"]
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5, 6), np.int16), matrix), path)


@pytest.mark.parametrize(
    ("name", "make", "said"),
    [
        ("absent.nrrd", lambda path: None, "does not exist"),
        ("notes.txt", text, "has no ending that is read; give a DICOM folder"),
        ("slice.dcm", text, "has no ending that is read; give a DICOM folder"),
        ("text.nrrd", text, "cannot be read as the image"),
        ("text.nii.gz", text, "cannot be read as the image"),
        ("text.mha", text, "cannot be read as the image"),
        ("vectors.nrrd", vectors, "vector or complex"),
        ("vectors.nii.gz", vectors, "vector or complex"),
        ("complex.nii", complex_voxels, "vector or complex"),
        ("sheared.nii.gz", sheared, "not at right angles"),
        ("cut.nrrd", truncated, "damaged or cut off"),
        ("cut.mha", truncated, "damaged or cut off"),
        ("cut.nii", truncated, "damaged or cut off"),
        ("cut.nii.gz", truncated, "damaged or cut off"),
    ],
)
def test_file_that_is_no_volume(
    name: str, make: Callable[[Path], None], said: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    make(tmp_path / name)
    refused(tmp_path / name, said)
    assert "ERR" not in capfd.readouterr().err


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_nifti_is_read_when_whole_and_refused_when_one_byte_short(order: str, suffix: str, tmp_path: Path):
    image = nibabel.Nifti1Image(grids.voxels().transpose(2, 1, 0), np.eye(4))
    image = nibabel.Nifti1Image(image.dataobj, image.affine, image.header.as_byteswapped(order))
    whole, short = tmp_path / f"whole{suffix}", tmp_path / f"short{suffix}"
    nibabel.save(image, whole)
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(read_volume(whole)), grids.voxels())
    content = gzip.decompress(whole.read_bytes()) if suffix == ".nii.gz" else whole.read_bytes()
    short.write_bytes(gzip.compress(content[:-1]) if suffix == ".nii.gz" else content[:-1])
    refused(short, "damaged or cut off")


def test_file_that_may_not_be_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    def deny(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "image.nrrd").touch()
    monkeypatch.setattr(volumes, "is_dicom", deny)  # an administrator may read everything
    refused(tmp_path / "image.nrrd", r"cannot be opened \(Permission denied\)")


def test_single_slice_and_names_with_spaces(tmp_path: Path):
    path = tmp_path / "Schädel é 1.nrrd"
    sitk.WriteImage(sitk.GetImageFromArray(grids.voxels()[:1]), str(path))
    node = read_volume(path)
    assert node.GetName() == "Schädel é 1"
    np.testing.assert_array_equal(volume_from_node(node).array, grids.voxels()[:1])


def test_engine_sees_the_nodes_own_voxels_but_cannot_change_them():
    node = grids.volume_node()
    volume = volume_from_node(node)
    slicer.util.arrayFromVolume(node)[0, 0, 0] = 77
    assert volume.array[0, 0, 0] == 77
    with pytest.raises(ValueError, match="read-only"):
        volume.array[0, 0, 0] = 0


def test_voxels_outlive_their_node():
    node = grids.volume_node()
    volume = volume_from_node(node)
    slicer.mrmlScene.RemoveNode(node)
    del node
    gc.collect()
    np.testing.assert_array_equal(volume.array, grids.voxels())


def test_node_shares_the_array_and_keeps_it_alive():
    array = grids.voxels()
    node = node_from_volume(Volume(array, np.eye(4), "MR", "shared"))
    array[0, 0, 0] = 55
    del array
    gc.collect()
    np.random.default_rng(2).random(200_000)  # would reuse the memory
    assert slicer.util.arrayFromVolume(node)[0, 0, 0] == 55
    assert volume_from_node(node).modality == "MR"


@pytest.mark.parametrize("dtype", ["bool", ">i2", "int64", "float16", "uint64"])
def test_types_which_slicer_does_not_display_are_converted(dtype: str):
    array = (grids.voxels() % 7).astype(dtype)
    node = node_from_volume(Volume(array, np.eye(4), "other"))
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(node), array)


def test_read_only_and_strided_arrays_are_copied():
    array = grids.voxels()[::-1]
    array.setflags(write=False)
    node = node_from_volume(Volume(array, np.eye(4), "other"))
    slicer.util.arrayFromVolume(node)[:] = 0
    np.testing.assert_array_equal(array, grids.voxels()[::-1])


def test_modality_from_slicers_dicom_module():
    node = grids.volume_node()
    node.RemoveAttribute("DICOM.Modality")
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item = hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)
    hierarchy.SetItemAttribute(item, "DICOM.Modality", "PT")
    assert volume_from_node(node).modality == "other"
    hierarchy.SetItemAttribute(item, "DICOM.Modality", "MR")
    assert volume_from_node(node).modality == "MR"
    assert volume_from_node(node, "CT").modality == "CT"


def test_nodes_which_are_no_scalar_volume():
    with pytest.raises(InputError, match="has no image data"):
        volume_from_node(None)
    with pytest.raises(InputError, match="empty has no image data"):
        volume_from_node(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty"))
    vectors = slicer.util.addVolumeFromArray(
        np.zeros((3, 4, 5, 3), np.float32), name="warp", nodeClassName="vtkMRMLVectorVolumeNode"
    )
    with pytest.raises(InputError, match="warp has vectors as voxels; choose a volume in grey or in colour"):
        volume_from_node(vectors)
    assert colour_remark(vectors) is None


COLOURS = np.random.default_rng(0).integers(0, 255, (4, 5, 6, 3), np.uint8)
GREY = np.rint(COLOURS @ np.array([0.299, 0.587, 0.114]))


@pytest.mark.row("picture-colour")
@pytest.mark.parametrize("channels", [3, 4])
def test_colours_that_are_loaded_are_seen_by_their_luminance(channels: int):
    array = np.concatenate([COLOURS, COLOURS], axis=-1)[..., :channels]
    node = slicer.util.addVolumeFromArray(array, name="photo", nodeClassName="vtkMRMLVectorVolumeNode")
    assert node.IsA("vtkMRMLVectorVolumeNode")
    volume = volume_from_node(node)
    np.testing.assert_array_equal(volume.array, GREY)
    np.testing.assert_array_equal(volume.ijk_to_ras, ijk_to_engine(node))
    assert colour_remark(node) == "photo is in colour: its luminance is segmented."
    assert colour_remark(grids.volume_node()) is None
    # What is found there becomes a segment on its grid.
    segmentation = create_segmentation(node)
    mask = GREY > 150
    np.testing.assert_array_equal(read_segment(segmentation, node, write_segment(segmentation, node, mask, "a")), mask)
    np.testing.assert_array_equal(
        read_segment(segmentation, node, write_segment(segmentation, node, mask & False, "b")), mask & False
    )


@pytest.mark.row("picture-colour")
@pytest.mark.parametrize("name", ["a.nrrd", "a.nii.gz", "a.mha"])
def test_colours_in_files_are_seen_by_their_luminance(name: str, tmp_path: Path):
    image = sitk.GetImageFromArray(COLOURS, isVector=True)
    image.SetSpacing((2, 3, 4))
    sitk.WriteImage(image, str(tmp_path / name))
    node = read_volume(tmp_path / name)
    np.testing.assert_array_equal(volume_from_node(node).array, GREY)
    np.testing.assert_allclose(node.GetSpacing(), (2, 3, 4))
    assert LUMINANCE in remarks(node)
    grey = grids.voxels().astype(np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(np.stack([grey] * 3, axis=-1), isVector=True), str(tmp_path / name))
    node = read_volume(tmp_path / name)
    np.testing.assert_array_equal(volume_from_node(node).array, grey)
    assert LUMINANCE not in remarks(node)


ASYMMETRIC = (np.add.outer(np.arange(24), np.arange(30) * 4) + 20).astype(np.uint8)


@pytest.mark.row("picture-kinds")
def test_a_picture_is_one_axial_slice_as_seen(tmp_path: Path):
    Image.fromarray(ASYMMETRIC).save(tmp_path / "thorax.png", dpi=(63.5, 50.8))
    node = read_volume(tmp_path / "thorax.png")
    volume = volume_from_node(node)
    assert (node.GetName(), volume.modality) == ("thorax", "other")
    np.testing.assert_allclose(volume.spacing, (0.4, 0.5, 1), rtol=1e-3)
    for axis in ("axial", "acquisition"):
        np.testing.assert_array_equal(SliceStack(volume, axis).array, ASYMMETRIC[None])
    assert automatic_window(volume) == Window(0, 255)
    assert volume_from_node(node, "MR").modality == "MR"


@pytest.mark.row("picture-x-ray")
def test_an_x_ray_is_a_picture(tmp_path: Path):
    stored = ASYMMETRIC.astype(np.uint16) * 10
    x_ray(tmp_path / "a.dcm", stored, WindowCenter=1000, WindowWidth=1600, PhotometricInterpretation="MONOCHROME1")
    for path in (tmp_path / "a.dcm", tmp_path):
        node = read_volume(path)
        volume = volume_from_node(node)
        assert volume.modality == "other"
        assert node.GetName().startswith("chest pa") or "chest pa" in node.GetName()
        (seen,) = SliceStack(volume, "axial").array
        assert seen[0, 0] > seen[0, -1] > seen[-1, -1]  # turned
        assert UNKNOWN_SIZE in remarks(node)


@pytest.mark.row("picture-x-ray")
def test_of_several_x_rays_one_is_to_be_named(tmp_path: Path):
    for name in ("pa.dcm", "lateral.dcm"):
        x_ray(tmp_path / name, SeriesInstanceUID="1.2.3")
    with pytest.raises(InputError, match=r"holds 2 pictures, .* give the file of one: lateral\.dcm, pa\.dcm\."):
        read_volume(tmp_path)
    assert volume_from_node(read_volume(tmp_path / "pa.dcm")).array.shape == (1, 24, 30)


@pytest.mark.row("picture-ultrasound")
def test_a_frame_of_ultrasound_is_a_picture():
    volume = volume_from_node(read_volume(pydicom_data("color3d_jpeg_baseline.dcm"), frame=7))
    assert (volume.array.shape, volume.modality) == ((1, 480, 640), "other")
    assert automatic_window(volume) == Window(0, 255)


def test_a_volume_that_is_bent_is_segmented_as_it_is_stored():
    node = grids.volume_node("axial")
    node.SetAndObserveTransformNodeID(grids.transform_node(grids.TRANSFORMS["rigid"]).GetID())
    assert not np.allclose(volume_from_node(node).ijk_to_ras, grids.GRIDS["axial"])
    warp = grids.warp_node()
    slicer.mrmlScene.GetNodeByID(node.GetTransformNodeID()).SetAndObserveTransformNodeID(warp.GetID())
    volume = volume_from_node(node)
    assert np.array_equal(volume.ijk_to_ras, grids.GRIDS["axial"])
    assert np.array_equal(volume.array, grids.voxels())
