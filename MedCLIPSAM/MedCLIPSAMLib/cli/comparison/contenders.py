"""What is compared: pairs of a model and a saliency method, as a person names them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...engine.errors import InputError


@dataclass(frozen=True)
class Contender:
    """An image-text model as `load_clip` takes it, and a saliency method, None for the model's own."""

    model: str
    saliency: str | None

    def __str__(self) -> str:
        return self.model if self.saliency is None else f"{self.model}:{self.saliency}"


def read_contenders(texts: Sequence[str]) -> tuple[Contender, ...]:
    """From "MODEL" or "MODEL:METHOD"; a model's own name may hold a colon, too.

    Raises:
        InputError: none, or one of them twice.
    """
    from ...engine.saliency import SALIENCY

    found: list[Contender] = []
    for text in texts:
        model, colon, method = text.rpartition(":")
        named = colon and method in SALIENCY
        contender = Contender(model, method) if named else Contender(text, None)
        if contender in found:
            raise InputError(f"--with {text} is there twice; name each once.")
        found.append(contender)
    if not found:
        raise InputError("There is nothing to compare; name models and methods, such as --with quickstart:gradcam.")
    return tuple(found)
