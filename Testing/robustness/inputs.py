"""Image files of every kind that people have, by the row of the table that they belong to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk

SHAPE = (20, 48, 60)  # k, j, i
AFFINE = np.diag([-1.5, -2.0, 3.0, 1.0])
WINDOW = (0.0, 255.0)


@dataclass(frozen=True)
class Given:
    """A file, or a folder of DICOM files.

    Attributes:
        mask: (K, J, I) bool, where the bright structure is in the order of the file; None if there is none.
    """

    path: Path
    mask: np.ndarray | None = None


Make = Callable[[Path], Given]
INPUTS: dict[str, list[Make]] = {}


def given(row: str) -> Callable[[Make], Make]:
    """Says for which row a function makes a file in a folder."""

    def note(make: Make) -> Make:
        INPUTS.setdefault(row, []).append(make)
        return make

    return note


def body(shape: tuple[int, int, int] = SHAPE) -> tuple[np.ndarray, np.ndarray]:
    """(K, J, I) int16: a body of 80 with a bar of 200 in the middle half of the slices, and where the bar is."""
    array, mask = np.zeros(shape, np.int16), np.zeros(shape, bool)
    k, j, i = shape
    array[:, j // 12 : -(j // 12), i // 15 : -(i // 15)] = 80
    mask[k // 4 : k - k // 4, j // 3 : j - j // 4, i // 3 : i - i // 3] = True
    array[mask] = 200
    return array, mask


def nifti(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    nibabel.Nifti1Image(array.T, affine).to_filename(path)
    return path


def image(path: Path, array: np.ndarray, *, vector: bool = False, compress: bool = True) -> Path:
    made = sitk.GetImageFromArray(array, isVector=vector)
    made.SetSpacing((1.5, 2.0, 3.0))
    sitk.WriteImage(made, str(path), compress)
    return path


def nrrd(path: Path, array: np.ndarray, directions: str, sizes: str | None = None) -> Path:
    """With a header that no library would write."""
    header = (
        f"NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\n"
        f"sizes: {sizes or ' '.join(map(str, array.shape[::-1]))}\nspace directions: {directions}\n"
        "space origin: (0,0,0)\nencoding: raw\nendian: little\n\n"
    )
    path.write_bytes(header.encode() + array.astype("<i2").tobytes())
    return path


def metaimage(path: Path, array: np.ndarray, spacing: str, matrix: str = "1 0 0 0 1 0 0 0 1") -> Path:
    """With a header that no library would write."""
    header = (
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\nCompressedData = False\n"
        f"TransformMatrix = {matrix}\nOffset = 0 0 0\nElementSpacing = {spacing}\n"
        f"DimSize = {' '.join(map(str, array.shape[::-1]))}\nElementType = MET_SHORT\nElementDataFile = LOCAL\n"
    )
    path.write_bytes(header.encode() + array.astype("<i2").tobytes())
    return path


@given("volume-empty")
def _(folder: Path) -> Given:
    return Given(nrrd(folder / "empty.nrrd", np.empty(0), "(1,0,0) (0,1,0) (0,0,1)", "60 48 0"))


@given("volume-constant")
def _(folder: Path) -> Given:
    return Given(nifti(folder / "constant.nii.gz", np.full(SHAPE, 40, np.int16)))


@given("volume-zero")
def _(folder: Path) -> Given:
    return Given(nifti(folder / "zero.nii.gz", np.zeros(SHAPE, np.int16)))


@given("volume-nan")
def _(folder: Path) -> Given:
    return Given(nifti(folder / "nan.nii.gz", np.full(SHAPE, np.nan, np.float32)))


@given("volume-some-nan")
def _(folder: Path) -> Given:
    array, mask = body()
    return Given(nifti(folder / "some-nan.nii.gz", np.where(array == 0, np.nan, array).astype(np.float32)), mask)


@given("volume-inf")
def _(folder: Path) -> Given:
    array, mask = body()
    array = array.astype(np.float32)
    array[:, :2], array[:, -2:] = np.inf, -np.inf
    return Given(nifti(folder / "inf.nii.gz", array), mask)


@given("volume-one-slice")
def _(folder: Path) -> Given:
    array, mask = body()
    return Given(image(folder / "slice.nrrd", array[10:11]), mask[10:11])


@given("volume-one-slice")
def _(folder: Path) -> Given:
    array, mask = body()
    return Given(image(folder / "flat.nrrd", array[10]), mask[10:11])


@given("volume-one-voxel")
def _(folder: Path) -> Given:
    return Given(nifti(folder / "voxel.nii.gz", np.full((1, 1, 1), 40, np.int16)))


@given("volume-1x1xn")
def _(folder: Path) -> Given:
    return Given(nifti(folder / "line.nii.gz", np.arange(30, dtype=np.int16).reshape(30, 1, 1)))


@given("volume-thin")
def _(folder: Path) -> Given:
    array, mask = body()
    middle = slice(array.shape[1] // 2, array.shape[1] // 2 + 1)
    return Given(nifti(folder / "thin.nii.gz", array[:, middle]), mask[:, middle])


@given("volume-large-slice")
def _(folder: Path) -> Given:
    array, mask = body((1, 4096, 4096))
    mask[0, 1365:3072, 1365:2731] = True
    array[mask] = 200
    return Given(image(folder / "large.nrrd", array), mask)


@given("volume-many-slices")
def _(folder: Path) -> Given:
    array, mask = body((2000, 48, 60))
    return Given(image(folder / "many.nrrd", array), mask)


def _typed(name: str) -> None:
    @given(f"type-{name}")
    def _(folder: Path) -> Given:
        array, mask = body()
        return Given(nifti(folder / f"{name}.nii.gz", array.astype(name)), mask)

    @given(f"type-{name}")
    def _(folder: Path) -> Given:
        array, mask = body()
        return Given(image(folder / f"{name}.nrrd", array.astype(name)), mask)

    @given(f"type-{name}")
    def _(folder: Path) -> Given:
        array, mask = body()
        return Given(image(folder / f"{name}.mha", array.astype(name)), mask)


for each in ("uint8", "int16", "uint16", "int32", "float32", "float64"):
    _typed(each)


@given("type-complex")
def _(folder: Path) -> Given:
    return Given(nifti(folder / "complex.nii.gz", np.zeros(SHAPE, np.complex64)))


@given("type-rgb")
def _(folder: Path) -> Given:
    array, mask = body()
    return Given(image(folder / "rgb.nrrd", np.stack([array] * 3, axis=-1).astype(np.uint8), vector=True), mask)


@given("type-rgba")
def _(folder: Path) -> Given:
    array, mask = body()
    return Given(image(folder / "rgba.nii.gz", np.stack([array] * 4, axis=-1).astype(np.uint8), vector=True), mask)


@given("type-vector")
def _(folder: Path) -> Given:
    return Given(image(folder / "vector.mha", np.zeros((*SHAPE, 3), np.float32), vector=True))


@given("type-sequence")
def _(folder: Path) -> Given:
    array, mask = body()
    return Given(nifti(folder / "sequence.nii.gz", np.stack([array, 0 * array, 0 * array])), mask)


@given("spacing-zero")
def _(folder: Path) -> Given:
    return Given(nrrd(folder / "zero.nrrd", body()[0], "(0,0,0) (0,2,0) (0,0,3)"))


@given("spacing-zero")
def _(folder: Path) -> Given:
    return Given(metaimage(folder / "zero.mha", body()[0], "0 2 3"))


@given("spacing-missing")
def _(folder: Path) -> Given:
    array, mask = body()
    made = nibabel.Nifti1Image(array.T, None)
    made.header["pixdim"][1:4] = 0, 2, 3
    made.to_filename(folder / "zero.nii.gz")
    return Given(folder / "zero.nii.gz", mask)


@given("spacing-negative")
def _(folder: Path) -> Given:
    array, mask = body()
    return Given(metaimage(folder / "negative.mha", array, "1.5 -2 3"), mask)


@given("spacing-negative")
def _(folder: Path) -> Given:
    array, mask = body()
    made = nibabel.Nifti1Image(array.T, None)
    made.header["pixdim"][1:4] = -1.5, 2, 3
    made.to_filename(folder / "negative.nii")
    return Given(folder / "negative.nii", mask)


@given("spacing-tiny")
def _(folder: Path) -> Given:
    array, mask = body()
    return Given(nifti(folder / "tiny.nii.gz", array, np.diag([-1e-6, -1e-6, 1e-6, 1])), mask)


@given("spacing-anisotropic")
def _(folder: Path) -> Given:
    array, mask = body()
    return Given(nifti(folder / "anisotropic.nii.gz", array, np.diag([-0.2, -1.5, 30, 1])), mask)


@given("direction-oblique")
def _(folder: Path) -> Given:
    array, mask = body()
    a, b = 0.4, 0.3
    first = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    second = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    matrix = np.eye(4)
    matrix[:3, :3] = first @ second @ AFFINE[:3, :3]
    return Given(nifti(folder / "oblique.nii.gz", array, matrix), mask)


@given("direction-left-handed")
def _(folder: Path) -> Given:
    array, mask = body()
    array[:3], mask[:3] = 200, True  # told from its mirror image
    array[-3:] = 0
    return Given(nifti(folder / "left-handed.nii.gz", array, np.diag([-1.5, -2.0, -3.0, 1.0])), mask)


@given("direction-singular")
def _(folder: Path) -> Given:
    return Given(nrrd(folder / "singular.nrrd", body()[0], "(1,0,0) (2,0,0) (0,0,3)"))


@given("direction-singular")
def _(folder: Path) -> Given:
    return Given(metaimage(folder / "singular.mha", body()[0], "1 2 3", "1 0 0 1 0 0 0 0 1"))


@given("direction-sheared")
def _(folder: Path) -> Given:
    affine = np.array([[1.0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 3, 0], [0, 0, 0, 1]])
    return Given(nifti(folder / "sheared.nii.gz", body()[0], affine))


def _cut(row: str, name: str, bytes_short: int) -> None:
    @given(row)
    def _(folder: Path) -> Given:
        noise = np.random.default_rng(0).integers(-1000, 1000, SHAPE).astype(np.int16)
        path = image(folder / name, noise, compress="packed" in name or name.endswith(".gz"))
        path.write_bytes(path.read_bytes()[:-bytes_short])
        return Given(path)


for short in (1, 20_000):
    _cut("file-cut-nrrd", f"raw-{short}.nrrd", short)
    _cut("file-cut-nrrd", f"packed-{short}.nrrd", short)
    _cut("file-cut-nrrd", f"raw-{short}.mha", short)
    _cut("file-cut-nrrd", f"packed-{short}.mha", short)
    _cut("file-cut-nifti", f"raw-{short}.nii", short)
    _cut("file-cut-nifti", f"packed-{short}.nii.gz", short)


def _text(ending: str) -> None:
    @given("file-other-kind")
    def _(folder: Path) -> Given:
        (folder / f"text{ending}").write_text("no image")
        return Given(folder / f"text{ending}")


for each in (".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd"):
    _text(each)
