"""Where the points of a prompt lie on the slices."""

from __future__ import annotations

from collections.abc import Container
from itertools import product

import numpy as np

from ..errors import InputError
from ..prompt.prompt import Prompt
from ..volume import Frame, SliceStack


def points_on(stack: SliceStack, prompt: Prompt, slices: Container[int] | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Positive and negative points, each (n, 3) float slice, row, column.

    Args:
        slices: those that are searched; all if not given.

    Raises:
        InputError: a point is outside of the volume, or on a slice that is not searched.
    """
    shape = np.array(stack.array.shape)
    positive, negative = [], []
    for point in prompt.points:
        (place,) = stack.ras_to_slice(np.array([point.ras]))
        nearest = np.rint(place).astype(int)
        name = f"{prompt.name}={','.join(f'{value:g}' for value in point.ras)}"
        if ((nearest < 0) | (nearest >= shape)).any():
            raise InputError(
                f"The point {name} (R,A,S in mm) is outside of {stack.volume.name}; give one in it: {_extent(stack)}."
            )
        if slices is not None and nearest[0] not in slices:
            raise InputError(
                f"The point {name} is on slice {nearest[0]}, which is not searched; choose slices with it."
            )
        (positive if point.positive else negative).append(place)
    return np.reshape(positive, (-1, 3)), np.reshape(negative, (-1, 3))


def points_seen(
    stack: SliceStack, frame: Frame, prompt: Prompt, slices: Container[int] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """As `points_on`; the positive ones are where the models see them.

    Raises:
        InputError: as there, or a positive point is outside of the frame.
    """
    positive, negative = points_on(stack, prompt, slices)
    seen = frame.points_to_frame(positive[:, :0:-1], 1)
    if (np.abs(seen) > 0.5).any():
        raise InputError(
            f"A point of the prompt {prompt.name!r} is beside the body that the models are shown; "
            "move it onto the body."
        )
    return positive, negative


def _extent(stack: SliceStack) -> str:
    """From where to where a volume reaches, in mm."""
    corners = stack.slice_to_ras(np.array(list(product(*((0, length - 1) for length in stack.array.shape))), float))
    reach = zip("RAS", corners.min(0), corners.max(0), strict=True)
    return ", ".join(f"{axis} from {low:.0f} to {high:.0f}" for axis, low, high in reach)
