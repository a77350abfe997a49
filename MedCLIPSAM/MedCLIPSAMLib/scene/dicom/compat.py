"""What pydicom 2.4, which 3D Slicer 5.10 ships, and pydicom 3 of newer ones give different names, or one name twice."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom import encaps
from pydicom.uid import UID

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
