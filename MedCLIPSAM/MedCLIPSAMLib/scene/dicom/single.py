"""Frames of multi-frame files as files of their own, which 3D Slicer's reader takes for slices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pydicom import DataElement, Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from .compat import write
from .headers import copy_elements, number_of
from .images import PLAIN, Image, streams_of
from .slices import Slice

# Of the file: how its pixels are stored. Of the frame: what they mean.
PIXELS = (
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    *(
        f"{colour}PaletteColorLookupTable{part}"
        for colour in ("Red", "Green", "Blue")
        for part in ("Descriptor", "Data")
    ),
)
_MEANING = ("RescaleIntercept", "RescaleSlope")
_SYNTAXES = {"": ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian: ExplicitVRLittleEndian}
_PIXEL_DATA = 0x7FE00010


def write_frames(slices: Sequence[Slice], folder: Path) -> tuple[Path, ...]:
    """One file for each slice, in their order: its own, where it is alone there, else a new one in a folder.

    Compressed pixels stay compressed.

    Raises:
        OSError: there is no room for them.
    """
    files: list[Path] = [slice_.image.file for slice_ in slices]
    for image in dict.fromkeys(slice_.image for slice_ in slices if slice_.frame is not None):
        wanted = {slice_.frame: number for number, slice_ in enumerate(slices) if slice_.image is image}
        for frame, pixels in enumerate(_pixels(image)):
            if frame in wanted:
                number = wanted[frame]
                files[number] = folder / f"{number:06}.dcm"
                write(_dataset(slices[number], pixels), files[number])
    return tuple(files)


def _pixels(image: Image) -> Iterator[bytes]:
    """What each frame has as its pixels, in order."""
    if image.syntax not in PLAIN:
        yield from (encapsulate([stream]) for stream in streams_of(image))
        return
    pixels = dcmread(image.file, force=True).PixelData
    length = int(image.bytes_of_frame)
    for frame in range(image.frames):
        part = pixels[frame * length : (frame + 1) * length]
        yield part + bytes(len(part) % 2)  # elements are of even length


def _dataset(slice_: Slice, pixels: bytes) -> Dataset:
    image = slice_.image
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = UID(_SYNTAXES.get(image.syntax, image.syntax))
    # GDCM applies a rescale to CT, and to few others.
    kind = CTImageStorage if number_of(image.header, "SamplesPerPixel", 1) == 1 else SecondaryCaptureImageStorage
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = kind
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    for header, names in ((image.header, PIXELS), (slice_.header, _MEANING)):
        copy_elements(header, names, made)
    made.add(DataElement(_PIXEL_DATA, "OB" if image.syntax not in PLAIN else "OW", pixels))
    made[_PIXEL_DATA].is_undefined_length = image.syntax not in PLAIN
    return made
