"""One run: prompts on a volume node become segments of a segmentation node, each with its provenance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..engine.errors import InputError
from ..engine.evidence import Progress, SegmentEvidence, SliceSummary
from ..engine.prompt import Prompt, PromptSet
from ..engine.volume import SliceStack, Volume
from .provenance import ModelUse, Provenance
from .segments import check_target, find_segment, read_segment, write_segment

if TYPE_CHECKING:
    from ..engine.session import Session

_STAGES = {"presence": (0.0, 0.1), "saliency": (0.1, 0.5), "mask": (0.5, 1.0)}  # start and end of each, roughly


@dataclass(frozen=True)
class RunProgress:
    """How far a run is: `step` of prompt `number` (from 1) of `prompts`."""

    number: int
    prompts: int
    step: Progress

    @property
    def fraction(self) -> float:
        """0 to 1 over all prompts and stages."""
        start, end = _STAGES[self.step.stage]
        in_prompt = start + (end - start) * self.step.done / max(1, self.step.total)
        return (self.number - 1 + in_prompt) / self.prompts


@dataclass(frozen=True)
class Result:
    """The segment of one prompt, and what led to it; its voxels are in the scene only, for `read_segment`.

    Attributes:
        slices: one summary for each slice that was searched.
        summary: account of the run that JSON can hold; see `SegmentEvidence.summary`.
    """

    prompt: Prompt
    segment_id: str
    slices: tuple[SliceSummary, ...]
    summary: dict[str, Any]

    @property
    def found(self) -> bool:
        """Whether the structure was found on any slice."""
        return any(part.found for part in self.slices)


def run(
    session: Session,
    volume_node: Any,
    prompts: PromptSet,
    segmentation_node: Any,
    *,
    slices: Sequence[int] | None = None,
    progress: Callable[[RunProgress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> list[Result]:
    """Segment each prompt and write it as soon as it is done.

    A segment that an earlier run made for a prompt of the same name is replaced on the slices of this run, unless
    somebody changed it: then, and for all else, there is a new segment. A prompt that is not found leaves an empty
    segment, tagged so.

    Args:
        session: opened on `volume_from_node(volume_node)`.
        volume_node, segmentation_node: where the masks come from and go.
        slices, cancelled: as for `Session.segment`.
        progress: called every few slices.

    Raises:
        InputError: no prompts, one that the session refuses, a segmentation that `check_target` refuses, or a
            node was removed meanwhile.
        Cancelled: `cancelled` said so; segments of earlier prompts stay.
    """
    if not len(prompts):
        raise InputError("There is no prompt; type what to segment.")
    check_target(segmentation_node, volume_node)
    results = []
    for number, prompt in enumerate(prompts, start=1):

        def report(step: Progress, number: int = number) -> None:
            if progress is not None:
                progress(RunProgress(number, len(prompts), step))

        evidence = session.segment(prompt, slices, report, cancelled)
        for node in (volume_node, segmentation_node):
            if node.GetScene() is None:
                raise InputError(f"{node.GetName()} was removed from the scene during the run; run it again.")
        replaced = find_segment(segmentation_node, prompt.name)
        mask, slices_kept = evidence.mask, 0
        if replaced is not None and slices is not None:
            before = read_segment(segmentation_node, volume_node, replaced)
            mask, slices_kept = _with_other_slices(session.stack, slices, mask, before)
        segment_id = write_segment(
            segmentation_node,
            volume_node,
            mask,
            prompt.name,
            segment_id=replaced,
            provenance=_provenance(session, prompt, evidence, slices_kept),
        )
        results.append(Result(prompt, segment_id, evidence.slices, evidence.summary))
    return results


def _with_other_slices(
    stack: SliceStack, slices: Sequence[int], mask: np.ndarray, before: np.ndarray
) -> tuple[np.ndarray, int]:
    """(K, J, I) bool: `before` with `mask` in its place on `slices`; and on how many others there is something."""
    matrix, merged, numbers = stack.volume.ijk_to_ras, before.copy(), list(slices)
    # A stack is a view: what is written into it is written into `merged`.
    new, whole = (SliceStack(Volume(array, matrix, "other"), stack.axis).array for array in (mask, merged))
    others = np.delete(np.arange(len(stack)), numbers)
    slices_kept = int(np.count_nonzero(whole[others].any(axis=(1, 2))))
    whole[numbers] = new[numbers]
    return merged, slices_kept


def _provenance(session: Session, prompt: Prompt, evidence: SegmentEvidence, slices_kept: int) -> Provenance:
    return Provenance(
        prompt=prompt,
        found=evidence.found,
        slices_found=sum(part.found for part in evidence.slices),
        slices_searched=len(evidence.slices),
        slices_kept=slices_kept,
        searched=(evidence.slices[0].index, evidence.slices[-1].index) if evidence.slices else None,
        edited=tuple(part.index for part in evidence.slices if part.edited),
        models=(
            ModelUse("clip", session.clip.name, session.clip.checksum),
            ModelUse("segmenter", session.segmenter.name, session.segmenter.checksum),
        ),
        settings=session.choices,
    )
