"""`medclipsam finetune`: an image-text model learns from a department's own pictures and texts."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from ...engine.errors import InputError
from .. import options
from ..console import interruptible, stderr, stdout
from ..files import check_folder, new_files, reserved
from ..progress import Stopwatch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...training.job import Job
    from ...training.run import Measured, Trained
    from ...training.settings import TrainingSettings

_DATA, _COURSE, _MEMORY = "Pairs", "The course of training", "Memory and time"


def finetune(
    pairs: Annotated[
        Path,
        typer.Argument(
            metavar="PAIRS",
            help="CSV or JSON Lines with image, text and, where there are any, slice, patient and split; or a folder of"
            " pictures with a text file beside each.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FOLDER", help="New model. One that is unfinished is gone on with."),
    ],
    clip: Annotated[str, typer.Option("--clip", metavar="NAME|FOLDER", help="The model that learns.")] = "quickstart",
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Of the new model in lists. Default: the folder's.")
    ] = None,
    validation: Annotated[
        str,
        typer.Option(
            "--validation",
            metavar="SHARE|PAIRS",
            help="Share of the patients to keep for validation where no column split says who, or pairs of others.",
            rich_help_panel=_DATA,
        ),
    ] = "0.2",
    loss: Annotated[
        str, typer.Option("--loss", metavar="NAME", help="dhn-nce or info-nce.", rich_help_panel=_COURSE)
    ] = "dhn-nce",
    exact: Annotated[
        bool,
        typer.Option(
            "--exact",
            help="DHN-NCE as the published program computes it, with its settings; without early stop.",
            rich_help_panel=_COURSE,
        ),
    ] = False,
    train: Annotated[
        str,
        typer.Option(
            "--train",
            metavar="all|last:N|lora:R",
            help="Which weights learn: all, those of the last N blocks, or matrices of rank R beside them.",
            rich_help_panel=_COURSE,
        ),
    ] = "all",
    epochs: Annotated[
        int | None, typer.Option("--epochs", metavar="N", help="Default 10; 32 if exact.", rich_help_panel=_COURSE)
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            "--batch-size",
            metavar="N",
            help="Pairs that are told from one another. Default 64; 16 if exact.",
            rich_help_panel=_COURSE,
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option("--learning-rate", metavar="R", help="Default 1e-4; 1e-3 if exact.", rich_help_panel=_COURSE),
    ] = None,
    weight_decay: Annotated[
        float | None, typer.Option("--weight-decay", metavar="D", help="Default 0.1.", rich_help_panel=_COURSE)
    ] = None,
    warm_up: Annotated[
        int | None,
        typer.Option(
            "--warm-up", metavar="STEPS", help="Default: a tenth of all; 1000 if exact.", rich_help_panel=_COURSE
        ),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            "--patience",
            metavar="EPOCHS",
            help="End when the validation loss has not fallen for so many; 0: never. Default 3.",
            rich_help_panel=_COURSE,
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", help="Of all that is random.", rich_help_panel=_COURSE)
    ] = 0,
    chunk: Annotated[
        int,
        typer.Option(
            "--chunk",
            metavar="N",
            help="Pairs in memory at a time; a batch may be larger, with the same result.",
            rich_help_panel=_MEMORY,
        ),
    ] = 32,
    save_memory: Annotated[
        bool,
        typer.Option("--save-memory", help="Compute some things twice, to keep less.", rich_help_panel=_MEMORY),
    ] = False,
    device: options.DeviceOption = "auto",
    precision: options.PrecisionOption = "auto",
    force: options.ForceOption = False,
) -> None:
    """Fine-tune an image-text model on your own pairs of pictures and texts.

    The new model is a folder that --clip and `models import` take. On several GPUs:
    torchrun --nproc-per-node N -m MedCLIPSAMLib finetune ...
    """
    watch = Stopwatch(stderr())
    with watch.stage("starting", "Starting"):
        from ...training.job import WORK, Job
        from ...training.learnt import Learnt
        from ...training.losses import LossSettings
        from ...training.settings import TrainingSettings

        check_folder(output, force=force or (output / WORK).is_dir())
        given = {
            "epochs": epochs,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "weight_decay": weight_decay,
            "warm_up": warm_up,
            "patience": patience,
        }
        chosen: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
        share, other = _validation(validation)
        chosen |= {"learnt": Learnt.parse(train), "validation": share, "seed": seed}
        chosen |= {"chunk": chunk, "save_memory": save_memory, "precision": precision}
        if exact:
            settings = TrainingSettings.published(**chosen, loss=LossSettings(loss, exact=True))
        else:
            settings = TrainingSettings(**chosen, loss=LossSettings(loss))
        job = Job(pairs, other, output, name, clip, device, settings, force=force)
    with reserved(output) if job.is_first else nullcontext():
        _run(job, settings, watch)


def _run(job: Job, settings: TrainingSettings, watch: Stopwatch) -> None:
    console = stderr(quiet=not job.is_first)
    with watch.stage("loading models", "Loading the model and the texts"):
        job.load()
    with watch.counted("pictures", "Preparing pictures", job.pictures_to_draw) as drawn:
        job.draw(drawn)
    with interruptible(console) as cancelled, _bar(console, settings) as report:
        trained = job.train(report, cancelled)
    if not job.is_first:
        return
    with watch.stage("saving", f"Saving {job.output.name}"):
        with new_files(job.output) as folder:
            job.write(trained, folder)
        job.end()
    _tell(job.output, trained)


@contextmanager
def _bar(console: Any, settings: TrainingSettings) -> Iterator[Any]:
    """Steps, epoch, loss and time left."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("Training: epoch {task.fields[epoch]} of {task.fields[epochs]}, loss {task.fields[loss]}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("training", total=None, epoch=1, epochs=settings.epochs, loss="-")

        def report(done: int, total: int, loss: float) -> None:
            epoch = min(settings.epochs, done * settings.epochs // total + 1)
            bar.update(task, completed=done, total=total, epoch=epoch, loss=f"{loss:.3f}")

        yield report


def _validation(text: str) -> tuple[float, Path | None]:
    """A share of the patients, or pairs of others."""
    try:
        return float(text), None
    except ValueError:
        pass
    if not Path(text).exists():
        raise InputError(f"--validation {text} is no share such as 0.2, and there is no such table or folder.")
    return 0.0, Path(text)


def _tell(output: Path, trained: Trained) -> None:
    console = stdout()
    first, last = trained.losses[0], trained.losses[-1]
    console.print(
        f"Training loss {first:.3f} in the first epoch, {last:.3f} in the last of {trained.epochs};"
        f" the weights are those of epoch {trained.best}.",
        highlight=False,
    )
    if trained.before is not None and trained.after is not None:
        console.print(_table(trained.before, trained.after))
    else:
        console.print("Nobody was kept for validation, so nothing is known of other patients.", highlight=False)
    console.print(f"Written: {output}", highlight=False, soft_wrap=True)
    console.print(f"Try it: --clip {output}, or: medclipsam models import {output}", highlight=False, soft_wrap=True)


def _table(before: Measured, after: Measured) -> Table:
    from ...training.recall import RANKS

    table = Table("On the patients kept for validation", title_justify="left")
    table.add_column("Before", justify="right")
    table.add_column("After", justify="right")
    table.add_row("Loss", f"{before.loss:.3f}", f"{after.loss:.3f}")
    shares = (
        ("its text is among the best {} of a picture", "texts_of_pictures"),
        ("a picture is among the best {} of its text", "pictures_of_texts"),
    )
    for what, which in shares:
        for rank, old, new in zip(RANKS, getattr(before.recall, which), getattr(after.recall, which), strict=True):
            table.add_row(what.format(rank), f"{100 * old:.0f} %", f"{100 * new:.0f} %")
    return table
