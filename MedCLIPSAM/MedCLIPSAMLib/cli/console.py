"""Where text goes: results to stdout, all else to stderr; and Ctrl-C as a polite request."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

_SHORT = 200  # letters of what an unexpected error says


def stdout() -> Console:
    """For results."""
    return Console()


def stderr(*, quiet: bool = False) -> Console:
    """For progress, warnings and errors."""
    return Console(stderr=True, quiet=quiet)


def complain(sentence: str) -> None:
    """Tell the user what is wrong."""
    stderr().print(Text.assemble(("Error: ", "bold red"), sentence), soft_wrap=True)


def complain_of_unexpected(error: Exception) -> None:
    """Tell the user, in one line, of an error that nobody thought of."""
    said = " ".join(str(error).split())
    what = f" ({said[:_SHORT]}{'...' if len(said) > _SHORT else ''})" if said else ""
    line = f"{type(error).__name__}{what}; --debug shows where, please report it."
    stderr().print(Text.assemble(("Unexpected error ", "bold red"), line), soft_wrap=True)


@contextmanager
def interruptible(console: Console) -> Iterator[Callable[[], bool]]:
    """Ctrl-C makes what this yields answer True; a second one stops at once, as Ctrl-C does elsewhere."""
    asked = False

    def ask(number: int, frame: object) -> None:
        nonlocal asked
        asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        console.print("Stopping; press Ctrl-C again to stop at once.")

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)
