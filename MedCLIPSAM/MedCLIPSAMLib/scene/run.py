"""One run: prompts on a volume node become segments of a segmentation node, each with its provenance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..engine.errors import InputError
from ..engine.evidence import Progress, SegmentEvidence
from ..engine.prompt import Prompt, PromptSet
from .provenance import ModelUse, Provenance
from .segments import find_segment, write_segment

if TYPE_CHECKING:
    from ..engine.session import Session

_STAGES = ("saliency", "mask")  # those a session reports, in their order


@dataclass(frozen=True)
class RunProgress:
    """How far a run is: `step` of prompt `number` (from 1) of `prompts`."""

    number: int
    prompts: int
    step: Progress

    @property
    def fraction(self) -> float:
        """0 to 1 over all prompts and stages."""
        stage = _STAGES.index(self.step.stage) if self.step.stage in _STAGES else 0
        in_prompt = (stage + self.step.done / max(1, self.step.total)) / len(_STAGES)
        return (self.number - 1 + in_prompt) / self.prompts


@dataclass(frozen=True)
class Result:
    """The segment of one prompt, and the evidence for it."""

    prompt: Prompt
    segment_id: str
    evidence: SegmentEvidence


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

    A segment that an earlier run made for a prompt of the same name is replaced; no other is touched. A
    prompt that is not found leaves an empty segment, tagged so.

    Args:
        session: opened on `volume_from_node(volume_node)`.
        volume_node, segmentation_node: where the masks come from and go.
        slices, cancelled: as for `Session.segment`.
        progress: called every few slices.

    Raises:
        InputError: no prompts, one that the session refuses, or a node was removed meanwhile.
        Cancelled: `cancelled` said so; segments of earlier prompts stay.
    """
    if not len(prompts):
        raise InputError("There is no prompt; type what to segment.")
    results = []
    for number, prompt in enumerate(prompts, start=1):

        def report(step: Progress, number: int = number) -> None:
            if progress is not None:
                progress(RunProgress(number, len(prompts), step))

        evidence = session.segment(prompt, slices, report, cancelled)
        for node in (volume_node, segmentation_node):
            if node.GetScene() is None:
                raise InputError(f"{node.GetName()} was removed from the scene during the run; run it again.")
        segment_id = write_segment(
            segmentation_node,
            volume_node,
            evidence.mask,
            prompt.name,
            segment_id=find_segment(segmentation_node, prompt.name),
            provenance=_provenance(session, prompt, evidence),
        )
        results.append(Result(prompt, segment_id, evidence))
    return results


def _provenance(session: Session, prompt: Prompt, evidence: SegmentEvidence) -> Provenance:
    slices_found = sum(part.found for part in evidence.slices)
    used = {"saliency": evidence.saliency_method, "localize": evidence.localizer}
    return Provenance(
        prompt=prompt,
        found=evidence.found,
        slices_found=slices_found,
        slices_searched=len(evidence.slices),
        models=(
            ModelUse("clip", session.clip.name, session.clip.checksum),
            ModelUse("segmenter", session.segmenter.name, session.segmenter.checksum),
        ),
        settings=session.settings.as_dict() | used,
    )
