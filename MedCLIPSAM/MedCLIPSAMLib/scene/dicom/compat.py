"""What pydicom 2.4, which 3D Slicer 5.10 ships, and pydicom 3 of newer ones give different names, or one name twice."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import signature
from pathlib import Path

from pydicom import Dataset, dcmwrite, encaps
from pydicom.uid import UID

try:
    from pydicom.pixels.processing import apply_modality_lut as apply_modality_lut
    from pydicom.pixels.processing import apply_voi_lut as apply_voi_lut
except ImportError:
    from pydicom.pixel_data_handlers.util import apply_modality_lut as apply_modality_lut
    from pydicom.pixel_data_handlers.util import apply_voi_lut as apply_voi_lut

JPEGLossless = UID("1.2.840.10008.1.2.4.57")  # under this name pydicom 2.4 has the UID of JPEGLosslessSV1


def frames(pixel_data: bytes, count: int) -> Iterator[bytes]:
    """The compressed frames of an encapsulated image, one at a time.

    Args:
        pixel_data: value of the element Pixel Data (7FE0,0010).
        count: of frames that the image has; needed where the table of their places is empty.
    """
    if hasattr(encaps, "generate_frames"):
        return encaps.generate_frames(pixel_data, number_of_frames=count)
    return encaps.generate_pixel_data_frame(pixel_data, count)


def write(dataset: Dataset, path: Path) -> None:
    """Writes a file with preamble, encoded as the transfer syntax of its file_meta says."""
    if "enforce_file_format" in signature(dcmwrite).parameters:
        dataset.save_as(path, enforce_file_format=True)
        return
    syntax = dataset.file_meta.TransferSyntaxUID
    dataset.is_little_endian, dataset.is_implicit_VR = syntax.is_little_endian, syntax.is_implicit_VR
    dataset.save_as(path, write_like_original=False)
