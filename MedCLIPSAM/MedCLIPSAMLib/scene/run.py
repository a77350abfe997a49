"""One run: prompts on a volume node become segments of a segmentation node, each with its provenance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..engine.errors import InputError
from ..engine.prompt.prompt import Prompt, PromptSet
from ..engine.session.evidence import Progress, SliceSummary, verdict
from .segmentation.results import Chain, Target
from .segmentation.segments import check_target

if TYPE_CHECKING:
    from ..engine.session.session import Session

# Start and end of each, roughly; a run has one of the looks.
_STAGES = {"presence": (0.0, 0.1), "saliency": (0.1, 0.5), "second look": (0.1, 0.5), "mask": (0.5, 1.0)}


@dataclass(frozen=True)
class RunProgress:
    """How far a run is: `step` of prompt `number` (from 1) of `prompts`."""

    number: int
    prompts: int
    step: Progress

    @property
    def in_prompt(self) -> float:
        """0 to 1 over the stages of the prompt at work."""
        start, end = _STAGES[self.step.stage]
        return start + (end - start) * self.step.done / max(1, self.step.total)

    @property
    def fraction(self) -> float:
        """0 to 1 over all prompts and stages."""
        return (self.number - 1 + self.in_prompt) / self.prompts


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
        """Whether there is a mask on any slice."""
        return any(part.found for part in self.slices)

    @property
    def verdict(self) -> str:
        """For people, as of `engine.session.evidence.verdict`."""
        return verdict(self.found, all(part.judged for part in self.slices))


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
    target, chain = Target(segmentation_node, volume_node, session.stack), Chain.of(session)
    results = []
    for number, prompt in enumerate(prompts, start=1):

        def report(step: Progress, number: int = number) -> None:
            if progress is not None:
                progress(RunProgress(number, len(prompts), step))

        evidence = session.segment(prompt, slices, report, cancelled)
        segment_id = target.write_run(prompt, evidence, chain)
        results.append(Result(prompt, segment_id, evidence.slices, evidence.summary))
    return results
