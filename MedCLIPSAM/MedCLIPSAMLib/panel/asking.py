"""From what is chosen in the panel to what the engine is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from ..engine.errors import InputError
from ..engine.prompt.prompt import Point, Prompt
from ..engine.volume import SliceStack
from ..engine.volume.region import Region
from ..scene.geometry import to_engine
from ..scene.region import region_of
from ..scene.segmentation.results import Target
from ..scene.segmentation.segments import check_target, segmentation_for
from ..scene.views.slice_views import shown_slice
from ..scene.volumes import volume_from_node
from .prompt_table import colour_of
from .rows import Row
from .slice_preview import Look
from .volume_choice import OpenedVolume, VolumeChoice


@dataclass(frozen=True)
class Asking:
    """Reads a parameter node; the engine has its volume open afterwards.

    Attributes:
        parameters: the wrapped parameter node.
        failed: told a sentence if the engine cannot open the volume.
    """

    parameters: Any
    opened: OpenedVolume
    failed: Callable[[str], None]

    def choice(self) -> VolumeChoice:
        """What the engine has to have open.

        Raises:
            InputError: no volume is chosen.
        """
        chosen = self.parameters
        if chosen is None or chosen.volume is None:
            raise InputError("No volume is chosen; choose one that is loaded.")
        models = (chosen.clip, chosen.saliency, chosen.segmenter, chosen.device)
        return VolumeChoice(chosen.volume, chosen.axis, chosen.window, *models)

    def open_stack(self) -> SliceStack:
        """The slices of the chosen volume, which the engine then has open.

        Raises:
            InputError: as of `closed_stack`.
        """
        return self.opened.need(self.choice(), self.failed)

    def closed_stack(self) -> SliceStack:
        """The slices of the chosen volume, whatever the engine has open.

        Raises:
            InputError: no volume is chosen, or it cannot be used.
        """
        choice = self.choice()
        return SliceStack(volume_from_node(choice.volume_node), choice.axis)  # type: ignore[arg-type]  # checked there

    def look(self, row: Row, index: int | None) -> Look:
        """A preview of slice ``index``, or of the one in view.

        Raises:
            InputError: the row has no prompt yet, or no slice is in view.
        """
        prompt, stack = self.for_engine(row.prompt()), self.open_stack()
        volume_node = self.parameters.volume
        index = shown_slice(stack, volume_node) if index is None else index
        if index is None:
            raise InputError("No slice view shows the volume along the chosen axis; bring one of its slices into view.")
        return Look(row.key, self.choice(), stack, index, prompt, row.points, colour_of(row), self.region())

    def slices(self) -> tuple[range, Region | None]:
        """The slices to search, and the region.

        Raises:
            InputError: there are none.
        """
        chosen, region = self.parameters, self.region()
        stack = self.open_stack()
        slices = range(len(stack)) if chosen.wholeVolume else range(chosen.first, min(chosen.last + 1, len(stack)))
        if not len(slices):
            raise InputError(f"There are no slices {chosen.first} to {chosen.last}; choose from 0 to {len(stack) - 1}.")
        if region is not None:
            inside = region.slices(stack)
            slices = range(max(slices.start, inside.start), min(slices.stop, inside.stop))
            if not len(slices):
                raise InputError("The region lies beside the chosen slices; move it, or choose the whole volume.")
        return slices, region

    def region(self) -> Region | None:
        """The chosen region of interest.

        Raises:
            InputError: it has no extent.
        """
        chosen = self.parameters
        return None if chosen.roi is None else region_of(chosen.roi, chosen.volume)

    def for_engine(self, prompt: Prompt) -> Prompt:
        """The points of a row are in RAS of the volume node, those of the engine's as `to_engine` says."""
        if self.parameters.volume is None:
            return prompt
        matrix = to_engine(self.parameters.volume)
        moved = (Point(tuple((matrix @ [*point.ras, 1])[:3]), point.positive) for point in prompt.points)
        return replace(prompt, points=tuple(moved))

    def target(self) -> Target:
        """Where results go; a segmentation is made where none is chosen, or one of another volume.

        Raises:
            InputError: the chosen one cannot take them.
        """
        chosen, stack = self.parameters, self.open_stack()
        chosen.segmentation = segmentation_for(chosen.volume, chosen.segmentation)
        check_target(chosen.segmentation, chosen.volume)
        return Target(chosen.segmentation, chosen.volume, stack)
