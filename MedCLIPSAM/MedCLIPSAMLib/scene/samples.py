"""Volumes of 3D Slicer's own sample data that the tutorial is about, offered beside the module's name, too."""

from __future__ import annotations

from dataclasses import dataclass

import slicer

from ..engine.files.resources import resource


@dataclass(frozen=True)
class Sample:
    """A file of 3D Slicer's testing data, which is found there by its checksum.

    Attributes:
        sha256: of the file.
        node: name of the volume in the scene.
    """

    name: str
    file: str
    node: str
    sha256: str


SAMPLES = (
    # Donated by the person in it, to be used without any restrictions.
    Sample("HeadMR", "MR-head.nrrd", "MRHead", "cc211f0dfd9a05ca3841ce1141b292898b2dd2d3f08286affadf823a7e58df93"),
    # Medical Segmentation Decathlon, CC-BY-SA 4.0.
    Sample("LiverCT", "CTLiver.nrrd", "CTLiver", "e16eae0ae6fefa858c5c11e58f0f1bb81834d81b7102e021571056324ef6f37e"),
)


def register_samples() -> None:
    """Shows them in the module Sample Data; a file is downloaded when the user clicks it."""
    import SampleData  # pyright: ignore[reportMissingImports]

    for sample in SAMPLES:
        SampleData.SampleDataLogic.registerCustomSampleDataSource(
            category="MedCLIP-SAM",
            sampleName=sample.name,
            uris=f"{slicer.util.TESTING_DATA_URL}SHA256/{sample.sha256}",
            fileNames=sample.file,
            nodeNames=sample.node,
            checksums=f"SHA256:{sample.sha256}",
            thumbnailFileName=str(resource("Icons/MedCLIPSAM.png")),
        )
