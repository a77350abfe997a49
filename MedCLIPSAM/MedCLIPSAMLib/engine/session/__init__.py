"""One volume and its models: looking, locating and masking, and what a run and a slice give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .session import Session

__all__ = ["Session"]


def __getattr__(name: str) -> Any:
    """The session itself is imported when asked for: a window needs settings and evidence, not PyTorch."""
    if name != "Session":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .session import Session

    return Session
