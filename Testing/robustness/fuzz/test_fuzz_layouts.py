"""What is strict with damaged files still takes every layout that 3D Slicer reads."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import vtk
from nibabel.nifti1 import Nifti1Extension
from vtkmodules.util import numpy_support

from MedCLIPSAMLib.scene.volumes import FORMATS, read_volume, volume_from_node

from .damaged.images import VOXELS, nifti_header
from .test_fuzz_readers import RAW, metaimage_header, nrrd_header, packed

pytestmark = pytest.mark.row("fuzz-readers")

TEXT = " ".join(map(str, VOXELS.ravel())).encode()
LIST = "".join(f"{k}.raw\n" for k in range(4)).encode()
Z = zlib.compress(RAW)


def detached(field: str, after: bytes = b"") -> bytes:
    return nrrd_header(f"data file: {field}")[:-1] + after


LAYOUTS: dict[str, bytes] = {
    "a.nrrd": nrrd_header() + RAW,
    "lines of Windows.nrrd": nrrd_header().replace(b"\n", b"\r\n") + RAW,
    "gzip.nrrd": nrrd_header(encoding="gz") + gzip.compress(RAW),
    "gzip in two.nrrd": nrrd_header(encoding="gzip") + gzip.compress(RAW[:99]) + gzip.compress(RAW[99:]),
    "gzip and more.nrrd": nrrd_header(encoding="gzip") + gzip.compress(RAW) + b"more",
    "text.nrrd": nrrd_header(encoding="ascii") + TEXT,
    "hex.nrrd": nrrd_header(encoding="hex") + RAW.hex().encode(),
    "bytes skipped.nrrd": nrrd_header("byte skip: 4") + b"more" + RAW,
    "last bytes.nrrd": nrrd_header("byte skip: -1") + b"more" + RAW,
    "lines skipped.nrrd": nrrd_header("line skip: 2", "byte skip: 1") + b"one\ntwo\n3" + RAW,
    "bytes skipped in gzip.nrrd": nrrd_header("byte skip: 4", encoding="gzip") + gzip.compress(b"more" + RAW),
    "lines before gzip.nrrd": nrrd_header("line skip: 1", encoding="gzip") + b"one\n" + gzip.compress(RAW),
    "keys.nrrd": nrrd_header("# a: b", "a:=b: c", "a:=again") + RAW,
    "names.nrrd": nrrd_header("type: signed short int").replace(b"sizes", b"SIZES") + RAW,
    "four axes.nrrd": nrrd_header("space: left-posterior-superior-time", sizes="6 5 4 1", dimension="4").replace(
        b"space directions: (1,0,0) (0,1,0) (0,0,1)\n", b""
    )
    + RAW,
    "attached.nhdr": nrrd_header() + RAW,
    "detached.nhdr": detached("all.raw"),
    "detached.nrrd": detached("./all.raw"),
    "list.nhdr": detached("LIST", LIST),
    "list of slices.nhdr": detached("LIST 2", LIST),
    "numbered.nhdr": detached("%d.raw 0 3 1"),
    "numbered slices.nhdr": detached("%01d.raw 0 3 1 2"),
    "a.mha": metaimage_header() + RAW,
    "lines of Windows.mha": metaimage_header().replace(b"\n", b"\r\n") + RAW,
    "colons.mha": metaimage_header().replace(b" = ", b": ") + RAW,
    "no spaces.mha": metaimage_header().replace(b" = ", b"=") + RAW,
    "no word on bytes.mha": metaimage_header().replace(b"BinaryData = True\n", b"") + RAW,
    "a number for true.mha": metaimage_header(BinaryData=1) + RAW,
    "empty lines.mha": b"\n" + metaimage_header().replace(b"\n", b"\n \n", 3) + RAW,
    "anyone's fields.mha": b"My-Key (unit) = a = b: c\nk=\nk=" + b"v" * 2000 + b"\n" + metaimage_header() + RAW,
    "packed.mha": packed(CompressedDataSize=len(Z)) + Z,
    "last bytes.mha": metaimage_header(HeaderSize=-1) + b"more" + RAW,
    "detached.mhd": metaimage_header("all.raw"),
    "spaces.mhd": metaimage_header("all of it.raw"),
    "bytes skipped.mhd": metaimage_header("more.raw", HeaderSize=4),
    "packed.mhd": metaimage_header("all.zraw", CompressedData=True),
    "list.mhd": metaimage_header("LIST") + LIST,
    "list of slices.mhd": metaimage_header("LIST 2D") + LIST,
    "numbered.mhd": metaimage_header("%d.raw 0 3 1"),
    "a.nii": nifti_header() + RAW,
    "other bytes.nii": nifti_header(">") + VOXELS.astype(">i2").tobytes(),
    "a.nii.gz": gzip.compress(nifti_header() + RAW),
    "more.nii": nifti_header() + RAW + b"more",
    "nan where nothing counts.nii": nifti_header(quatern0=float("nan"), pixdim4=float("nan")) + RAW,
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_voxel_is_where_it_was(name: str, tmp_path: Path) -> None:
    for file, content in (("all.raw", RAW), ("all of it.raw", RAW), ("more.raw", b"more" + RAW), ("all.zraw", Z)):
        (tmp_path / file).write_bytes(content)
    for k in range(4):
        (tmp_path / f"{k}.raw").write_bytes(VOXELS[k].tobytes())
    (tmp_path / name).write_bytes(LAYOUTS[name])
    np.testing.assert_array_equal(volume_from_node(read_volume(tmp_path / name)).array, VOXELS)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("ending", FORMATS)
def test_simpleitk_writes_it_with_elements_of_dicom(ending: str, compressed: bool, tmp_path: Path) -> None:
    image = sitk.GetImageFromArray(VOXELS)
    for key, value in (
        ("0008|0060", "CT"),
        ("0020|4000", "a: b = c"),
        ("0010|0010", "Müller^Jörg"),
        ("note", "x" * 999),
    ):
        image.SetMetaData(key, value)
    path = tmp_path / f"ct{ending}"
    sitk.WriteImage(image, path, compressed)
    np.testing.assert_array_equal(volume_from_node(read_volume(path)).array, VOXELS)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("ending", [".mha", ".mhd"])
def test_vtk_writes_it(ending: str, compressed: bool, tmp_path: Path) -> None:
    image = vtk.vtkImageData()
    image.SetDimensions(VOXELS.shape[::-1])
    image.GetPointData().SetScalars(numpy_support.numpy_to_vtk(VOXELS.ravel()))
    path = tmp_path / f"ct{ending}"
    writer = vtk.vtkMetaImageWriter()
    writer.SetInputData(image)
    writer.SetCompression(compressed)
    writer.SetFileName(str(path))
    if ending == ".mhd":
        writer.SetRAWFileName(str(path.with_suffix(".raw")))
    writer.Write()
    np.testing.assert_array_equal(volume_from_node(read_volume(path)).array, VOXELS)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("name", ["uint8", "int8", "uint16", "int32", "int64", "float32", "float64"])
def test_nibabel_writes_it(name: str, ending: str, tmp_path: Path) -> None:
    voxels = (VOXELS % 100).astype(name)
    image = nibabel.Nifti1Image(voxels.T, np.eye(4), dtype=name)
    image.header.extensions.append(Nifti1Extension("comment", b"x" * 999))
    path = tmp_path / f"ct{ending}"
    nibabel.save(image, path)
    np.testing.assert_array_equal(volume_from_node(read_volume(path)).array, voxels)
