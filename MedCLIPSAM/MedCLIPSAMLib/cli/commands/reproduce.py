"""`medclipsam reproduce`: the tables of MedCLIP-SAMv2, run again on its sets of pictures."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ... import __version__
from ...engine.errors import Cancelled, InputError
from .. import options
from ..console import interruptible, stderr, stdout
from ..files import check_apart, check_folder, new_files, reserved
from ..progress import Stopwatch
from ..report import as_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..reproduction.running import Asked, Work
    from ..reproduction.summary import Row


def reproduce(
    folder: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="Has breast_tumors, brain_tumors, lung_Xray, lung_CT, or some of them."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="OUT", help="Folder for page, tables, results and masks.")
    ] = Path("reproduction"),
    weak: Annotated[
        Path | None,
        typer.Option("--weak", metavar="MASKS", help="Masks of a trained model, a folder for each set: scored, too."),
    ] = None,
    clip: options.ClipOption = "quickstart",
    sam: options.SamOption = "lite-medsam",
    device: options.DeviceOption = "auto",
    precision: options.PrecisionOption = "auto",
    force: options.ForceOption = False,
    json: options.JsonOption = False,
) -> None:
    """Run the chain over the sets of pictures that MedCLIP-SAMv2 was published with, and set both tables side by side.

    Each picture is asked for by its own prompt, where a JSON has one, and by one prompt for all. A run that was
    stopped goes on where it was when it is started again.
    """
    console = stderr()
    watch = Stopwatch(console)
    with watch.stage("starting", "Starting"):
        from ..reproduction.published import Publication
        from ..reproduction.running import RESULTS, RUN, Work, begin, judge_weak, prepare
        from ..reproduction.sets import find_masks, find_sets

        check_apart(folder, output, weak)
        if weak is not None and output.resolve() in weak.resolve().parents:
            raise InputError(f"{weak} is in {output}, which this command fills; give masks from elsewhere.")
        check_folder(output, force=force or (output / RUN).is_file())
        publication = Publication.read()
        sets = find_sets(folder, publication.sets)
        weak_masks = {} if weak is None else find_masks(weak, sets)
    with watch.counted("checking", "Checking", sum(len(found.cases) for found in sets)) as done:
        asked = {found.published.name: prepare(found, done) for found in sets}
    tolerance = publication.tolerance_px
    weakly = {name: judge_weak(asked[name], masks, tolerance) for name, masks in weak_masks.items()}
    with watch.stage("loading models", "Loading models"):
        from ...engine.clip.registry import load_clip
        from ...engine.sam.registry import load_segmenter
        from ..reproduction.chain import Chain
        from ..reproduction.ledger import Ledger
        from ..reproduction.page import write_page, write_table
        from ..reproduction.telling import about, section

        chain = Chain(load_clip(clip, device), load_segmenter(sam, device), precision)
    identity = {
        "version": __version__,
        "clip": {"name": chain.clip.name, "sha256": chain.clip.checksum},
        "segmenter": {"name": chain.segmenter.name, "sha256": chain.segmenter.checksum},
        "precision": precision,
        "settings": {found.published.name: chain.settings(found.published).as_dict() for found in sets},
    }
    with reserved(output):
        begin(output, identity, force=force)
        work = Work(output, chain, tolerance, Ledger(output / RESULTS))
        _run(work, asked, console, watch)
        by_name = {found.published.name: found for found in sets}
        sections = [
            section(found, asked[name], work, weakly.get(name, ()), weak_masks.get(name, {}))
            for name, found in by_name.items()
        ]
        rows = [row for each in sections for row in each.rows]
        said = about(work, publication)
        account = {
            "folder": str(folder),
            **identity,
            "about": said,
            "remarks": {each.title: list(each.remarks) for each in sections},
            "rows": [asdict(row) for row in rows],
        }
        with new_files(output) as made:
            write_page(sections, said, publication, made / "reproduction.html")
            write_table(rows, made / "reproduction.csv")
            (made / "reproduction.json").write_text(as_json(account), encoding="utf-8")
    if json:
        print(as_json(account), end="")
        return
    for each in sections:
        for sentence in each.remarks:
            watch.say(f"{each.title}: {sentence}")
    for sentence in said:
        watch.say(sentence)
    stdout().print(_table(rows))
    stdout().print(Text(f"Written: {output / 'reproduction.html'}"), soft_wrap=True)


def _run(work: Work, asked: Mapping[str, Sequence[Asked]], console: Console, watch: Stopwatch) -> None:
    """All pictures that no earlier run has done.

    Raises:
        Cancelled: Ctrl-C was pressed.
    """
    all_of_them = [each for pictures in asked.values() for each in pictures]
    missing = [each for each in all_of_them if work.missing(each)]
    if len(missing) < len(all_of_them):
        watch.say(f"Pictures done by an earlier run: {len(all_of_them) - len(missing)} of {len(all_of_them)}.")
    try:
        with interruptible(console) as cancelled, watch.counted("pictures", "Segmenting", len(missing)) as done:
            for each in missing:
                if cancelled():
                    raise Cancelled("The run was cancelled.")
                work.do(each, cancelled)
                done()
    except Cancelled:
        watch.say("What is done is kept: the same command goes on from there.")
        raise


def _table(rows: Sequence[Row]) -> Table:
    table = Table("Set", "")
    for title in ("Images", "Empty", "DSC", "95 %", "Published"):
        table.add_column(title, justify="right")
    for row in rows:
        low_high = "" if row.dsc_interval is None else "{:.0f}-{:.0f}".format(*row.dsc_interval)
        dsc, published = ("" if value is None else f"{value:.2f}" for value in (row.dsc, row.published_dsc))
        table.add_row(row.set_name, row.way, str(row.images), str(row.not_found), dsc, low_high, published)
    return table
