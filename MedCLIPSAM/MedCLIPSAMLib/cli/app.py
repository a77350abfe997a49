"""The commands by name, and how each way of ending becomes an exit code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, cast

import typer

from .. import __version__
from ..engine.errors import Cancelled, MedCLIPSAMError
from .commands.demo import demo
from .commands.evaluate import evaluate
from .commands.models import models
from .commands.preview import preview
from .commands.segment import segment
from .console import complain, stderr

DONE, FAILED, INTERRUPTED = 0, 2, 130

# click's, which newer versions of Typer carry inside them
_UsageError = cast(type[typer.BadParameter], typer.BadParameter.__mro__[1])

app = typer.Typer(
    help="Type a prompt, get a segment: text -> saliency -> box -> SAM on CT and MRI. Research use only.",
    invoke_without_command=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(segment)
app.command()(preview)
app.command()(evaluate)
app.command()(demo)
app.add_typer(models, name="models")


def _print_version(asked: bool) -> None:
    if asked:
        print(f"medclipsam {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: as after the program's name; those of this process if not given.

    Returns:
        Exit code: 0 done; 2 an error of the user or the files, told in one sentence on stderr; 130 interrupted.
    """
    try:
        code = app(arguments, prog_name="medclipsam", standalone_mode=False) or DONE
    except (Cancelled, KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except MedCLIPSAMError as error:
        return _failed(str(error))
    except _UsageError as error:
        return _failed(error.format_message())
    except MemoryError:
        return _failed("There is not enough memory for this; close other programs, or give fewer --slices.")
    except OSError as error:  # the disk is full, or a file may not be read
        return _failed(f"{error.filename or 'Standard output, or a file'}: {error.strerror or error}.")
    if code == INTERRUPTED:  # Typer, too, ends with it
        stderr().print("Interrupted; nothing is half-written.")
    return code


def _failed(sentence: str) -> int:
    complain(sentence)
    return FAILED
