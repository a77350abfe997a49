"""From what is chosen in the panel to what the engine is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from ..engine.errors import InputError
from ..engine.prompt import Point, Prompt
from ..engine.region import Region
from ..engine.volume import SliceStack
from ..scene.geometry import to_world
from ..scene.region import region_of
from ..scene.results import Target
from ..scene.segments import check_target, segmentation_for
from ..scene.slice_views import shown_slice
from ..scene.volumes import volume_from_node
from .rows import Colour, Row
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

    def stack(self) -> SliceStack:
        """The slices of the chosen volume.

        Raises:
            InputError: no volume is chosen, or it cannot be used.
        """
        chosen = self.parameters
        if chosen is None or chosen.volume is None:
            raise InputError("No volume is chosen; choose one that is loaded.")
        choice = VolumeChoice(chosen.volume, chosen.axis, chosen.window, chosen.clip, chosen.segmenter, chosen.device)
        return self.opened.need(choice, self.failed)

    def slice_count(self) -> int:
        """Of the chosen volume, without opening it.

        Raises:
            InputError: the volume cannot be used.
        """
        return len(SliceStack(volume_from_node(self.parameters.volume), self.parameters.axis))

    def look(self, row: Row, colour: Colour, index: int | None) -> Look:
        """A preview of slice ``index``, or of the one in view.

        Raises:
            InputError: the row has no prompt yet, or no slice is in view.
        """
        prompt, stack = self.in_world(row.prompt()), self.stack()
        volume_node = self.parameters.volume
        index = shown_slice(stack, volume_node) if index is None else index
        if index is None:
            raise InputError("No slice view shows the volume along the chosen axis; bring one of its slices into view.")
        return Look(volume_node, stack, index, prompt, row.points, colour, self.region())

    def slices(self) -> tuple[range, Region | None]:
        """The slices to search, and the region.

        Raises:
            InputError: there are none.
        """
        chosen, region = self.parameters, self.region()
        stack = self.stack()
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
        return None if self.parameters.roi is None else region_of(self.parameters.roi)

    def in_world(self, prompt: Prompt) -> Prompt:
        """The points of a row are in RAS of the volume node, the engine's slices in that of the world."""
        if self.parameters.volume is None:
            return prompt
        matrix = to_world(self.parameters.volume)
        moved = (Point(tuple((matrix @ [*point.ras, 1])[:3]), point.positive) for point in prompt.points)
        return replace(prompt, points=tuple(moved))

    def target(self) -> Target:
        """Where results go; a segmentation is made where none is chosen, or one of another volume.

        Raises:
            InputError: the chosen one cannot take them.
        """
        chosen, stack = self.parameters, self.stack()
        chosen.segmentation = segmentation_for(chosen.volume, chosen.segmentation)
        check_target(chosen.segmentation, chosen.volume)
        return Target(chosen.segmentation, chosen.volume, stack)
