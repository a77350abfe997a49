"""Damaged and lying NRRD, MetaImage, NIfTI and segmentation files, and each that once broke their readers."""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path
from random import Random

import numpy as np
import pytest
import slicer

from MedCLIPSAMLib.cli.labels import read_segments
from MedCLIPSAMLib.engine.volume import Volume
from MedCLIPSAMLib.scene.segmentation.report import report_of
from MedCLIPSAMLib.scene.volumes import node_from_volume

from .checks import check_header
from .damaged.images import VOXELS, metaimage, nifti, nifti_header, nrrd
from .images import read_apart
from .search.apart import apart

pytestmark = pytest.mark.row("fuzz-readers")

RAW = VOXELS.tobytes()
NO_IMAGE, CUT, NO_FILE = "cannot be read as the image", "is damaged or cut off", "no file there"


@pytest.mark.parametrize("make", [nrrd, metaimage, nifti])
def test_damaged_headers(make, tmp_path: Path) -> None:
    for number in range(150):
        case = make(Random(number))
        case.write(tmp_path)
        check_header(tmp_path / case.opened, case.files[case.opened])


def nrrd_header(*fields: str, encoding: str = "raw", sizes: str = "6 5 4", dimension: str = "3") -> bytes:
    """Up to the voxels; a field that is given takes the place of the usual one."""
    usual = {
        "type": "type: short",
        "dimension": f"dimension: {dimension}",
        "sizes": f"sizes: {sizes}",
        "encoding": f"encoding: {encoding}",
        "endian": "endian: little",
        "space": "space: left-posterior-superior",
        "space directions": "space directions: (1,0,0) (0,1,0) (0,0,1)",
    }
    given = {field.partition(":")[0]: field for field in fields}
    return "\n".join(["NRRD0005", *(usual | given).values(), "\n"]).encode()


def metaimage_header(data: str = "LOCAL", **fields: object) -> bytes:
    """Up to the voxels; a field that is given takes the place of the usual one."""
    usual = {"ObjectType": "Image", "NDims": 3, "BinaryData": True, "DimSize": "6 5 4", "ElementType": "MET_SHORT"}
    lines = [f"{name} = {value}\n" for name, value in (usual | fields).items()]
    return "".join([*lines, f"ElementDataFile = {data}\n"]).encode()


def packed(**fields: object) -> bytes:
    return metaimage_header("LOCAL", CompressedData=True, **fields)


HUGE = "100000 100000 100"
Z = zlib.compress(RAW)
FOUND: list[tuple[str, bytes, str]] = [
    # Claims that were believed: gigabytes were asked for before a byte was read.
    ("raw.nrrd", nrrd_header(sizes=HUGE) + RAW, CUT),
    ("gzip.nrrd", nrrd_header(sizes=HUGE, encoding="gzip") + gzip.compress(RAW), CUT),
    ("ascii.nrrd", nrrd_header(sizes=HUGE, encoding="ascii") + b"1 2 3", CUT),
    ("hex.nrrd", nrrd_header(sizes=HUGE, encoding="hex") + RAW.hex().encode(), CUT),
    ("overflow.nrrd", nrrd_header(sizes="4294967296 4294967296 4") + RAW, CUT),
    ("skip.nrrd", nrrd_header("byte skip: 4000000000") + RAW, CUT),
    ("lines.nrrd", nrrd_header("line skip: 4000000000") + RAW, NO_IMAGE),
    ("raw.mha", metaimage_header(DimSize=HUGE) + RAW, CUT),
    ("channels.mha", metaimage_header(ElementNumberOfChannels=1_000_000_000) + RAW, CUT),
    ("packed.mha", packed(DimSize=HUGE, CompressedDataSize=len(Z)) + Z, CUT),
    ("packed-size.mha", packed(CompressedDataSize=10**12) + Z, CUT),
    ("sizes.nii", nifti_header(dim1=32767, dim2=32767, dim3=1000) + RAW, CUT),
    ("offset.nii", nifti_header(vox_offset=3e38) + RAW, CUT),
    # One byte short, which was read, with chance in its place.
    ("short.nrrd", nrrd_header() + RAW[:-1], CUT),
    ("short-gzip.nrrd", nrrd_header(encoding="gzip") + gzip.compress(RAW)[:-1], CUT),
    ("short-inside.nrrd", nrrd_header(encoding="gzip") + gzip.compress(RAW[:-1]), CUT),
    ("short.mha", metaimage_header() + RAW[:-1], CUT),
    ("short-packed.mha", packed(CompressedDataSize=len(Z)) + Z[:-1], CUT),
    ("short-size.mha", packed(CompressedDataSize=len(Z) - 1) + Z, CUT),
    ("short.nii", nifti_header() + RAW[:-1], CUT),
    ("short.nii.gz", gzip.compress(nifti_header() + RAW)[:-1], CUT),
    # What ITK read as something else: the header as voxels, or compressed bytes as they are.
    ("no-size.mha", packed() + Z, NO_IMAGE),
    ("inside.mha", metaimage_header(HeaderSize=4) + b"junk" + RAW, NO_IMAGE),
    ("other-data.nii", nifti_header(magic=b"ni1\0") + RAW, NO_IMAGE),
    ("analyze.nii", nifti_header(magic=b"\0\0\0\0") + RAW, NO_IMAGE),
    # What ended the process.
    ("axes.mha", metaimage_header(NDims=10**12) + RAW, NO_IMAGE),
    ("eleven.mha", metaimage_header(NDims=11, DimSize="6 5 4 1 1 1 1 1 1 1 1") + RAW, NO_IMAGE),
    ("long.nrrd", nrrd_header(f"kinds: {'(' * 1100}") + RAW, NO_IMAGE),
    ("long-line.nrrd", nrrd_header("x" * 1100) + RAW, NO_IMAGE),
    ("format.mhd", metaimage_header("%s%s%n 0 3 1"), NO_IMAGE),
    ("order.nii", nifti_header(">", dim0=256) + VOXELS.astype(">i2").tobytes(), NO_IMAGE),
    # What never ended.
    ("zero.nhdr", nrrd_header("data file: /dev/zero", encoding="ascii"), NO_FILE),
    ("zero.mhd", metaimage_header("/dev/zero"), NO_FILE),
    ("pipe.nhdr", nrrd_header("data file: pipe"), NO_FILE),
    ("pipe.mhd", metaimage_header("pipe"), NO_FILE),
    ("input.nhdr", nrrd_header("data file: -"), NO_IMAGE),
    ("infinite.nii", nifti_header(srow9=float("inf")) + RAW, "is no number of mm"),
    ("large.nii", nifti_header(srow0=3e38) + RAW, "is no number of mm"),
    # Other exceptions than ours.
    ("nan-offset.nii", nifti_header(vox_offset=float("nan")) + RAW[:-1], CUT),
    ("infinite-offset.nii", nifti_header(vox_offset=float("inf")) + RAW, CUT),
    ("empty.nii", b"", NO_IMAGE),
    ("short-header.nii", nifti_header()[:100], NO_IMAGE),
    ("empty.nrrd", b"", NO_IMAGE),
    ("empty.mha", b"", NO_IMAGE),
    # Data files which are not there, or too few of them.
    ("missing.nhdr", nrrd_header("data file: missing.raw"), NO_FILE),
    ("delete.nhdr", nrrd_header("data file: a\x7f"), NO_IMAGE),
    ("missing.mhd", metaimage_header("missing.raw"), NO_FILE),
    ("few.nhdr", nrrd_header("data file: LIST")[:-1] + b"data.raw\n", NO_IMAGE),
    ("few.mhd", metaimage_header("LIST") + b"data.raw\n", NO_IMAGE),
    ("many.mhd", metaimage_header("data%d.raw 0 4000000000 1"), NO_IMAGE),
    ("short.nhdr", nrrd_header("data file: short.raw"), f"{CUT} in 'short.raw'"),
    ("short.mhd", metaimage_header("short.raw"), f"{CUT} in 'short.raw'"),
    # Read, and left in the scene, where nothing could be done with it.
    ("nan.mha", metaimage_header(Offset="nan 0 0") + RAW, "is no number of mm"),
    ("size.mha", metaimage_header(ElementSpacing="1e300 1 1") + RAW, "is no number of mm"),
    ("size.nrrd", nrrd_header("space directions: (1e200,0,0) (0,1,0) (0,0,1)") + RAW, "is no number of mm"),
    ("nan.nii", nifti_header(sform_code=0, qform_code=1, quatern3=float("nan")) + RAW, "is no number of mm"),
]


@pytest.mark.parametrize(("name", "content", "said"), FOUND, ids=[name for name, _, _ in FOUND])
def test_what_once_broke_a_reader_is_one_sentence(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    (tmp_path / "data.raw").write_bytes(RAW)
    (tmp_path / "short.raw").write_bytes(RAW[:-1])
    os.mkfifo(tmp_path / "pipe")
    answer = read_apart(tmp_path / name)
    assert said in answer
    assert answer.startswith("InputError: ")


def test_a_pipe_is_no_image(tmp_path: Path) -> None:
    for name in ("pipe.nrrd", "pipe.dcm"):
        os.mkfifo(tmp_path / name)
        assert "is a pipe or a device" in read_apart(tmp_path / name)


# --- segmentations ---

KEYS = {"Segment0_ID": "A", "Segment0_Name": "a", "Segment0_Extent": "0 5 0 4 0 3", "Segment0_LabelValue": "1"}
KEYS |= {"Segment0_Layer": "0", "Segment0_Tags": "a:b|", "Segmentation_MasterRepresentation": "Binary labelmap"}


def segments(*fields: str, **keys: str) -> bytes:
    lines = "".join(f"{key}:={value}\n" for key, value in (KEYS | keys).items())
    header = nrrd_header("type: unsigned char", *fields, encoding="gzip")[:-1]
    return header + lines.encode("utf-8", "surrogateescape") + b"\n" + gzip.compress(np.ones(120, np.uint8).tobytes())


def test_a_segment_without_voxels_is_empty(tmp_path: Path) -> None:
    """3D Slicer itself fails at the second one, which has nothing where it says that it is."""
    layers = np.zeros((4, 5, 6, 2), np.uint8)
    layers[1:3, 1:4, 1:5, 0], layers[2, 2, :, 1] = 1, 2
    second = {"ID": "B", "Name": "b", "Extent": "0 5 2 2 2 2", "LabelValue": "2", "Layer": "1"}
    keys = KEYS | {f"Segment1_{key}": value for key, value in second.items()}
    keys |= {"Segment0_Extent": "1 4 1 3 1 2", "Segmentation_ReferenceImageExtentOffset": "3 0 0"}
    fields = ("type: unsigned char", "space directions: none (1,0,0) (0,1,0) (0,0,1)", "space origin: (0,0,0)")
    header = nrrd_header(*fields, "kinds: list domain domain domain", encoding="gzip", sizes="2 6 4 4", dimension="4")
    path = tmp_path / "a.seg.nrrd"
    lines = "".join(f"{key}:={value}\n" for key, value in keys.items())
    path.write_bytes(header[:-1] + lines.encode() + b"\n" + gzip.compress(layers.tobytes()))
    grid = node_from_volume(Volume(VOXELS, np.diag([-1.0, -1, 1, 1]), "CT", "grid"))
    masks = read_segments(path, grid, {})
    assert masks["a"].any()
    assert masks["b"].shape == VOXELS.shape
    assert not masks["b"].any()


@pytest.mark.parametrize(
    "content",
    [
        segments("kinds: x"),  # what the reader of NRRD raises ended the process
        segments("space origin: (1,2)"),
        segments(f"x: {'[' * 1100}"),
        segments(Segment0_Extent="0 1000000 0 1000000 0 3"),
        segments(Segment0_Extent="0 99999999999 0 4 0 3"),
        segments(Segmentation_ReferenceImageExtentOffset="99999999999 0 0"),
        segments(Segment0_Name="\udcff"),
    ],
)
def test_damaged_segmentations_are_one_sentence(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.seg.nrrd"
    path.write_bytes(content)
    grid = node_from_volume(Volume(VOXELS, np.eye(4), "CT", "grid"))
    assert "is no segmentation, or damaged" in apart(lambda: read_segments(path, grid, {}))


@pytest.mark.parametrize("tags", ["MedCLIPSAM.settings:" + "[" * 100_000, "MedCLIPSAM.searched:[0]"])
def test_a_report_is_made_whatever_the_tags_are(tags: str, tmp_path: Path) -> None:
    path = tmp_path / "a.seg.nrrd"
    path.write_bytes(segments(Segment0_Tags=f"{tags}|"))
    read_segments(path, node_from_volume(Volume(VOXELS, np.eye(4), "CT", "grid")), {})
    (node,) = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    assert "not made by MedCLIP-SAM" in report_of(node)
