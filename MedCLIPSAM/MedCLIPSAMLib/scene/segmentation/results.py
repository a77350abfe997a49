"""What a run or a person found becomes a segment with its provenance; what else the segment had stays."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...engine.errors import InputError
from ...engine.prompt.prompt import Prompt
from ...engine.session.evidence import SegmentEvidence, SliceEvidence
from ...engine.volume import SliceStack
from .provenance import ModelUse, Provenance, read_provenance
from .segments import find_segment, read_segment, write_segment

if TYPE_CHECKING:
    from ...engine.session.session import Session


@dataclass(frozen=True)
class Chain:
    """What results were made with: the models, and all other choices, see `Session.choices`."""

    models: tuple[ModelUse, ...]
    choices: Mapping[str, Any]

    @property
    def judged(self) -> bool:
        """Whether presence was judged, see `Settings.judges_presence`."""
        return not (self.choices.get("slicewise") or self.choices.get("exact"))

    @classmethod
    def of(cls, session: Session) -> Chain:
        """That of a session of this process."""
        return cls(tuple(ModelUse(*model) for model in session.models), session.choices)


@dataclass(frozen=True)
class Target:
    """Where results go: segments of a segmentation node, on the grid of a volume node whose slices are ``stack``."""

    segmentation_node: Any
    volume_node: Any
    stack: SliceStack

    def check(self) -> None:
        """Raises InputError if one of the nodes is no longer in the scene."""
        for node in (self.volume_node, self.segmentation_node):
            if node.GetScene() is None:
                raise InputError(f"{node.GetName()} was removed from the scene during the run; run it again.")

    def write(
        self,
        prompt: Prompt,
        mask: np.ndarray,
        slices: Sequence[int],
        kept: Collection[int],
        provenance: Provenance,
        colour: Sequence[float] | None = None,
        *,
        changed_too: bool = False,
    ) -> str:
        """Puts the ``slices`` but not those ``kept`` of a mask into the segment of a prompt; returns its ID.

        That is the segment that an earlier result of the same name made, unless somebody changed it: then, and if
        there is none, a new one.

        Args:
            mask: (K, J, I) bool.
            kept: slices that stay as they are.
            provenance: how many other slices have something is filled in.
            colour: as of `write_segment`; changed_too: as of `find_segment`.

        Raises:
            InputError: as of `check` and `write_segment`.
        """
        self.check()
        segment_id = find_segment(self.segmentation_node, prompt.name, changed_too=changed_too)
        if segment_id is not None:
            before = read_segment(self.segmentation_node, self.volume_node, segment_id)
            written = np.setdiff1d(slices, list(kept))
            # Views: what is written into `whole` is written into `before`.
            whole, new = (self.stack.arrange(array) for array in (before, mask))
            whole[written] = new[written]
            others = np.delete(np.arange(len(whole)), slices)
            provenance = replace(provenance, slices_kept=int(np.count_nonzero(whole[others].any(axis=(1, 2)))))
            mask = before
        nodes = self.segmentation_node, self.volume_node
        return write_segment(*nodes, mask, prompt.name, segment_id=segment_id, colour=colour, provenance=provenance)

    def edited(self, name: str, chain: Chain) -> tuple[int, ...]:
        """The slices that a person has accepted in the segment that a run for the prompt ``name`` would replace."""
        segment_id = find_segment(self.segmentation_node, name)
        if segment_id is None:
            return ()
        made = read_provenance(self.segmentation_node.GetSegmentation().GetSegment(segment_id))
        return () if made is None else _edited(made, chain)

    def write_run(
        self,
        prompt: Prompt,
        evidence: SegmentEvidence,
        chain: Chain,
        kept: Collection[int] = (),
        colour: Sequence[float] | None = None,
    ) -> str:
        """The result of a run; ``kept`` are slices that a person has accepted. As `write`."""
        numbers = [part.index for part in evidence.slices]
        edited = {part.index for part in evidence.slices if part.edited} | set(kept)
        provenance = Provenance(
            prompt=prompt,
            found=evidence.found if evidence.judged else None,
            slices_found=sum(part.found for part in evidence.slices),
            slices_searched=len(numbers),
            searched=(numbers[0], numbers[-1]) if numbers else None,
            edited=tuple(sorted(edited)),
            models=chain.models,
            settings=chain.choices,
        )
        return self.write(prompt, evidence.mask, numbers, kept, provenance, colour)

    def write_part(
        self,
        prompt: Prompt,
        mask: np.ndarray,
        slices: Sequence[int],
        chain: Chain,
        kept: Collection[int] = (),
        colour: Sequence[float] | None = None,
    ) -> str:
        """What a run that was cancelled had drawn, on ``slices``; others stay as they are. As `write`."""
        provenance = Provenance(
            prompt=prompt,
            found=bool(mask.any()) if chain.judged else None,
            slices_found=len(slices),
            slices_searched=len(slices),
            searched=(min(slices), max(slices)) if slices else None,
            edited=tuple(sorted(kept)),
            models=chain.models,
            settings={**chain.choices, "cancelled": True},
        )
        return self.write(prompt, mask, slices, kept, provenance, colour)

    def accept(
        self, prompt: Prompt, evidence: SliceEvidence, chain: Chain, colour: Sequence[float] | None = None
    ) -> str:
        """One slice as a person has it now, also into a segment that was painted on since. As `write`."""
        mask = np.zeros(self.volume_node.GetImageData().GetDimensions()[::-1], bool)
        self.stack.arrange(mask)[evidence.index] = evidence.mask
        segment_id = find_segment(self.segmentation_node, prompt.name, changed_too=True)
        segment = segment_id and self.segmentation_node.GetSegmentation().GetSegment(segment_id)
        before = read_provenance(segment) if segment else None
        if before is None:
            before = Provenance(prompt=prompt, found=evidence.found, models=chain.models, settings=chain.choices)
        provenance = replace(
            before,
            prompt=prompt,
            found=evidence.found or before.found,  # by whoever accepted it
            edited=tuple(sorted({*_edited(before, chain), evidence.index})),
        )
        return self.write(prompt, mask, [evidence.index], (), provenance, colour, changed_too=True)


def _edited(made: Provenance, chain: Chain) -> tuple[int, ...]:
    """The slices that were accepted along the axis of ``chain``: along another one their numbers mean nothing."""
    return made.edited if made.settings.get("axis") == chain.choices.get("axis") else ()
