"""`medclipsam preview`: the chain on one slice, as a picture of its steps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from .. import options
from ..chain import check_wordings, open_session, read_source
from ..console import stderr, stdout
from ..files import check_apart, check_file, new_file
from ..progress import Stopwatch
from ..report import stage_line, unknown_line
from ..request import one_slice


@options.with_chain_options
def preview(
    volume: options.VolumeArgument,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="PNG", help="Picture to write.")],
    chain: options.ChainOptions,
    slice_number: Annotated[
        int | None,
        typer.Option("--slice", metavar="K", min=0, help="The slice, from 0; needed where there are several."),
    ] = None,
    force: options.ForceOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Show slice, heat map, box and mask of each prompt on one slice, without its neighbours."""
    asked = chain.read_prompts()
    check_file(output, ".png", force=force)
    check_apart(volume, output)
    watch = Stopwatch(stderr(quiet=quiet))
    with watch.stage("starting", "Starting"):
        meaning, settings = chain.read_modality(), chain.read_settings()

        check_wordings(asked, chain.clip, watch)
    source = read_source(volume, meaning, watch, chain.series, chain.frame)
    from ...engine.session.pointing import points_on
    from ...engine.volume import SliceStack

    stack = SliceStack(source.volume, settings.axis)
    slice_number = one_slice(stack, slice_number)
    for item in asked:
        points_on(stack, item)  # a bad one is told before the models are loaded
    session = open_session(source, asked, chain.clip, chain.sam, chain.device, settings, watch)

    from ..pictures import SlicePicture, draw_panels

    pictures, lines, unknown = [], [], []
    for item in asked:
        with watch.stage("chain", f"Looking for {item.name}"):
            seen = session.preview(slice_number, item)
        if seen.taken_for == "":
            unknown.append(item.name)
        score = f", score {seen.score:.2f}" if seen.judged else ""
        checked = f"; {seen.reliability}" if seen.found and seen.judged and seen.reliability else ""
        lines.append(f"{item.name}: {seen.verdict} on slice {slice_number}{score}{checked}")
        pictures.append(SlicePicture.of(session, seen, f"{item.name}: {seen.verdict}{score}"))
    if unknown and session.vocabulary:
        lines.append(unknown_line(unknown, session.clip.name, session.vocabulary))
    with watch.stage("drawing", f"Drawing {output.name}"), new_file(output) as unfinished:
        draw_panels(pictures, unfinished)
    if not quiet:
        for line in (*lines, stage_line(watch.seconds), f"Written: {output}"):
            stdout().print(Text(str(line)), soft_wrap=True)
