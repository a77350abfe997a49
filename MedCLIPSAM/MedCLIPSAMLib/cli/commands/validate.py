"""`medclipsam validate`: how well the chain does on labelled people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from rich.table import Table
from rich.text import Text

from .. import options
from ..console import stderr, stdout
from ..files import check_folder, file_stem, new_files
from ..progress import Stopwatch
from ..report import as_json
from ..request import read_settings

if TYPE_CHECKING:
    from ...engine.session.session import Session
    from ...engine.session.settings import Settings
    from ..validation.measuring import Answer
    from ..validation.people import Labelled
    from ..validation.pictures import Case
    from ..validation.table import Row


def validate(
    folder: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="Labelled people: pictures with masks, or volumes with label maps."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="OUT", help="Folder for table, answers and pictures.")
    ],
    clip: options.ClipOption = "quickstart",
    sam: options.SamOption = "lite-medsam",
    saliency: Annotated[str | None, typer.Option("--saliency", metavar="NAME", help="Default: the model's.")] = None,
    axis: Annotated[str, typer.Option("--axis", metavar="AXIS", help="Of volumes; see `segment`.")] = "auto",
    device: options.DeviceOption = "auto",
    precision: options.PrecisionOption = "auto",
    force: options.ForceOption = False,
    json: options.JsonOption = False,
) -> None:
    """Run the chain over labelled people, text alone, and tell how well it does: Dice, absence, presence.

    Beside it stands what the segmenter makes of the true boxes, which is as good as the text can be.
    """
    watch = Stopwatch(stderr())
    with watch.stage("starting", "Starting"):
        from ..validation.people import find_people

        check_folder(output, force=force)
        people = find_people(folder)
        from ...engine.clip.registry import load_clip
        from ...engine.sam.registry import load_segmenter

        models = load_clip(clip, device), load_segmenter(sam, device)
        settings = read_settings(axis=axis, window=None, saliency=saliency, precision=precision)
    from ..validation.pictures import draw
    from ..validation.table import summarise

    with new_files(output) as made:
        answers: list[Answer] = []
        cases: dict[tuple[str, str, str], list[Case]] = {}
        with watch.counted("people", "Segmenting", len(people)) as done:
            for person in people:
                for answer, case in _answers(person, models, settings):
                    answers.append(answer)
                    if case is not None:
                        cases.setdefault((answer.structure, answer.source, answer.axis), []).append(case)
                done()
        rows = summarise(answers)
        for number, (names, shown) in enumerate(cases.items(), 1):
            draw(", ".join(names), shown, made / f"{file_stem(number, names[0])}.png")
        account = {
            "folder": str(folder),
            "models": {model.name: model.checksum for model in models},
            "rows": [row.to_dict() for row in rows],
        }
        (made / "validation.json").write_text(as_json(account), encoding="utf-8")
        (made / "answers.json").write_text(
            as_json({"answers": [asdict(answer) for answer in answers]}), encoding="utf-8"
        )
    if json:
        print(as_json(account), end="")
    else:
        stdout().print(_table(rows))


def _answers(case: Labelled, models: tuple[Any, Any], settings: Settings) -> Iterator[tuple[Answer, Case | None]]:
    """An answer for each structure of an image, with a picture of those that it has."""
    from ...engine.session.session import Session
    from ..validation.measuring import measure
    from ..validation.people import read_case
    from ..validation.pictures import Case

    volume, labels = read_case(case)
    session: Session = Session(volume, *models, settings)
    for text in (*case.source.prompts, *case.source.absent):
        truth = session.stack.arrange(np.isin(labels, case.source.numbers(text)))
        if text in case.source.prompts and case.source.partial and not truth.any():
            continue
        mask, answer = measure(session, case, text, truth)
        if answer.dice is None:
            yield answer, None
            continue
        most = int(np.count_nonzero(truth, axis=(1, 2)).argmax())
        grey = session.window.to_uint8(session.stack.array[most])
        yield answer, Case.at_most(answer.dice, case.name, grey, truth[most], mask[most])


def _table(rows: list[Row]) -> Table:
    table = Table("Structure", "Source", "Axis")
    for title in ("People", "Dice", "Quartiles", "True boxes", "Missed", "Claimed", "AUC", "Calibration error"):
        table.add_column(title, justify="right")
    for row in rows:
        quartiles = "" if row.quartiles is None else " ".join(f"{value:.2f}" for value in row.quartiles)
        numbers = (_short(row.dice), quartiles, _short(row.boxed), _percent(row.missed), _percent(row.claimed))
        table.add_row(
            Text(row.structure),
            Text(row.source),
            row.axis,
            str(row.people),
            *numbers,
            _short(row.auc),
            _short(row.calibration),
        )
    return table


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.0f} %"
