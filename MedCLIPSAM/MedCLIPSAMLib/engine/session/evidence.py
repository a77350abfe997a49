"""Results of the chain, with everything that led to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..volume import Frame


@dataclass(frozen=True)
class Progress:
    """How far a run is: ``done`` of ``total`` slices of ``stage`` ("presence", "saliency" or "mask").

    Of slices in all variants together, where the stage is "uncertainty"; of bytes, where the stage is "download".

    Attributes:
        moved: a model had to go to the CPU, which is slower: its own device is full, or gone.
    """

    prompt: str
    stage: str
    done: int
    total: int
    moved: bool = False


def verdict(found: bool, judged: bool) -> str:
    """What is said to people: a mask that the settings have forced is no finding."""
    if not judged:
        return "presence not judged"
    return "found" if found else "not found"


def heat_map(saliency: np.ndarray, frame: Frame, shape: tuple[int, ...], *, absolute: bool) -> np.ndarray:
    """(S, S) saliency -> (H, W) float32 in 0..1 on the pixels of a slice, 0 outside the frame.

    Args:
        absolute: it is in 0..1 and can be compared between slices; else it is stretched.
    """
    low, high = (0.0, 1.0) if absolute else (saliency.min(), saliency.max())
    stretched = (saliency - low) / max(high - low, np.finfo(np.float32).tiny)
    return np.clip(frame.restore(stretched, shape), 0, 1)


@dataclass(frozen=True)
class SliceEvidence:
    """One prompt on one slice of H x W pixels.

    Attributes:
        index: number of the slice in its stack.
        saliency: (S, S) float32 on ``frame``, in the unit of the method.
        frame: where on the slice the saliency is.
        score: presence in 0..1, comparable between slices.
        clues: evidence for it by name; see `presence.image_clues` and `presence.map_clues`.
        found: whether the structure is held to be on this slice: whether there is a mask.
        judged: whether anything was asked about that; False where the settings force a mask, see `Settings`.
        boxes: (B, 4) float x0, y0, x1, y1 of its edges; 0 is the left edge of the first pixel, 1 its right.
        mask: (H, W) bool.
        segmenter_scores: (B,) what the segmenter thinks of its mask for each box.
        taken_for: the term of the model's vocabulary that the prompt means, "" if it is near none: the model was not
            trained to find it. None for a model without a vocabulary.
        saliency_method: what was used.
        absolute: the saliency is in 0..1 and can be compared between slices.
        edited: a person changed boxes or points.
        reliability: how well the model was found to do on such a structure, in words; "" where that is not known.
        seconds: time by stage.
    """

    index: int
    saliency: np.ndarray
    frame: Frame
    score: float
    clues: dict[str, float]
    found: bool
    boxes: np.ndarray
    mask: np.ndarray
    segmenter_scores: np.ndarray
    taken_for: str | None
    saliency_method: str
    absolute: bool
    judged: bool = True
    edited: bool = False
    reliability: str = ""
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """For people, as of `verdict`."""
        return verdict(self.found, self.judged)

    def heat_map(self) -> np.ndarray:
        """(H, W) float32 in 0..1 on the pixels of the slice; see `heat_map`."""
        return heat_map(self.saliency, self.frame, self.mask.shape, absolute=self.absolute)


@dataclass(frozen=True)
class SliceSummary:
    """What remains of a slice after a run over the volume; fields as in `SliceEvidence`.

    Attributes:
        segmenter_score: mean over the boxes; None where the segmenter did not run.
    """

    index: int
    score: float
    clues: dict[str, float]
    found: bool
    boxes: np.ndarray
    segmenter_score: float | None
    edited: bool
    judged: bool = True

    @property
    def verdict(self) -> str:
        """For people, as of `verdict`."""
        return verdict(self.found, self.judged)


@dataclass(frozen=True)
class SegmentEvidence:
    """One prompt on a volume.

    Attributes:
        mask: (K, J, I) bool, in the order of the volume's array.
        slices: one summary for each slice of the run.
        taken_for, reliability: as in `SliceEvidence`.
        saliency_method, localizer: what was used.
        seconds: time by stage.
    """

    name: str
    mask: np.ndarray
    slices: tuple[SliceSummary, ...]
    taken_for: str | None
    saliency_method: str
    localizer: str
    seconds: dict[str, float]
    reliability: str = ""

    @property
    def found(self) -> bool:
        """Whether the structure was found on any slice."""
        return any(part.found for part in self.slices)

    @property
    def judged(self) -> bool:
        """Whether it was asked on every slice if the structure is there."""
        return all(part.judged for part in self.slices)

    @property
    def summary(self) -> dict[str, Any]:
        """JSON-ready account of the run, without the mask; what was not judged is None."""
        return {
            "name": self.name,
            "taken_for": self.taken_for,
            "reliability": self.reliability,
            "judged": self.judged,
            "found": self.found if self.judged else None,
            "slices_found": sum(part.found for part in self.slices) if self.judged else None,
            "slices_with_mask": sum(part.found for part in self.slices),
            "slices_searched": len(self.slices),
            "voxels": int(np.count_nonzero(self.mask)),
            "saliency": self.saliency_method,
            "localize": self.localizer,
            "seconds": {stage: round(value, 3) for stage, value in self.seconds.items()},
            "slices": [
                {
                    "index": part.index,
                    "score": round(part.score, 4),
                    "clues": {name: round(value, 4) for name, value in part.clues.items()},
                    "found": part.found if part.judged else None,
                    "boxes": np.round(part.boxes, 1).tolist(),
                    "segmenter_score": None if part.segmenter_score is None else round(part.segmenter_score, 4),
                    "edited": part.edited,
                }
                for part in self.slices
            ],
        }
