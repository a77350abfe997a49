"""`medclipsam compare`: one slice, seen by several models and saliency methods."""

from __future__ import annotations

import gc
import math
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from ...engine.errors import InputError
from .. import options
from ..chain import check_wordings, open_session, read_source
from ..console import stderr, stdout
from ..files import check_apart, check_file, new_file
from ..progress import Stopwatch
from ..request import one_slice, read_modality, read_prompts, read_settings

if TYPE_CHECKING:
    import numpy as np

    from ...engine.prompt.prompt import Prompt, PromptSet
    from ...engine.session.session import Session
    from ..chain import Source
    from ..comparison.page import Compared


def compare(
    volume: options.VolumeArgument,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="HTML", help="Page to write.")],
    prompt: Annotated[list[str], typer.Option("--prompt", "-p", metavar="TEXT", help="As of `segment`. Repeatable.")],
    contenders: Annotated[
        list[str],
        typer.Option("--with", metavar="MODEL[:METHOD]", help="Image-text model, and saliency method. Repeatable."),
    ],
    slice_number: Annotated[
        int | None, typer.Option("--slice", metavar="K", min=0, help="From 0; needed where there are several.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option("--labels", metavar="FILE", help="Segments named as the prompts, to judge by.")
    ] = None,
    names: Annotated[
        Path | None, typer.Option("--names", metavar="FILE", help="JSON names of the labels, where they have none.")
    ] = None,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="CSV", help="The table as a file of commas.")] = None,
    axis: Annotated[str, typer.Option("--axis", metavar="AXIS", help="See `segment`.")] = "auto",
    window: Annotated[str | None, typer.Option("--window", metavar="LOW,HIGH|NAME", help="See `segment`.")] = None,
    modality: Annotated[str | None, typer.Option("--modality", metavar="CT|MR|other", help="See `segment`.")] = None,
    series: Annotated[str | None, typer.Option("--series", metavar="NUMBER|TEXT", help="See `segment`.")] = None,
    frame: Annotated[int | None, typer.Option("--frame", metavar="N", min=1, help="See `segment`.")] = None,
    sam: Annotated[str, typer.Option("--sam", metavar="NAME|FILE", help="Promptable segmenter.")] = "lite-medsam",
    device: options.DeviceOption = "auto",
    precision: options.PrecisionOption = "auto",
    force: options.ForceOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Show map, boxes and mask of one slice by several models and methods, with their time, on one page.

    With labels, the page tells whether the peak of each map lies in the structure, how well the map tells it from the
    rest (area under the ROC curve), and the Dice of the mask.
    """
    from ..comparison.contenders import read_contenders

    asked, compared = read_prompts(prompt, None, None, None), read_contenders(contenders)
    check_file(output, ".html", force=force)
    if csv is not None:
        check_file(csv, ".csv", force=force)
    check_apart(volume, output, csv)
    watch = Stopwatch(stderr(quiet=quiet))
    with watch.stage("starting", "Starting"):
        meaning = read_modality(modality)
        settings = {
            each: read_settings(axis=axis, window=window, saliency=each.saliency, precision=precision)
            for each in compared
        }
        for each in compared:
            check_wordings(asked, each.model, watch)
    source = read_source(volume, meaning, watch, series, frame)
    from ...engine.volume import SliceStack

    stack = SliceStack(source.volume, settings[compared[0]].axis)
    number = one_slice(stack, slice_number)
    truths = {} if labels is None else _truths(labels, names, source, stack, number, asked)
    from ..comparison.page import write_page, write_table

    found: list[Compared] = []
    for each in compared:
        session = open_session(source, asked, each.model, sam, device, settings[each], watch)
        with watch.stage("chain", f"Looking with {each}"):
            found += [_compared(str(each), session, item, number, truths.get(item.name)) for item in asked]
        del session  # one model after the other
        gc.collect()
    title = f"{source.volume.name}, {stack.plane} slice {number}"
    with new_file(output) as page, nullcontext() if csv is None else new_file(csv) as table:
        write_page(title, found, page)
        if table is not None:
            write_table(found, table)
    if not quiet:
        for each in found:
            told = ", ".join(
                f"{column} {text}" for column, text in each.row.items() if column not in ("with", "prompt")
            )
            stdout().print(Text(f"{each.contender}: {each.prompt}: {told}"), soft_wrap=True)
        written = ", ".join(str(path) for path in (output, csv) if path is not None)
        stdout().print(Text(f"Written: {written}"), soft_wrap=True)


def _truths(
    labels: Path, names: Path | None, source: Source, stack: Any, slice_number: int, asked: PromptSet
) -> Mapping[str, np.ndarray]:
    """(H, W) bool of the slice, by the name of each prompt.

    Raises:
        InputError: there are no such labels, or none for a prompt.
    """
    from ..labels import read_names, read_segments

    masks = read_segments(labels, source.node, {} if names is None else read_names(names))
    by_name = {name.casefold(): mask for name, mask in masks.items()}
    missing = next((item.name for item in asked if item.name.casefold() not in by_name), None)
    if missing is not None:
        raise InputError(f"{labels} has no segment {missing!r}; it has {', '.join(sorted(masks))}. Name the prompt so.")
    return {item.name: stack.arrange(by_name[item.name.casefold()])[slice_number] for item in asked}


def _compared(contender: str, session: Session, item: Prompt, slice_number: int, truth: np.ndarray | None) -> Compared:
    from surface_distance import compute_dice_coefficient

    from ..comparison.judging import PeakMemory, hits, map_auc
    from ..comparison.page import Compared
    from ..pictures import SlicePicture

    memory = PeakMemory()
    with memory.watched():
        seen = session.preview(slice_number, item)
    heat = seen.heat_map()
    against = truth if truth is not None and truth.any() else None
    score = seen.score if seen.judged else math.nan
    title = f"{contender}: {seen.verdict}{'' if math.isnan(score) else f', score {score:.2f}'}"
    return Compared(
        contender,
        item.name,
        seen.verdict,
        score,
        seen.seconds["saliency"],
        seen.seconds["mask"],
        memory.mebibytes,
        None if against is None else hits(heat, against),
        None if against is None else map_auc(heat, against),
        None if against is None else compute_dice_coefficient(against, seen.mask),
        SlicePicture.of(session, seen, title),
    )
