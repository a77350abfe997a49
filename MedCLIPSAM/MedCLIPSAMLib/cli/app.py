"""The commands by name, and how each way of ending becomes an exit code."""

from __future__ import annotations

import functools
import inspect
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Annotated, Any, cast

import typer

from .. import __version__
from ..engine.errors import Cancelled, MedCLIPSAMError, NotInstalledError
from .commands.compare import compare
from .commands.demo import demo
from .commands.evaluate import evaluate
from .commands.finetune import finetune
from .commands.models import models
from .commands.preview import preview
from .commands.reproduce import reproduce
from .commands.segment import segment
from .commands.series import series
from .commands.validate import validate
from .commands.weak import weak
from .console import complain, complain_of_unexpected, stderr

DONE, UNEXPECTED, FAILED, INTERRUPTED = 0, 1, 2, 130

Debug = Annotated[bool, typer.Option("--debug", help="Show where in the program an error happened.")]

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
app.command()(series)
app.command()(compare)
app.command()(evaluate)
app.command()(validate)
app.command()(finetune)
app.command()(reproduce)
app.command()(demo)
app.add_typer(models, name="models")
app.add_typer(weak, name="weak")


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
    debug: Debug = False,
) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


def _taking_debug(command: Callable[..., None]) -> Callable[..., None]:
    """A command that takes `--debug`, too; `run` looks for it in the arguments, however the command ends."""
    parameters = list(inspect.signature(command, eval_str=True).parameters.values())
    debug = inspect.Parameter("debug", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Debug)

    @functools.wraps(command)
    def take(**given: Any) -> None:
        del given["debug"]
        command(**given)

    vars(take)["__signature__"] = inspect.Signature([*(p.replace(kind=debug.kind) for p in parameters), debug])
    take.__annotations__ = {p.name: p.annotation for p in (*parameters, debug)}
    return take


for _group in (app, models, weak):
    for _registered in _group.registered_commands:
        _registered.callback = _taking_debug(cast(Callable[..., None], _registered.callback))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: as after the program's name; those of this process if not given.

    Returns:
        Exit code: 0 done; 1 an error that nobody thought of; 2 an error of the user or the files; 130 interrupted.
        Errors are told in one sentence on stderr, with `--debug` after their traceback.
    """
    given = sys.argv[1:] if arguments is None else arguments
    try:
        code = app(arguments, prog_name="medclipsam", standalone_mode=False) or DONE
    except (Cancelled, KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except Exception as error:
        if "--debug" in given:
            traceback.print_exception(error)
        return _ended_by(error)
    if code == INTERRUPTED:  # Typer, too, ends with it
        stderr().print("Interrupted; nothing is half-written.")
    return code


def _ended_by(error: Exception) -> int:
    """Tells an error, and gives its exit code."""
    match error:
        case NotInstalledError(how=how):
            complain(f"{error} Type: medclipsam models {how}")
        case MedCLIPSAMError():
            complain(str(error))
        case _UsageError():
            complain(error.format_message())
        case MemoryError():
            complain("There is not enough memory for this; close other programs, or give fewer --slices.")
        case OSError():  # the disk is full, or a file may not be read
            complain(f"{error.filename or 'Standard output, or a file'}: {error.strerror or error}.")
        case _:
            complain_of_unexpected(error)
            return UNEXPECTED
    return FAILED
