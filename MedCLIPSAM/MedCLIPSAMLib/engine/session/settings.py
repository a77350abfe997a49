"""What the user may choose about a run; everything else follows from the models."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ..published import PUBLISHED
from ..volume import Axis, Window


@dataclass(frozen=True)
class Settings:
    """Choices of one session. None leaves the choice to what the model recommends.

    Attributes:
        axis: along which the volume is cut into slices, see `SliceStack`.
        window: intensities shown to the models.
        saliency: method by its registry name.
        layer, beta, steps, noise_samples, seed: of M2IB; the published ones if ``exact``, else steps and samples of
            `m2ib.QUICK`. Other methods take some of them, see `SaliencyMethod.options`.
        localize: binarizer by its registry name.
        voting: None asks the segmenter for one mask; else it gives several, combined as named in `sam.voting`.
        slicewise: every slice for itself, as published: a box on every slice, absent or not.
        precision: number format of the large networks, see `precision.pick_precision`.
        exact: saliency and localisation exactly as published, on whole slices, in float32 unless ``precision`` says
            otherwise: M2IB with its noise stream if no method is chosen, or a class activation map at the layer of
            the first MedCLIP-SAM; K-means; a box on every slice, absent or not.
    """

    axis: Axis = "auto"
    window: Window | None = None
    saliency: str | None = None
    layer: int | None = None
    beta: float | None = None
    steps: int | None = None
    noise_samples: int | None = None
    seed: int = PUBLISHED.seed
    localize: str | None = None
    voting: str | None = None
    precision: str = "auto"
    slicewise: bool = False
    exact: bool = False

    @property
    def judges_presence(self) -> bool:
        """Whether slices without the structure are left out; as published, every slice gets a box, absent or not."""
        return not (self.slicewise or self.exact)

    def saliency_for(self, recommended: str) -> str:
        """Name of the saliency method that runs with a model that recommends ``recommended``."""
        return self.saliency or ("m2ib" if self.exact else recommended)

    def as_dict(self) -> dict[str, Any]:
        """For reports and provenance; choices left to the model are left out."""
        return {name: value for name, value in asdict(self).items() if value is not None}
