"""Damaged pictures: a sentence or a picture, and nothing else."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from random import Random

import numpy as np
import pytest
from PIL import Image

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.scene.pictures import read_numbers, read_picture

from .checks import check_message
from .damaged.images import damaged_bytes

pytestmark = pytest.mark.row("fuzz-pictures")

COLOURS = np.random.default_rng(0).integers(0, 255, (13, 17, 3), np.uint8)
GREY = COLOURS[..., 0]
TURNED = Image.Exif()
TURNED[274] = 6  # its orientation
CASES = 200  # of each kind


def stored(array: np.ndarray, kind: str, **options: object) -> bytes:
    stream = BytesIO()
    Image.fromarray(array).save(stream, kind, **options)  # type: ignore[arg-type]
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.png", stored(COLOURS, "PNG", exif=TURNED, dpi=(60.3, 70.1))),
        ("b.png", stored(GREY.astype(np.uint16) * 200, "PNG")),
        ("a.jpg", stored(COLOURS, "JPEG", exif=TURNED)),
        ("a.bmp", stored(COLOURS, "BMP")),
        ("a.tif", stored(GREY.astype(np.uint16) * 200, "TIFF", exif=TURNED)),
        ("b.tif", stored(COLOURS, "TIFF", compression="tiff_lzw")),
        ("c.tif", stored(GREY, "TIFF", save_all=True, append_images=[Image.fromarray(GREY)])),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_damaged_pictures(name: str, content: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    read = 0
    for number in range(CASES):
        (tmp_path / name).write_bytes(damaged_bytes(Random(number), content))
        for reader in (read_picture, read_numbers):
            try:
                seen = reader(tmp_path / name)
            except InputError as error:
                check_message(error)
            else:
                pixels = seen if isinstance(seen, np.ndarray) else seen.pixels
                assert pixels.ndim == 2
                assert pixels.dtype.kind in "uif"
                read += 1
    assert 0 < read < 2 * CASES, "nothing was damaged, or all of it beyond reading"
    assert capfd.readouterr().err == ""
